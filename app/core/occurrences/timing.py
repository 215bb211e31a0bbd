"""When a schedule fires, as a value, and what makes such a value acceptable."""

from collections.abc import Iterator
from datetime import date, datetime
from enum import StrEnum

from app.core.clock import utc
from app.core.errors import FieldProblem, InvalidScheduleException
from app.core.occurrences.business_days import FIRST_LISTED_YEAR, LAST_LISTED_YEAR, BusinessDays
from app.core.occurrences.cron_fields import parse_cron
from app.core.occurrences.instants import quoted
from app.core.occurrences.policy import DEFAULT_POLICY, DstPolicy
from app.core.occurrences.zones import load_zone
from app.core.values import value

LONGEST_INTERVAL_SECONDS = 31_536_000
LONGEST_JITTER_SECONDS = 3600


class ScheduleType(StrEnum):
    """What decides the instants of a schedule."""

    CRON = "cron"
    INTERVAL = "interval"
    ONE_TIME = "one_time"


@value
class Timing:
    """When a schedule fires. Instants are aware, in UTC, and count to the millisecond.

    `start_at` and `end_at` are the first and the last instant at which a recurring one may fire. `anchor` is the
    creation time (for a preview: its start), from which an interval counts where there is no `start_at`. `days` are
    those of the calendars it keeps, null where it keeps none; `dst_policy` matters to a fixed cron expression alone.
    """

    schedule_type: ScheduleType
    timezone: str
    cron_expression: str | None = None
    interval_seconds: int | None = None
    scheduled_time: datetime | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    jitter_seconds: int = 0
    anchor: datetime | None = None
    dst_policy: DstPolicy = DEFAULT_POLICY
    days: BusinessDays | None = None


_OWN_FIELD = {
    ScheduleType.CRON: "cron_expression",
    ScheduleType.INTERVAL: "interval_seconds",
    ScheduleType.ONE_TIME: "scheduled_time",
}


def check_timing(timing: Timing) -> None:
    """Accept a timing or say everything that is wrong with it.

    Whether an occurrence is left between now and its bounds is not looked at: that depends on the time of asking.

    Raises:
        InvalidScheduleException: with one problem for every refused field.
    """
    problems = list(_problems(timing))
    if problems:
        raise InvalidScheduleException.of_all(problems)


def _problems(timing: Timing) -> Iterator[FieldProblem]:
    yield from _field_choice(timing)
    try:
        load_zone(timing.timezone)
    except InvalidScheduleException as refusal:
        yield from refusal.errors
    if timing.cron_expression is not None:
        try:
            parse_cron(timing.cron_expression)
        except InvalidScheduleException as refusal:
            yield from refusal.errors
    if timing.interval_seconds is not None:
        yield from _range("interval_seconds", timing.interval_seconds, 1, LONGEST_INTERVAL_SECONDS)
    yield from _range("jitter_seconds", timing.jitter_seconds, 0, LONGEST_JITTER_SECONDS)
    yield from _bounds(timing)
    yield from _daylight(timing)
    if timing.days is not None:
        yield from _days(timing, timing.days)


def _field_choice(timing: Timing) -> Iterator[FieldProblem]:
    own = _OWN_FIELD[timing.schedule_type]
    for field in _OWN_FIELD.values():
        given = getattr(timing, field) is not None
        if field == own and not given:
            yield FieldProblem(field, f"{field} is required with schedule_type '{timing.schedule_type}'")
        elif field != own and given:
            yield FieldProblem(
                field, f"{field} does not go with schedule_type '{timing.schedule_type}', which takes {own}"
            )


def _range(field: str, value: int, low: int, high: int) -> Iterator[FieldProblem]:
    if isinstance(value, bool) or not isinstance(value, int):
        yield FieldProblem(field, f"{field} {quoted(value)}: it is a whole number of seconds, {low}-{high}")
    elif not low <= value <= high:
        # A number of thousands of digits is neither shown nor, by Python, convertible to text.
        shown = str(value) if abs(value) < 10**20 else "a number of more than twenty digits"
        yield FieldProblem(field, f"{field} {shown} is out of range {low}-{high}")


def _bounds(timing: Timing) -> Iterator[FieldProblem]:
    aware = True
    for field in ("scheduled_time", "start_at", "end_at"):
        instant = getattr(timing, field)
        if instant is not None and instant.utcoffset() is None:
            aware = False
            yield FieldProblem(field, f"{field} {quoted(instant.isoformat())}: an offset is needed, as Z or +01:00")
    if timing.schedule_type is ScheduleType.ONE_TIME:
        for field in ("start_at", "end_at"):
            if getattr(timing, field) is not None:
                yield FieldProblem(field, f"{field} bounds a recurring schedule; one_time has scheduled_time alone")
    elif aware and timing.start_at is not None and timing.end_at is not None and timing.end_at < timing.start_at:
        yield FieldProblem(
            "end_at",
            f"end_at {quoted(utc(timing.end_at))} is before start_at {quoted(utc(timing.start_at))}; "
            "it is the same instant or a later one",
        )


def _daylight(timing: Timing) -> Iterator[FieldProblem]:
    policy = timing.dst_policy
    if timing.schedule_type is not ScheduleType.CRON and policy != DEFAULT_POLICY:
        yield FieldProblem(
            "dst_policy",
            f"dst_policy gap '{policy.gap}', fold '{policy.fold}' does not go with schedule_type "
            f"'{timing.schedule_type}': only a cron expression names times that a clock may skip or show twice; "
            f"leave it out, or give gap '{DEFAULT_POLICY.gap}', fold '{DEFAULT_POLICY.fold}'",
        )


def _days(timing: Timing, days: BusinessDays) -> Iterator[FieldProblem]:
    if days.moves and timing.schedule_type is ScheduleType.INTERVAL:
        yield FieldProblem(
            "calendars",
            f"calendars with on_day_off '{days.on_day_off}' does not go with schedule_type 'interval': an interval is "
            "real seconds and has no day to move; it takes on_day_off 'skip'",
        )
    if days.moves and len(days.weekend) == 7:
        yield FieldProblem(
            "calendars",
            f"calendars with on_day_off '{days.on_day_off}': together their weekends are all seven days of the week, "
            "which leaves no business day to move to; leave at least one day of the week out of them",
        )
    for ranges in (days.days_off, days.days_worked):
        for ordinal in (ranges[0][0], ranges[-1][1]) if ranges else ():
            day = date.fromordinal(ordinal)
            if not FIRST_LISTED_YEAR <= day.year <= LAST_LISTED_YEAR:
                yield FieldProblem(
                    "calendars",
                    f"calendars list the day {day}, which is out of range {FIRST_LISTED_YEAR}-01-01 to "
                    f"{LAST_LISTED_YEAR}-12-31",
                )
