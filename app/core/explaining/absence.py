"""Why an instant has no record: what the schedule was then, what its rule says, or that its time is still to come."""

from datetime import timedelta

from app.core.explaining.ahead import Ahead
from app.core.explaining.asked import Asked
from app.core.explaining.days import changes_since
from app.core.explaining.life import Stage, pause_fact, pause_text, removal, stage_at
from app.core.explaining.outcome import Told
from app.core.explaining.values import Fact, FactKind, Verdict
from app.core.explaining.wording import because, counted, one_line, roughly, who
from app.core.schedule import ScheduleStatus


def absence(asked: Asked) -> Told:
    """The verdict on an instant without a record; what holds whatever the rule says comes first."""
    case, at = asked.case, asked.at
    schedule = case.schedule
    waits_for = None if schedule is None else schedule.next_execution_at
    if schedule is not None and waits_for == at and asked.found is not None:
        return Ahead(at, schedule, waits_for, asked.face, asked.now, asked.counted).told()
    if at <= case.created_at:
        return _not_created(asked)
    if case.removed_at is not None and at > case.removed_at:
        return _removed(asked)
    stage = stage_at(case, at)
    if asked.found is None:
        return _failed(asked, stage)
    if not asked.found.names_it:
        # Beyond its bounds a rule names nothing, and a day off may come after the last run: that the schedule had come
        # to its end says more.
        ended = stage.status is ScheduleStatus.COMPLETED and (asked.found.beyond_bounds or asked.found.day_off)
        return _completed(asked, stage) if ended else _not_named(asked, stage)
    match stage.status:
        case ScheduleStatus.PAUSED:
            return _paused(asked, stage)
        case ScheduleStatus.FAILED:
            return _failed(asked, stage)
        case ScheduleStatus.COMPLETED:
            return _completed(asked, stage)
        case ScheduleStatus.ACTIVE:
            pass
    if schedule is not None and waits_for is not None and at > waits_for:
        return Ahead(at, schedule, waits_for, asked.face, asked.now, asked.counted).told()
    if at < case.records_from:
        return _expired(asked)
    altered = tuple(changes_since(case.calendars, asked.rule, at, asked.face))
    return _calendar_changed(asked, altered) if altered else _unexplained(asked)


def _opening(asked: Asked) -> str:
    return f"It {'did' if asked.at <= asked.now else 'will'} not fire on {asked.face.named(asked.at)}"


def _not_created(asked: Asked) -> Told:
    case, created = asked.case, roughly(asked.case.created_at)
    by = who(case.created_by)
    text = f"The schedule was created on {asked.face.named(created)} {by}."
    fact = Fact(FactKind.CREATED, text, {"at": case.created_at, "by": case.created_by})
    it_was = f"It was created {asked.face.when(created, asked.at)} {by}."
    return Told(Verdict.NOT_CREATED_YET, f"{_opening(asked)}: the schedule did not exist yet. {it_was}", (fact,))


def _removed(asked: Asked) -> Told:
    event, removed_at = removal(asked.case), asked.case.removed_at
    assert removed_at is not None
    when = f"was removed on {asked.face.day_and_time(roughly(removed_at))}"
    if event is None:
        told = f"{when} {who(None, automatic=True)}, after it had completed"
    else:
        told = f"{when} {who(event.by, automatic=event.automatic)}{because(event.reason)}"
    data = {"at": removed_at, "by": None if event is None else event.by, "automatic": event is None}
    fact = Fact(FactKind.REMOVED, f"The schedule {told} ({asked.face.name}).", data)
    return Told(Verdict.REMOVED, f"{_opening(asked)}: the schedule {told}.", (fact,))


def _paused(asked: Asked, stage: Stage) -> Told:
    unless = "" if asked.at <= asked.now else " unless it is resumed before"
    summary = f"{_opening(asked)}{unless}: the schedule {pause_text(stage, asked.face)}."
    return Told(Verdict.PAUSED, summary, (pause_fact(stage, asked.face),))


