"""Targets as JSON: what of one is shown, and how the hosts of a community's fare."""

from typing import Any

from app.core.clock import utc
from app.core.sealing import MASK
from app.core.target import Target
from app.delivery.answer import without_excerpt
from app.service.targets import TargetHost


def target_json(target: Target | None) -> dict[str, Any] | None:
    """A target; the values of its headers are never shown."""
    if target is None:
        return None
    return {
        "url": target.url,
        "method": target.method,
        "headers": dict.fromkeys(target.headers, MASK),
        "body": target.body,
        "cancel_url": target.cancel_url,
    }


def target_host_json(target: TargetHost) -> dict[str, Any]:
    """A host of targets, as the list of them shows it."""
    state = target.state
    return {
        "host": target.host,
        "schedules": target.schedules,
        "circuit": state.circuit,
        "failures": state.failures,
        "open_until": None if state.open_until is None else utc(state.open_until),
        "last_error": None if state.last_error is None else without_excerpt(state.last_error),
        "waiting": state.waiting,
        "in_flight": state.in_flight,
        "workers_open": state.workers_open,
        "max_concurrent": target.max_concurrent,
        "rate_limit": target.per_second,
    }
