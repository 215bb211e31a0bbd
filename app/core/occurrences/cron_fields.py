"""A cron expression as bit sets: what the search asks, prepared once for each expression.

Parsing costs a hundred times more than a search, hence the bounded cache.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from croniter import croniter

from app.core.errors import InvalidScheduleException
from app.core.occurrences.cron_grammar import (
    FIELDS,
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
from app.core.occurrences.instants import month_length, quoted

# The days of a month of 31 that fall on a weekday, by the weekday of its first day; both count from Sunday, 0.
_DAYS_ON = tuple(
    tuple(sum(1 << day for day in range(1, 32) if (first + day - 1) % 7 == weekday) for weekday in range(7))
    for first in range(7)
)


@dataclass(frozen=True, slots=True)
class CronFields:
    """Bit *n* of a set stands for the value *n*.

    `days` holds the days that fire (bit 0 is 1 January) for each of the 14 shapes that a year can have: index
    `7 * leap + weekday of 1 January`, Sunday being 0. So both day fields, their special forms, the months and the
    either-match are settled here, and the search looks at one number a year.
    """

    seconds: int
    minutes: int
    hours: int
    days: tuple[int, ...]
    wild: bool


@lru_cache(maxsize=4096)
def parse_cron(expression: str) -> CronFields:
    """The bit sets of an expression.

    Raises:
        InvalidScheduleException: not of the dialect, or no day of any year matches.
    """
    source = read_cron(expression)
    seconds, minutes, hours, days, months, weekdays = _expand(source)
    table = _year_table(months, _month_table(source, days, weekdays))
    # Every shape of year comes within the calendar's 400 years.
    if not any(table):
        raise InvalidScheduleException.of(
            "cron_expression",
            f"cron_expression {quoted(expression)}: it never occurs: no day matches day of month {source.texts[3]}, "
            f"month {source.texts[4]} and day of week {source.texts[5]}; name a day that these months have",
        )
    return CronFields(seconds, minutes, hours, table, source.wild)


def _expand(source: CronSource) -> list[int]:
    """The plain items of each field as a bit set, by croniter; special day forms are left out.

    croniter reads `7-7` and `5-5/2` as the whole field and turns reversed ranges around. The grammar has settled
    those: what it is handed here are single values and ranges that rise.
    """
    plain = [[item for item in items if isinstance(item, Steps)] for items in source.items]
    text = " ".join(",".join(_plain_text(field, items)) or "*" for field, items in zip(FIELDS, plain, strict=True))
    # croniter moves the seconds to the end.
    *expanded, seconds = croniter.expand(text, second_at_beginning=True)[0]
    sets = []
    for field, items, values in zip(FIELDS, plain, [seconds, *expanded], strict=True):
        whole = values == ["*"]
        sets.append(_bits(range(field.low, field.open_end + 1) if whole else values) if items else 0)
    return sets


def _plain_text(field: Field, items: Iterable[Steps]) -> Iterable[str]:
    for item in items:
        if item.low == item.high:
            yield str(item.low % 7 if field is WEEKDAY else item.low)
        elif field is WEEKDAY and item.high == 7:
            yield from (str(value % 7) for value in item.values)
        else:
            yield f"{item.low}-{item.high}/{item.step}"


def _year_table(months: int, month_table: list[int]) -> tuple[int, ...]:
    table = []
    for shape in range(14):
        leap, weekday = divmod(shape, 7)
        days = position = 0
        for month in range(1, 13):
            length = month_length(2028 if leap else 2027, month)
            if months >> month & 1:
                days |= month_table[(length - 28) * 7 + (weekday + position) % 7] >> 1 << position
            position += length
        table.append(days)
    return tuple(table)


def _month_table(source: CronSource, plain_days: int, plain_weekdays: int) -> list[int]:
    """The days of the month that fire: index `(length - 28) * 7 + weekday of its first day`, Sunday being 0."""
    table = []
    for length in (28, 29, 30, 31):
        within = (2 << length) - 2
        for first in range(7):
            days, on_weekdays = plain_days, 0
            for weekday in range(7):
                if plain_weekdays >> weekday & 1:
                    on_weekdays |= _DAYS_ON[first][weekday]
            for item in source.items[3]:
                days |= _special_days(item, length, first)
            for item in source.items[5]:
                on_weekdays |= _special_days(item, length, first)
            table.append((days | on_weekdays if source.either else days & on_weekdays) & within)
    return table


def _special_days(item: Item, length: int, first: int) -> int:
    """The days of one special item in a month of that shape, as a bit set; bits beyond the month may be set."""
    match item:
        case LastDay(days_before):
            return 1 << (length - days_before) if days_before < length else 0
        case NearestWeekday(day, last):
            return 1 << _nearest_weekday(min(day, length), length, first, backward=last)
        case NthWeekday(weekday, nth):
            day = 1 + (weekday - first) % 7
            return 1 << (day + 7 * (nth - 1) if nth else day + (length - day) // 7 * 7)
        case Steps():
            return 0


def _nearest_weekday(day: int, length: int, first: int, *, backward: bool) -> int:
    weekday = (first + day - 1) % 7
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 0:
        return day + 1 if day < length and not backward else day - 2
    return day


def names_day(field: Field, items: Iterable[Item], day: date) -> bool:
    """Whether the items of one of the two day fields name a day, whatever the other field says."""
    number = day.isoweekday() % 7 if field is WEEKDAY else day.day
    length, first = month_length(day.year, day.month), (day.toordinal() - day.day + 1) % 7
    return any(
        number in {value % 7 if field is WEEKDAY else value for value in item.values}
        if isinstance(item, Steps)
        else _special_days(item, length, first) >> day.day & 1 == 1
        for item in items
    )


def _bits(values: Iterable[int]) -> int:
    return sum(1 << value for value in set(values))