def _failed(asked: Asked, stage: Stage) -> Told:
    schedule, reason = asked.case.schedule, asked.refused
    if schedule is not None and schedule.status is ScheduleStatus.FAILED:
        reason = schedule.status_reason or reason
    why = "" if reason is None else f": {one_line(reason)}"
    if stage.status is not ScheduleStatus.FAILED:
        told = f"Whether it fires on {asked.face.named(asked.at)} cannot be said: its rule cannot be computed{why}."
    elif stage.ended is None:
        told = (
            f"{_opening(asked)}: the schedule has failed, because it cannot be computed any more{why}. Once that is "
            "repaired, a change or a resume lets it go on."
        )
    else:
        told = f"{_opening(asked)}: the schedule had failed then, as it could not be computed."
    until = None if stage.ended is None else stage.ended.at
    fact = Fact(FactKind.FAILED, f"The schedule cannot be computed{why}.", {"reason": reason, "until": until})
    return Told(Verdict.FAILED, told, (fact,))


def _completed(asked: Asked, stage: Stage) -> Told:
    fact = _completion(asked, stage)
    verdict = Verdict.LIMIT_REACHED if fact.kind is FactKind.LIMIT else Verdict.COMPLETED
    return Told(verdict, f"{_opening(asked)}: {fact.text[0].lower()}{fact.text[1:]}", (fact,))


def _completion(asked: Asked, stage: Stage) -> Fact:
    """How a schedule came to its end: by its limit, or because no occurrence was left."""
    schedule, completed_at = asked.case.schedule, asked.case.completed_at
    if stage.ended is not None:
        # It was changed since, and with it what its row knows.
        return Fact(FactKind.COMPLETED, "The schedule had completed.", {"completed_at": None})
    when = "" if completed_at is None else f" on {asked.face.day_and_time(roughly(completed_at))}"
    # Workers that came late may have ended it after an instant that they did not get to any more.
    had = "completed" if completed_at is not None and completed_at >= asked.at else "had completed"
    most = None if schedule is None else schedule.definition.max_executions
    if schedule is not None and most is not None and schedule.execution_count >= most:
        used = "its only run was" if most == 1 else f"all of its {counted(most, 'run')} were"
        text = f"The schedule {had}{when}, when {used} used (max_executions)."
        data = {"max_executions": most, "execution_count": schedule.execution_count, "completed_at": completed_at}
        return Fact(FactKind.LIMIT, text, data)
    why = "no occurrence was left" if schedule is None else schedule.status_reason or "no occurrence was left"
    text = f"The schedule {had}{when}: {one_line(why)}."
    return Fact(FactKind.COMPLETED, text, {"completed_at": completed_at})


def _not_named(asked: Asked, stage: Stage) -> Told:
    assert asked.found is not None
    verdict = Verdict.NOT_AN_OCCURRENCE
    if asked.found.day_off:
        verdict = Verdict.SKIPPED if asked.at <= asked.now else Verdict.WILL_BE_SKIPPED
    facts: tuple[Fact, ...] = ()
    if stage.status is ScheduleStatus.PAUSED:
        facts = (pause_fact(stage, asked.face),)
    elif stage.status is ScheduleStatus.COMPLETED:
        facts = (_completion(asked, stage),)
    return Told(verdict, f"{_opening(asked)}: {asked.found.told}", facts)


def _expired(asked: Asked) -> Told:
    kept = counted((asked.now - asked.case.records_from) // timedelta(days=1), "day")
    first = asked.face.named(asked.case.records_from)
    fact = Fact(
        FactKind.RETENTION,
        f"Records are kept for {kept}: from {first} on.",
        {"kept_from": asked.case.records_from},
    )
    told = f"By its rule it should have fired on {asked.face.named(asked.at)}; its record is not kept any more."
    return Told(Verdict.RECORD_EXPIRED, told, (fact,))


def _calendar_changed(asked: Asked, changes: tuple[Fact, ...]) -> Told:
    told = (
        f"It did not fire on {asked.face.named(asked.at)}. By the days that are off today it should have; which were "
        "off then is not known any more."
    )
    return Told(Verdict.CALENDAR_CHANGED, " ".join((told, *(change.text for change in changes[:2]))), changes)


def _unexplained(asked: Asked) -> Told:
    told = f"By its rule it should fire on {asked.face.named(asked.at)}"
    if asked.at <= asked.now:
        told = f"By its rule it should have fired on {asked.face.named(asked.at)}"
    told += ", but there is no record of it, and nothing that says why."
    waits_for = None if asked.case.schedule is None else asked.case.schedule.next_execution_at
    if waits_for is not None:
        told += f" It waits for {asked.face.day_and_time(waits_for)}."
    return Told(Verdict.UNEXPLAINED, f"{told} The rules of its time zone may have changed meanwhile.", ())
