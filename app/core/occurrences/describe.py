"""A timing in words, for people who read a preview."""

from collections.abc import Callable
from datetime import timedelta, timezone
from functools import lru_cache

from cron_descriptor import DescriptionTypeEnum, ExpressionDescriptor, Options

from app.core.occurrences.business_days import OnDayOff
from app.core.occurrences.cron_grammar import (
    DAY,
    HOUR,
    MINUTE,
    MONTH,
    SECOND,
    WEEKDAY,
    CronSource,
    Field,
    Item,
    LastDay,
    NearestWeekday,
    NthWeekday,
    Steps,
    read_cron,
)
from app.core.occurrences.instants import floor_second
from app.core.occurrences.timing import ScheduleType, Timing
from app.core.occurrences.words import MONTHS, WEEKDAYS, duration_in_words, listed
from app.core.occurrences.zones import load_zone

_ORDINALS = ("last", "first", "second", "third", "fourth", "fifth")
_WORDING = (
    (", every minute", ""),
    (", every hour", ""),
    (" through ", " to "),
    (", and ", " and "),
    ("at 1 minutes", "at 1 minute"),
    ("at 1 seconds", "at 1 second"),
)
_ON_DAYS_OFF = {
    OnDayOff.SKIP: ", except on days off",
    OnDayOff.NEXT_BUSINESS_DAY: ", moved to the next business day",
    OnDayOff.PREVIOUS_BUSINESS_DAY: ", moved to the previous business day",
}


def describe(timing: Timing) -> str:
    """The timing in words, such as "At 12:00, Monday to Friday", "Every 15 minutes, except on days off".

    Its bounds, its jitter and what it does when clocks change are left out.

    Raises:
        InvalidScheduleException: the timing is refused by `check_timing`.
    """
    if timing.schedule_type is ScheduleType.CRON:
        words = _cron(timing.cron_expression or "")
    elif timing.schedule_type is ScheduleType.INTERVAL:
        words = _interval(timing.interval_seconds or 0)
    else:
        words = _one_time(timing)
    return words if timing.days is None else words + _ON_DAYS_OFF[timing.days.on_day_off]


@lru_cache(maxsize=1024)
def _cron(expression: str) -> str:
    source = read_cron(expression)
    return _time_of_day(source) + _days(source) + _months(source)


def _interval(seconds: int) -> str:
    if seconds == 86_400:
        return "Every 24 hours"  # "every day" would promise the same wall-clock time
    text = duration_in_words(seconds * 1000)
    return "Every " + (text if " and " in text else text.removeprefix("1 "))


def _one_time(timing: Timing) -> str:
    instant = timing.scheduled_time
    if instant is None:
        return "Once"
    offset = load_zone(timing.timezone).offset_at(floor_second(instant))
    try:
        local, zone = instant.astimezone(timezone(timedelta(seconds=offset))), timing.timezone
    except OverflowError:
        local, zone = instant, "UTC"
    clock = f"{local.hour:02}:{local.minute:02}" + (f":{local.second:02}" if local.second else "")
    return f"Once, on {local.year:04}-{local.month:02}-{local.day:02} at {clock} ({zone})"


def _time_of_day(source: CronSource) -> str:
    """By cron_descriptor, which reads seconds first as we do, from fields rewritten to what it says rightly."""
    second, minute, hour = (
        _rewritten(field, items) for field, items in zip((SECOND, MINUTE, HOUR), source.items[:3], strict=True)
    )
    several_times_an_hour = not minute.isdigit() or not second.isdigit()
    if "-" in hour and second == "0" and minute.isdigit():
        # It would say "between 09:00 and 17:59" of what fires at 17:00 for the last time.
        return "Every hour from " + " to ".join(f"{int(end):02}:{int(minute):02}" for end in hour.split("-"))
    during = several_times_an_hour and "," in hour
    options = Options()
    options.locale_code = "en_US"
    options.use_24hour_time_format = True
    try:
        descriptor = ExpressionDescriptor(f"{second} {minute} {'*' if during else hour} * * *", options)
        text = str(descriptor.get_description(DescriptionTypeEnum.TIMEOFDAY))
    except Exception:  # a preview is not refused because words for it are lacking
        return f"At hour {hour}, minute {minute}, second {second}"
    for theirs, ours in _WORDING:
        text = text.replace(theirs, ours)
    if during:
        # It would say "at 09:00 and 17:00" of what fires all through these hours.
        text += f", during hours {listed(hour.split(','))}"
    return text[:1].upper() + text[1:]


