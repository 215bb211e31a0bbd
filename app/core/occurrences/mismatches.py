"""Which parts of a rule an instant does not meet, each in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from app.core.clock import to_ms
from app.core.occurrences.cron_fields import names_day
from app.core.occurrences.cron_grammar import DAY, FIELDS, WEEKDAY, CronSource, Steps, read_cron
from app.core.occurrences.daylight import zoned_cron
from app.core.occurrences.instants import DAY_SECONDS, EPOCH_ORDINAL, LAST_ORDINAL
from app.core.occurrences.search import interval_grid, single_instant
from app.core.occurrences.timing import ScheduleType, Timing
from app.core.occurrences.words import MONTHS, WEEKDAYS, duration_in_words, local_iso
from app.core.occurrences.zones import load_zone


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A part of the rule that an instant does not meet: what the instant has, what the rule allows, and a sentence.

    `field` is one of `second`, `minute`, `hour`, `day_of_month`, `month`, `day_of_week`, `day` (where either of two day
    fields is enough and neither matches), `interval` and `instant`.
    """

    field: str
    value: str
    allowed: str
    text: str


def mismatches(timing: Timing, instant: int) -> tuple[Mismatch, ...]:
    """What keeps a UTC millisecond from being an occurrence, as far as its rule goes; days off are not looked at.

    Raises as `next_occurrence` does.
    """
    if timing.schedule_type is ScheduleType.CRON:
        return tuple(_of_cron(timing, instant))
    if timing.schedule_type is ScheduleType.INTERVAL:
        return tuple(_of_interval(timing, instant))
    return tuple(_of_one_time(timing, instant))


def _of_cron(timing: Timing, instant: int) -> Iterator[Mismatch]:
    expression = timing.cron_expression or ""
    source = read_cron(expression)
    second, millisecond = divmod(instant, 1000)
    day, time = divmod(second + load_zone(timing.timezone).offset_at(second), DAY_SECONDS)
    if millisecond:
        past = duration_in_words(millisecond)
        yield Mismatch(
            "second",
            f"{time % 60}.{millisecond:03}",
            "whole seconds",
            f"it is {past} past a whole second, and an expression fires on whole seconds",
        )
    shown = (time % 60, time // 60 % 60, time // 3600)
    for position, (field, value) in enumerate(zip(FIELDS[:3], shown, strict=True)):
        if all(value not in item.values for item in source.items[position] if isinstance(item, Steps)):
            says = f"the expression says {source.texts[position]}"
            if position == 0 and len(expression.split()) < 6:
                says = "an expression without a field for seconds fires at second 0"
            yield Mismatch(field.name, str(value), source.texts[position], f"the {field.name} is {value}, and {says}")
    ordinal = day + EPOCH_ORDINAL
    cron = zoned_cron(expression, timing.timezone, timing.dst_policy, timing.days)
    # A day onto which others are moved is as good as one that the fields name.
    if 1 <= ordinal <= LAST_ORDINAL and not cron.wall_clock.days.holds(ordinal):
        yield from _of_day(source, date.fromordinal(ordinal))


def _of_day(source: CronSource, day: date) -> Iterator[Mismatch]:
    _, _, _, days, months, weekdays = source.texts
    weekday = day.isoweekday() % 7
    of_month, of_week = names_day(DAY, source.items[3], day), names_day(WEEKDAY, source.items[5], day)
    if all(day.month not in item.values for item in source.items[4] if isinstance(item, Steps)):
        text = f"the month is {day.month} ({MONTHS[day.month - 1]}), and the expression says {months}"
        yield Mismatch("month", str(day.month), months, text)
    if source.either:
        if not of_month and not of_week:
            value, allowed = f"{WEEKDAYS[weekday]} the {day.day}", f"{DAY.name} {days} or {WEEKDAY.name} {weekdays}"
            text = f"the day is {WEEKDAYS[weekday]}, day {day.day} of the month, and the expression says {allowed}"
            yield Mismatch("day", value, allowed, text)
        return
    if not of_month:
        text = f"the day of month is {day.day}, and the expression says {days}"
        yield Mismatch("day_of_month", str(day.day), days, text)
    if not of_week:
        text = f"the day of week is {weekday} ({WEEKDAYS[weekday]}), and the expression says {weekdays}"
        yield Mismatch("day_of_week", str(weekday), weekdays, text)


def _of_interval(timing: Timing, instant: int) -> Iterator[Mismatch]:
    anchor, first, step = interval_grid(timing)
    number, past = divmod(instant - anchor, step)
    if number < first:
        value = f"{duration_in_words(anchor + first * step - instant)} before the first occurrence"
        text = f"it is {value}"
    elif past:
        value = f"{duration_in_words(past)} after occurrence {number}"
        text = f"it is {value} and {duration_in_words(step - past)} before the next"
    else:
        return
    allowed = f"every {duration_in_words(step)} from {local_iso(load_zone(timing.timezone), anchor)}"
    yield Mismatch("interval", value, allowed, text)


def _of_one_time(timing: Timing, instant: int) -> Iterator[Mismatch]:
    named = 0 if timing.scheduled_time is None else to_ms(timing.scheduled_time)
    fires = single_instant(timing)
    # At the instant that it names, a day off is what stands in the way.
    if instant in (named, fires):
        return
    only, zone = named if fires is None else fires, load_zone(timing.timezone)
    away, which = duration_in_words(abs(instant - only)), "before" if instant < only else "after"
    text = f"it is {away} {which} the schedule's only instant, {local_iso(zone, only)}"
    yield Mismatch("instant", local_iso(zone, instant), local_iso(zone, only), text)
