"""A timing in words, for people who read a preview."""

import re
from collections.abc import Callable, Iterable
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
from app.core.occurrences.words import MONTHS, WEEKDAYS, duration_in_words, listed, time_in_words
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
_MOST_TIMES = 6
"""How many times of day are named one by one where an hour has several."""
_MOST_VALUES = 12
"""How many values of a field are."""
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
    if "-" in hour and second == "0" and minute.isdigit():
        # It would say "between 09:00 and 17:59" of what fires at 17:00 for the last time.
        return "Every hour from " + " to ".join(f"{int(end):02}:{int(minute):02}" for end in hour.split("-"))
    if times := _few_times(second, minute, hour):
        return "At " + listed(times)
    minute, hour, during = _during(second, minute, hour)
    options = Options()
    options.locale_code = "en_US"
    options.use_24hour_time_format = True
    try:
        descriptor = ExpressionDescriptor(f"{second} {minute} {hour} * * *", options)
        text = str(descriptor.get_description(DescriptionTypeEnum.TIMEOFDAY))
    except Exception:  # a preview is not refused because words for it are lacking
        return f"At hour {hour}, minute {minute}, second {second}"
    for theirs, ours in _WORDING:
        text = text.replace(theirs, ours)
    for values in (second, minute):
        if "," in values:
            # The whole list behind a word: that of the seconds may be the end of that of the minutes.
            text = re.sub(rf"(?<=[a-z] ){listed(values.split(','))}\b", _values(values), text)
    return text[:1].upper() + text[1:] + during


def _few_times(second: str, minute: str, hour: str) -> list[str]:
    """The times of day of plain values, where they are few, or where each hour has one; else none."""
    fields = [field.split(",") for field in (hour, minute, second)]
    hours, minutes, seconds = fields
    if not all(value.isdigit() for field in fields for value in field):
        return []
    each_hour = len(minutes) * len(seconds)
    if len(hours) * each_hour > (_MOST_TIMES if each_hour > 1 else _MOST_VALUES):
        return []
    return [time_in_words((int(h) * 60 + int(m)) * 60 + int(s)) for h in hours for m in minutes for s in seconds]


def _during(second: str, minute: str, hour: str) -> tuple[str, str, str]:
    """What cron_descriptor is left to say of minute and hour, and what is said of them here, as times to fire during.

    It would say "at 09:00 and 17:00" of what fires all through these hours, and "every minute, every 2 hours".
    """
    finest = minute if second.isdigit() else second
    if finest.isdigit():
        return (minute, "*", _hours(hour, within=False)) if "," in hour else (minute, hour, "")
    if hour.isdigit() and ("/" not in finest and finest != "*") and not (second == "0" and "-" in minute):
        # It would say "at 22:00" of what fires at some minutes of that hour.
        return minute, "*", _hours(hour, within=False)
    every = finest == "*" or "/" in finest
    minutes = hours = ""
    if not second.isdigit() and every and minute != "*" and "-" not in minute:
        minutes, minute = f", during {_minutes(minute)}", "*"
    if (minutes and hour != "*") or "," in hour or ("/" in hour and (every or minute == "*" or "/" in minute)):
        hours, hour = _hours(hour, within=bool(minutes)), "*"
    return minute, hour, minutes + hours


def _minutes(values: str) -> str:
    if "/" in values:
        first, step = values.split("/")
        return f"every {_nth(int(step))} minute" + (f" from minute {first}" if first != "0" else "")
    return f"minute{'s' if ',' in values else ''} {_values(values)}"


def _hours(values: str, *, within: bool) -> str:
    if "/" in values:
        first, step = values.split("/")
        return f"{' of' if within else ', during'} every {_nth(int(step))} hour from {int(first):02}:00"
    if "," in values:
        return f", during hours {_values(values)}"
    first, last = values.split("-") if "-" in values else (values, values)
    return f", between {int(first):02}:00 and {int(last):02}:59"