def _rewritten(field: Field, items: tuple[Item, ...]) -> str:
    """A time field in plain forms: a step that does not divide its field, and a list, become their values."""
    steps = [item for item in items if isinstance(item, Steps)]
    values = sorted({value for item in steps for value in item.values})
    if len(values) == field.high + 1:
        return "*"
    if len(steps) == 1 and len(values) > 2:
        (only,) = steps
        if only.step == 1:
            return f"{only.low}-{only.high}"
        if (field.high + 1) % only.step == 0 and only.high + only.step > field.high:
            return f"{only.low}/{only.step}"
    return ",".join(str(value) for value in values)


def _days(source: CronSource) -> str:
    days, weekdays = source.items[3], source.items[5]
    parts = []
    if not _is_all(DAY, days):
        words = listed([_day_words(days), *_special_day_words(days)])
        parts.append(words if words[0].isdigit() else f"on {words}")
    if not _is_all(WEEKDAY, weekdays):
        parts.append(_weekday_words(weekdays))
    if source.either and len(parts) < 2:
        return ""  # one of the two fields names every day, and either is enough
    if not parts:
        return ""
    if len(parts) == 1:
        return ", " + parts[0]
    return f", {parts[0]}, or {parts[1]}" if source.either else f", {parts[0]}, if that is also {_also(parts[1])}"


def _also(words: str) -> str:
    return words.removeprefix("on ")


def _day_words(items: tuple[Item, ...]) -> str:
    plain = [item for item in items if isinstance(item, Steps)]
    if not plain:
        return ""
    several = len(plain) > 1 or plain[0].low != plain[0].high
    return f"{'days' if several else 'day'} {listed([_steps_words(item, str) for item in plain])} of the month"


def _special_day_words(items: tuple[Item, ...]) -> list[str]:
    words = []
    for item in items:
        match item:
            case LastDay(days_before):
                before = f"{days_before} day{'s' if days_before > 1 else ''} before " if days_before else ""
                words.append(f"{before}the last day of the month")
            case NearestWeekday(day, last):
                words.append(
                    "the last weekday of the month" if last else f"the weekday nearest to day {day} of the month"
                )
            case _:
                pass
    return words


def _weekday_words(items: tuple[Item, ...]) -> str:
    words = []
    for item in items:
        if isinstance(item, Steps):
            words.append(_steps_words(item, lambda value: WEEKDAYS[value % 7]))
        elif isinstance(item, NthWeekday):
            words.append(f"the {_ORDINALS[item.nth]} {WEEKDAYS[item.weekday]} of the month")
    text = listed(words)
    return text if len(words) == 1 and " to " in text else f"on {text}"


def _months(source: CronSource) -> str:
    items = source.items[4]
    if _is_all(MONTH, items):
        return ""
    steps = [item for item in items if isinstance(item, Steps)]
    return ", in " + listed([_steps_words(item, lambda value: MONTHS[value - 1]) for item in steps])


def _steps_words(item: Steps, word: Callable[[int], str]) -> str:
    values = item.values
    if len(values) <= 2 or (item.step > 1 and len(values) <= 6):
        return listed([word(value) for value in values])
    if item.step == 1:
        return f"{word(item.low)} to {word(item.high)}"
    return f"{word(values[0])}, {word(values[1])}, {word(values[2])}, … {word(values[-1])}"


def _is_all(field: Field, items: tuple[Item, ...]) -> bool:
    values = {value for item in items if isinstance(item, Steps) for value in item.values}
    return len({value % 7 for value in values}) == 7 if field is WEEKDAY else len(values) == field.high + 1 - field.low
