"""Schedules of all kinds, as the callers of a run define them."""

import random
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

_WORKFLOW = str(UUID(int=0x8F14E45F_CEEA_467F_A8D2_7B9E2C1D3A4B))
_ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia")
_CRONS = ("* * * * * *", "* * * * * *", "*/2 * * * * *", "*/5 * * * * *", "7,23,42 * * * * *", "* * * * *")
_POLICIES = ("skip", "queue", "allow", "cancel_running")


class Definitions:
    """Draws definitions; each has a mark of its own, which every delivery of it carries."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._marks = count(1)

    def calm(self) -> dict[str, Any]:
        """One occurrence a second, and a target that takes each at once."""
        return {
            "schedule_type": "interval",
            "interval_seconds": 1,
            **self._common(trouble=0),
            "overlap_policy": "allow",
            "coalesce": True,
        }

    def plain(self) -> dict[str, Any]:
        """One occurrence a second, mostly nothing in its way: what makes the numbers."""
        if self._rng.random() < 0.25:
            timing: dict[str, Any] = {
                "schedule_type": "cron",
                "cron_expression": "* * * * * *",
                "timezone": self._rng.choice(_ZONES),
            }
        else:
            timing = {"schedule_type": "interval", "interval_seconds": 1}
        return {
            **timing,
            **self._common(trouble=4),
            "overlap_policy": "allow",
            "coalesce": self._rng.random() < 0.5,
        }

    def any(self) -> dict[str, Any]:
        """Any recurring schedule: zones, jitter, overlap, callbacks, slow and failing targets."""
        rng = self._rng
        policy = rng.choice(_POLICIES)
        definition = {
            **self._timing(),
            **self._common(trouble=40, work_ms=rng.choice((0, 0, 60, 400, 1500))),
            "overlap_policy": policy,
            "max_instances": rng.choice((1, 1, 2, 3)),
            "coalesce": rng.random() < 0.5,
            "grace_period_seconds": rng.choice((5, 10, 60, 900)),
            "jitter_seconds": rng.choice((0, 0, 0, 1, 2)),
        }
        if rng.random() < 0.3:
            definition |= {"completion": "callback", "timeout_seconds": rng.choice((2, 4))}
            definition["context_data"]["reports"] = rng.choice(("after", "after", "before", "never"))
        return definition

    def once(self, now: datetime) -> dict[str, Any]:
        """A one-time schedule, due in a moment or a moment ago."""
        at = now + timedelta(milliseconds=self._rng.randrange(-2_000, 5_000))
        return {
            "schedule_type": "one_time",
            "scheduled_time": at.astimezone(UTC).isoformat(timespec="milliseconds"),
            **self._common(trouble=40),
        }

    def changes(self) -> dict[str, Any]:
        """A patch: of when it fires, or of anything else."""
        context = {"context_data": {"mark": self._mark()}}
        return context | self._timing() if self._rng.random() < 0.6 else context

    def _timing(self) -> dict[str, Any]:
        if self._rng.random() < 0.5:
            return {
                "schedule_type": "cron",
                "cron_expression": self._rng.choice(_CRONS),
                "timezone": self._rng.choice(_ZONES),
            }
        return {"schedule_type": "interval", "interval_seconds": self._rng.choice((1, 1, 2, 3, 7))}

    def _common(self, *, trouble: int, work_ms: int = 0) -> dict[str, Any]:
        return {
            "workflow_id": _WORKFLOW,
            "retry": {"max_retries": 6, "initial_backoff_seconds": 0.2, "max_backoff_seconds": 2},
            "context_data": {"mark": self._mark(), "trouble": trouble, "work_ms": work_ms},
        }

    def _mark(self) -> str:
        return f"m{next(self._marks)}"
