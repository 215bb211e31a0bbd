"""JSON merge patch (RFC 7396) on a schedule's definition as `GET` shows it."""

from collections.abc import Mapping
from typing import Any

from app.api.rendering import schedule_json
from app.api.wire.base import Refused, Wire, require_object
from app.api.wire.schedules import READ_ONLY, CalendarUseInput, DstPolicyInput, RetryPolicyInput, ScheduleInput
from app.api.wire.targets import TargetInput
from app.core.schedule import Schedule

_OWN_FIELDS = ("cron_expression", "interval_seconds", "scheduled_time")
_BOUNDS = ("start_at", "end_at")
_NESTED: Mapping[str, type[Wire]] = {
    "retry": RetryPolicyInput,
    "dst_policy": DstPolicyInput,
    "calendars": CalendarUseInput,
    "target": TargetInput,
    "failure_target": TargetInput,
}
_KNOWN = frozenset(ScheduleInput.model_fields) | READ_ONLY


def patched(current: Schedule, patch: Any) -> dict[str, Any]:
    """The definition that results from a patch, as a body for `Definitions.read`.

    A member that is null has its default afterwards. A new `schedule_type` nulls what belongs to the other types.

    Raises MalformedRequestException for a patch that is no object or names an unknown field: removing such a field
    would otherwise pass unseen.
    """
    changes = require_object(patch)
    refused = Refused()
    _check_known(changes, _KNOWN, "", refused)
    for name, model in _NESTED.items():
        if isinstance(nested := changes.get(name), dict):
            _check_known(nested, frozenset(model.model_fields), f"{name}.", refused)
    refused.raise_any()
    shown = schedule_json(current)
    body = {name: value for name, value in shown.items() if name not in READ_ONLY}
    workflow_id = current.definition.workflow_id
    body["workflow_id"] = None if workflow_id is None else str(workflow_id)
    body["tags"] = list(current.definition.tags)
    if (use := current.definition.calendars) is not None:
        body["calendars"] = {"names": list(use.names), "on_day_off": use.on_day_off}
    if changes.get("schedule_type", current.definition.schedule_type) != current.definition.schedule_type:
        for name in _OWN_FIELDS if changes["schedule_type"] != "one_time" else (*_OWN_FIELDS, *_BOUNDS):
            body[name] = None
        body["dst_policy"] = None
    return _merge(body, {name: value for name, value in changes.items() if name not in READ_ONLY})


def _check_known(changes: dict[str, Any], known: frozenset[str], prefix: str, refused: Refused) -> None:
    for name in changes:
        if name not in known:
            refused.unknown(prefix + name)


def _merge(target: Any, patch: dict[str, Any]) -> dict[str, Any]:
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value) if isinstance(value, dict) else value
    return merged
