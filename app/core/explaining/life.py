"""What a schedule was at an instant: paused, completed, failed, or active; who made it so, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.core.explaining.values import Case, Event, Fact, FactKind
from app.core.explaining.wording import Clockface, because, roughly, who
from app.core.schedule import ScheduleStatus


@dataclass(frozen=True, slots=True)
class Stage:
    """A span of one status: after `began`'s instant, up to and at `ended`'s; either is null where it is not known.

    `ended` is null also where it has not ended.
    """

    status: ScheduleStatus
    began: Event | None
    ended: Event | None


def stage_at(case: Case, at: datetime) -> Stage:
    """The status that the schedule had at an instant that has no record, within its life.

    An instant up to and at a pause has a record made by it, and after a resume one is only searched strictly later; so
    a span is open at its beginning and closed at its end.
    """
    changes = [event for event in case.events if event.status_before is not None or event.status_after is not None]
    before = [event for event in changes if event.at < at]
    after = changes[len(before) :]
    told = before[-1].status_after if before else None
    seen = _seen_after(case, after)
    if ScheduleStatus.PAUSED in (told, None if before else seen):
        return Stage(ScheduleStatus.PAUSED, _beginning(before), _end(after))
    # A schedule completes and fails in a worker's hands, which is not audited: the next change, or the row, shows it.
    for status in (seen, told):
        if status in (ScheduleStatus.COMPLETED, ScheduleStatus.FAILED):
            began = before[-1] if told is status and before else None
            return Stage(status, began, after[0] if after else None)
    return Stage(ScheduleStatus.ACTIVE, None, None)


def pauses_within(case: Case, start: datetime, end: datetime) -> list[Stage]:
    """The pauses that are known to overlap a time span, oldest first."""
    pauses: list[Stage] = []
    began: Event | None = None
    for event in case.events:
        if event.status_after is ScheduleStatus.PAUSED and event.status_before is not ScheduleStatus.PAUSED:
            began = event
        elif began is not None and _ends_pause(event):
            if began.at < end and event.at >= start:
                pauses.append(Stage(ScheduleStatus.PAUSED, began, event))
            began = None
    if began is not None and began.at < end:
        pauses.append(Stage(ScheduleStatus.PAUSED, began, None))
    return pauses


def pause_text(stage: Stage, face: Clockface) -> str:
    """A pause to follow "the schedule", with who and why."""
    began, ended = stage.began, stage.ended
    if began is None:
        told = "was paused, longer ago than its changes are looked through,"
    else:
        by = who(began.by, automatic=began.automatic)
        told = f"was paused on {face.day_and_time(roughly(began.at))} {by}{because(began.reason)}"
    if ended is None:
        return f"{told} and has not been resumed since"
    how = "removed" if ended.status_after is None else "resumed"
    by = who(ended.by, automatic=ended.automatic)
    end = roughly(ended.at)
    when = face.when(end, began.at) if began is not None else f"on {face.day_and_time(end)}"
    return f"{told} and {how} {when} {by}{because(ended.reason)}"


def pause_fact(stage: Stage, face: Clockface) -> Fact:
    """A pause as a fact."""
    began, ended = stage.began, stage.ended
    return Fact(
        FactKind.PAUSED,
        f"The schedule {pause_text(stage, face)} ({face.name}).",
        {
            "since": None if began is None else began.at,
            "by": None if began is None else began.by,
            "automatic": None if began is None else began.automatic,
            "reason": None if began is None else began.reason,
            "until": None if ended is None else ended.at,
            "ended_by": None if ended is None else ended.by,
            "ended_reason": None if ended is None else ended.reason,
        },
    )


def removal(case: Case) -> Event | None:
    """The audited removal; a completed schedule that was let go after its retention has none."""
    return next((event for event in reversed(case.events) if event.at == case.removed_at), None)


def _seen_after(case: Case, after: Sequence[Event]) -> ScheduleStatus | None:
    if after:
        return after[0].status_before
    if case.schedule is not None:
        return case.schedule.status
    return None if removal(case) is not None else ScheduleStatus.COMPLETED


def _beginning(before: Sequence[Event]) -> Event | None:
    """The pause itself: what was changed while it was paused comes after it."""
    began = None
    for event in reversed(before):
        if event.status_after is not ScheduleStatus.PAUSED:
            break
        began = event
    return began if began is None or began.status_before is not ScheduleStatus.PAUSED else None


def _end(after: Sequence[Event]) -> Event | None:
    return next((event for event in after if _ends_pause(event)), None)


def _ends_pause(event: Event) -> bool:
    """Not the changes that leave it paused, nor those that leave every status as it is."""
    if event.status_after is ScheduleStatus.PAUSED:
        return False
    return event.status_before is not None or event.status_after is not None