def _values(text: str) -> str:
    """Plain values as a list; many of them, to which nobody would listen, by their step or in runs.

    Where that is as long, by the first ones, the last one and their number.
    """
    values = [int(value) for value in text.split(",")]
    if len(values) <= _MOST_VALUES:
        return listed(map(str, values))
    step = values[1] - values[0]
    if step > 1 and values == list(range(values[0], values[-1] + 1, step)):
        return f"{values[0]}, {values[1]}, {values[2]} and so on up to {values[-1]}"
    runs: list[list[int]] = []
    for value in values:
        if runs and runs[-1][-1] == value - 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    parts = [part for run in runs for part in (map(str, run) if len(run) < 3 else [f"{run[0]} to {run[-1]}"])]
    if len(parts) <= _MOST_VALUES:
        return listed(parts)
    return f"{values[0]}, {values[1]}, {values[2]}, … {values[-1]} ({len(values)} in all)"


def _nth(number: int) -> str:
    return f"{number}{ {2: 'nd', 3: 'rd'}.get(number, 'th') }"


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
        # Only what is even round the wrap: 8-20/4 of the hours pauses for twelve, and 45/5 of the minutes for fifty.
        if (field.high + 1) % only.step == 0 and only.low < only.step and only.high + only.step > field.high:
            return f"{only.low}/{only.step}"
    return ",".join(str(value) for value in values)


def _days(source: CronSource) -> str:
    days, weekdays = source.items[3], source.items[5]
    of_month = "" if _is_all(DAY, days) else _day_words(days)
    on_weekdays = not _is_all(WEEKDAY, weekdays)
    if source.either:
        # Where one of the two fields names every day, either is enough.
        return f", {of_month}, or {_weekday_words(weekdays)}" if of_month and on_weekdays else ""
    if of_month and on_weekdays:
        return f", {of_month}, if that is also {_weekday_words(weekdays, last='or').removeprefix('on ')}"
    if on_weekdays:
        return f", {_weekday_words(weekdays)}"
    return f", {of_month}" if of_month else ""


def _day_words(items: tuple[Item, ...]) -> str:
    plain = _distinct(items)
    words = []
    if plain:
        several = len(plain) > 1 or plain[0].low != plain[0].high
        named = listed(_named(plain, str))
        words.append(f"{'days' if several else 'day'} {named} of the month")
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
    text = listed(dict.fromkeys(words))
    return text if text[0].isdigit() else f"on {text}"


def _weekday_words(items: tuple[Item, ...], *, last: str = "and") -> str:
    plain = _distinct(items, 7)
    named = {value % 7 for item in plain for value in item.values}
    words = _named(plain, lambda value: WEEKDAYS[value % 7])
    words += dict.fromkeys(
        f"the {_ORDINALS[item.nth]} {WEEKDAYS[item.weekday]} of the month"
        for item in items
        if isinstance(item, NthWeekday) and item.weekday not in named
    )
    text = listed(words, last=last)
    return text if len(words) == 1 and " to " in text else f"on {text}"


def _months(source: CronSource) -> str:
    items = source.items[4]
    if _is_all(MONTH, items):
        return ""
    return ", in " + listed(_named(_distinct(items), lambda value: MONTHS[value - 1]))


def _distinct(items: tuple[Item, ...], cycle: int | None = None) -> list[Steps]:
    """The plain items of a day field or of the months, so that no value is named twice.

    Values that are `cycle` apart are one, as the two Sundays are. Items that have no value in common stay as they were
    written; others become the values that they come to, in runs.
    """
    plain = [item for item in items if isinstance(item, Steps)]
    values = [value if cycle is None else value % cycle for item in plain for value in item.values]
    if len(set(values)) == len(values):
        return plain
    runs: list[Steps] = []
    for value in sorted(set(values)):
        if runs and runs[-1].high == value - 1:
            runs[-1] = Steps(runs[-1].low, value)
        else:
            runs.append(Steps(value, value))
    return runs


def _named(items: Iterable[Steps], word: Callable[[int], str]) -> list[str]:
    words: list[str] = []
    for item in items:
        values = item.values
        if len(values) <= 2 or (item.step > 1 and len(values) <= 6):
            words += map(word, values)
        elif item.step == 1:
            words.append(f"{word(item.low)} to {word(item.high)}")
        else:
            words.append(f"{word(values[0])}, {word(values[1])}, {word(values[2])}, … {word(values[-1])}")
    return words


def _is_all(field: Field, items: tuple[Item, ...]) -> bool:
    values = {value for item in items if isinstance(item, Steps) for value in item.values}
    return len({value % 7 for value in values}) == 7 if field is WEEKDAY else len(values) == field.high + 1 - field.low
