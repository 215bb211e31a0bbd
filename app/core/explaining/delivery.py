"""How the delivery of an execution went, in a sentence or two."""

from datetime import datetime, timedelta

from app.core.clock import MILLISECOND
from app.core.execution import Attempt, Execution, ExecutionStatus, Reason, Trigger
from app.core.explaining.values import Event
from app.core.explaining.wording import Clockface, because, lasting, one_line, roughly, sentence, times, until, who


def delivery(
    execution: Execution,
    face: Clockface,
    *,
    told: datetime,
    cancelled: Event | None,
    now: datetime,
    reported: bool = False,
) -> str:
    """Where the delivery stands or how it ended; empty for what was never to be delivered.

    `told` is the instant that was named last, `cancelled` the audited cancellation, `reported` whether the target or an
    operator reported the end.
    """
    match execution.status:
        case ExecutionStatus.PENDING:
            if execution.due_at > now:
                return f"It is recorded, and is sent when it is due, at {face.time(execution.due_at)}."
            if execution.wake_at is not None and execution.wake_at > now + timedelta(seconds=1):
                again = until(execution.wake_at, now)
                return f"It is due, and waits behind the limits of its target. The next look follows {again}."
            return "It is recorded, and its delivery is under way."
        case ExecutionStatus.QUEUED:
            group = "backfill" if execution.trigger is Trigger.BACKFILL else "schedule"
            return f"It waits in the queue for an earlier run of this {group} to end."
        case ExecutionStatus.RUNNING:
            return f"It is running: {_taken(execution)}, and has not reported the end of the work yet."
        case ExecutionStatus.RETRYING:
            return f"It has not been delivered yet: {_failures(execution)}. {_next_attempt(execution, now)}"
        case ExecutionStatus.SUCCEEDED:
            return sentence(f"{_sent(execution)}{_taken(execution)}") + _ended(execution)
        case ExecutionStatus.FAILED:
            if reported or was_taken(execution):
                return sentence(f"{_sent(execution)}{_taken(execution)}, but the work failed{_error(execution)}")
            return f"It could not be delivered: {_failures(execution)}. It is not tried again by itself."
        case ExecutionStatus.TIMED_OUT:
            silent = f"{_sent(execution)}{_taken(execution)}, but it reported no end of the work in time"
            return sentence(silent) + _ended(execution)
        case ExecutionStatus.CANCELLED:
            return _cancelled(execution, face, told, cancelled)
        case ExecutionStatus.MISSED | ExecutionStatus.SKIPPED:
            return ""


def answer(attempt: Attempt) -> str:
    """What an attempt got, such as "the target answered 503"."""
    if attempt.status_code is not None:
        return f"the target answered {attempt.status_code}"
    return f"no answer came{'' if attempt.error is None else f' ({one_line(attempt.error)})'}"


def was_taken(execution: Execution) -> bool:
    """Whether the target took it, so that a failure is the work's."""
    return bool(execution.attempts) and execution.attempts[-1].error is None


def _sent(execution: Execution) -> str:
    late = execution.lateness_ms
    if late is None:
        return ""
    left = "on time" if late == 0 else f"{lasting(late * MILLISECOND)} after it was due"
    return f"the request left {left}, and "


def _taken(execution: Execution) -> str:
    attempts = execution.attempts
    if not was_taken(execution):
        return "the target took it"
    at = "" if len(attempts) == 1 else f" at the {_ordinal(len(attempts))} attempt"
    return f"{answer(attempts[-1])}{at}"


def _failures(execution: Execution) -> str:
    # One that was taken did not fail: its end was not reported in time, and it was sent again.
    attempts = [attempt for attempt in execution.attempts if attempt.error is not None]
    if not attempts:
        return f"no attempt was made{_error(execution)}"
    if len(attempts) == 1:
        return f"its only attempt failed, as {answer(attempts[0])}"
    failed = "both attempts failed" if len(attempts) == 2 else f"all {len(attempts)} attempts failed"
    return f"{failed}, the last one as {answer(attempts[-1])}"


def _next_attempt(execution: Execution, now: datetime) -> str:
    if execution.wake_at is None or execution.wake_at < now + timedelta(seconds=1):
        return "The next attempt is due now."
    return f"The next attempt follows {until(execution.wake_at, now)}."


def _ended(execution: Execution) -> str:
    if execution.started_at is None or execution.finished_at is None:
        return ""
    lasted = execution.finished_at - execution.started_at
    return "" if lasted < timedelta(seconds=1) else f" It ended {lasting(lasted)} after it began."


def _error(execution: Execution) -> str:
    return "" if execution.error is None else f" ({one_line(execution.error)})"


def _cancelled(execution: Execution, face: Clockface, told: datetime, cancelled: Event | None) -> str:
    when = "" if execution.finished_at is None else f" {face.when(roughly(execution.finished_at), told)}"
    match execution.reason:
        case Reason.CANCELLED_BY_CALLER if cancelled is not None:
            how = f"It was cancelled{when} {who(cancelled.by)}{because(cancelled.reason)}"
        case Reason.CANCEL_RUNNING:
            how = f"It made way{when} for a later run, as its overlap policy says (cancel_running)"
        case Reason.REMOVED:
            how = f"It was cancelled{when}, when the schedule was removed"
        case _:
            by = "" if execution.reason_detail is None else f", {one_line(execution.reason_detail)}"
            how = f"It was cancelled{when}{by}"
    sent = len(execution.attempts)
    return f"{how}; it had been sent {times(sent)}." if sent else f"{how}; nothing had been sent."


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
