"""The cron dialect: what may be written, and what each field's items mean.

The rules are vixie/Debian cron's, with a leading field for seconds and the day forms `L`, `W` and `#` of Quartz. What
is not named here is refused, with the field, the value and what would be right.
"""

import re
from dataclasses import dataclass

from app.core.errors import InvalidScheduleException
from app.core.occurrences.instants import quoted

LONGEST_EXPRESSION = 255

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_ALIASES = {
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
    "@MONTHLY": "0 0 1 * *",
    "@WEEKLY": "0 0 * * 0",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@HOURLY": "0 * * * *",
}
_ITEM = re.compile(r"(?:(\*)|([0-9]+|[A-Za-z]+)(?:-([0-9]+|[A-Za-z]+))?)(?:/([0-9]+))?")
_LAST = 0  # stands for "last" where a number says which one


@dataclass(frozen=True, slots=True)
class Field:
    """One of the six fields: its name in messages, its values, and the largest value that `*` and `a/s` run to."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    @property
    def open_end(self) -> int:
        return 6 if self is WEEKDAY else self.high

    @property
    def range_text(self) -> str:
        return f"{self.low}-{self.high}" + (f" or {self.names[0]}-{self.names[-1]}" if self.names else "")


SECOND = Field("second", 0, 59)
MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY = Field("day of month", 1, 31)
MONTH = Field("month", 1, 12, _MONTHS)
WEEKDAY = Field("day of week", 0, 7, _WEEKDAYS)
FIELDS = (SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY)


@dataclass(frozen=True, slots=True)
class Steps:
    """`low`, `low + step` and so on up to `high`; `low == high` is a single value."""

    low: int
    high: int
    step: int = 1

    @property
    def values(self) -> range:
        return range(self.low, self.high + 1, self.step)


@dataclass(frozen=True, slots=True)
class LastDay:
    """`L` and `L-3`: that many days before the last of the month; in a month too short, none."""

    days_before: int = 0


@dataclass(frozen=True, slots=True)
class NearestWeekday:
    """`15W`: the Monday to Friday nearest to that day, within its month. A month without that day counts its last.

    `LW` is the one nearest to day 31 and not after it: `last` is true.
    """

    day: int
    last: bool = False


@dataclass(frozen=True, slots=True)
class NthWeekday:
    """`FRI#2`, `FRIL`: the so-manieth of that weekday (0 is Sunday) in the month; `nth` 0 is the last."""

    weekday: int
    nth: int = _LAST


Item = Steps | LastDay | NearestWeekday | NthWeekday


@dataclass(frozen=True, slots=True)
class CronSource:
    """An expression taken apart: its six fields as written (an alias as what it stands for) and their items.

    `wild` says how it treats a change of the clocks (see `daylight`), `either` whether a day that matches only one of
    the two day fields fires.
    """

    texts: tuple[str, ...]
    items: tuple[tuple[Item, ...], ...]
    wild: bool
    either: bool


def read_cron(expression: str) -> CronSource:
    """Take an expression apart by the grammar.

    Raises:
        InvalidScheduleException: anything that the dialect does not name.
    """
    try:
        return _read(expression)
    except _Refused as refused:
        message = f"cron_expression {quoted(expression)}: {refused}"
        raise InvalidScheduleException.of("cron_expression", message) from None


class _Refused(Exception):
    """What is wrong with an expression, and what would be right."""


def _read(expression: str) -> CronSource:
    if len(expression) > LONGEST_EXPRESSION:
        raise _Refused(f"{len(expression)} characters are too long; at most {LONGEST_EXPRESSION} are allowed")
    if not all(" " <= character <= "~" or character == "\t" for character in expression):
        raise _Refused("only printable ASCII characters, spaces and tabs are allowed")
    texts = expression.split()
    _check_blanks(texts)
    if texts and texts[0].startswith("@"):
        texts = _read_alias(texts)
    if len(texts) == 7:
        raise _Refused("it has 7 fields, and a year field is not supported; bound it by start_at and end_at")
    if len(texts) == 6:
        _check_order(texts)
    if len(texts) not in (5, 6):
        raise _Refused(
            f"it has {len(texts)} {'field' if len(texts) == 1 else 'fields'}; 5 (minute, hour, day of month, month, "
            "day of week) or 6 (the same after a second) are needed"
        )
    clock = texts[:-3]
    texts = ["0", *texts] if len(texts) == 5 else texts
    items = tuple(_read_field(field, text) for field, text in zip(FIELDS, texts, strict=True))
    return CronSource(
        texts=tuple(texts),
        items=items,
        wild=any(text.startswith("*") for text in clock),
        either=not any(text.startswith(("*", "?")) for text in (texts[3], texts[5])),
    )


def _check_blanks(texts: list[str]) -> None:
    """Refuse a zone before the fields, and a list with blanks in it, which would be read as more fields than it is."""
    if texts and (zone := re.match(r"(?:CRON_)?TZ=(.*)", texts[0], re.IGNORECASE)):
        instead = f"; leave it out, and give timezone '{zone[1]}'" if zone[1] else ""
        raise _Refused(f"'{texts[0]}' is no field: a zone is given as timezone{instead}")
    closed = re.sub(r" ?, ?", ",", " ".join(texts))
    items = [item for text in closed.split() for item in text.split(",")]
    # Else something other than the blank is wrong as well.
    if len(closed.split()) in (5, 6) and len(closed.split()) != len(texts) and all(items):
        raise _Refused(f"there is no blank before or after the comma of a list: write '{closed}'")


def _check_order(texts: list[str]) -> None:
    """Refuse six fields that are meant to be five and a year: by the year, or by a `?` that stands a field too late."""
    order = "six fields are second, minute, hour, day of month, month, day of week"
    bound = "a year field is not supported; bound it by start_at and end_at"
    if re.match(r"[12][0-9]{3}(?![0-9])", texts[5]):
        raise _Refused(f"the last of its 6 fields, '{texts[5]}', looks like a year: {order}, and {bound}")
    if texts[4] == "?":
        raise _Refused(
            f"month '?' is not valid: '?' stands alone, in day of month or day of week only; {order}; {bound}"
        )


def _read_alias(texts: list[str]) -> list[str]:
    alias = texts[0].upper()
    if len(texts) == 1 and alias in _ALIASES:
        return _ALIASES[alias].split()
    if alias == "@REBOOT":
        raise _Refused("'@reboot' is not supported: nothing here reboots; use schedule_type one_time for a single run")
    if alias == "@EVERY":
        raise _Refused("'@every' is not supported; use schedule_type interval with interval_seconds")
    known = ", ".join(alias.lower() for alias in _ALIASES)
    raise _Refused(f"an alias stands alone and is one of {known}")


def _read_field(field: Field, text: str) -> tuple[Item, ...]:
    if text == "?" and field in (DAY, WEEKDAY):
        return (Steps(field.low, field.open_end),)
    return tuple(_read_item(field, item) for item in text.split(","))


def _read_item(field: Field, text: str) -> Item:
    if not text:
        raise _Refused(f"{field.name} has an empty item in its list; separate values by single commas")
    if field is DAY and (day_item := _read_day_item(text)) is not None:
        return day_item
    if field is WEEKDAY and (weekday_item := _read_weekday_item(text)) is not None:
        return weekday_item
    match = _ITEM.fullmatch(text)
    if match is None or _is_special(field, text):
        raise _Refused(_advice(field, text))
    star, first, last, step_text = match.groups()
    step = int(step_text) if step_text else 1
    low, high = (field.low, field.open_end) if star else _ends(field, first, last, stepped=bool(step_text))
    if high < low:
        raise _Refused(
            f"{field.name} range '{text}' is reversed; within {field.range_text} a range rises: write "
            f"'{_round_the_end(field, first, last, max(step, 1))}'"
        )
    # Only after its ends, or what it is to be instead would be refused for these.
    if step == 0:
        example = f"{text[: match.start(4)]}1"
        raise _Refused(f"step 0 in {field.name} '{text}' is out of range; a step is at least 1, as in '{example}'")
    return _steps(low, high, step)


def _ends(field: Field, first: str, last: str | None, *, stepped: bool) -> tuple[int, int]:
    """The first value of `a`, `a/s` and `a-b`, and the largest that may be reached."""
    low = _value(field, first)
    if last is None:
        if not stepped:
            return low, low
        return low % 7 if field is WEEKDAY else low, field.open_end
    if field is WEEKDAY and last.upper() == "SUN" and first.upper() != "SUN":
        return low, 7
    return low, _value(field, last)


def _round_the_end(field: Field, first: str, last: str, step: int) -> str:
    """What a reversed range is meant to name, as it may be written: up to the largest value, and from the smallest."""
    from_value, to_value, size = _value(field, first), _value(field, last), field.open_end + 1 - field.low
    if field is WEEKDAY and from_value == 7:
        return f"0-{last}" + (f"/{step}" if step > 1 else "")
    if step > 1:
        meant = range(from_value, to_value + size + 1, step)
        return ",".join(str((value - field.low) % size + field.low) for value in meant)
    named = bool(field.names) and not first.isdigit() and not last.isdigit()
    low_end, high_end = (field.names[0], field.names[-1]) if named else (str(field.low), str(field.open_end))
    high = first if from_value == field.open_end else f"{first}-{high_end}"
    low = last if to_value == field.low else f"{low_end}-{last}"
    return f"{high},{low}"


def _steps(low: int, high: int, step: int) -> Steps:
    """With the end moved to the last value reached: a step wider than the range leaves a single value."""
    step = min(step, max(high - low + 1, 1))
    return Steps(low, low + (high - low) // step * step, step)


def _read_day_item(text: str) -> Item | None:
    item = text.upper()
    if item == "L":
        return LastDay()
    if item == "LW":
        return NearestWeekday(31, last=True)
    if match := re.fullmatch(r"L-([0-9]+)", item):
        if not 1 <= int(match[1]) <= 30:
            raise _Refused(f"{DAY.name} '{text}': the offset {int(match[1])} is out of range 1-30")
        return LastDay(int(match[1]))
    if match := re.fullmatch(r"([0-9]+)W", item):
        return NearestWeekday(_value(DAY, match[1]))
    return None


def _read_weekday_item(text: str) -> Item | None:
    if match := re.fullmatch(r"([0-9]+|[A-Za-z]{3})#([0-9]+)", text):
        if not 1 <= int(match[2]) <= 5:
            raise _Refused(f"{WEEKDAY.name} '{text}': {int(match[2])} after # is out of range 1-5")
        return NthWeekday(_value(WEEKDAY, match[1]) % 7, int(match[2]))
    if match := re.fullmatch(r"([0-9]+|[A-Za-z]{3})[Ll]|[Ll]([0-9]+)", text):
        return NthWeekday(_value(WEEKDAY, match[1] or match[2]) % 7)
    return None


def _is_special(field: Field, text: str) -> bool:
    """Whether an item has a letter or sign of the special forms, though it is none of them."""
    return bool((field is DAY and re.search(r"[LW]", text.upper())) or (field is WEEKDAY and re.search(r"[Ll#]", text)))


def _value(field: Field, text: str) -> int:
    if (name := text.upper()) in field.names:
        return field.names.index(name) + field.low
    if not text.isdigit():
        raise _Refused(_advice(field, text))
    value = int(text)
    if not field.low <= value <= field.high:
        hint = "; a year field is not supported, use start_at and end_at" if field is WEEKDAY and value >= 1900 else ""
        raise _Refused(f"{field.name} {value} is out of range {field.range_text}{hint}")
    return value


def _advice(field: Field, text: str) -> str:
    """What to write instead of an item that is no item of this field."""
    start = f"{field.name} '{text}' is not valid"
    if "~" in text or re.match(r"[RHrh](?:\(|/|$)", text):
        return f"{start}: random and hashed forms are not supported; use jitter_seconds, which stays stable"
    if "?" in text:
        return f"{start}: '?' stands alone, in day of month or day of week only; write '*'"
    takes = f"it takes {field.range_text}, as *, a, a-b, a-b/step, */step, a/step or a list with commas"
    if _is_special(field, text):
        forms = "L, L-3, 15W and LW, each an item of its own (L-1 to L-30)"
        if field is WEEKDAY:
            forms = "FRI#2, 5#2, 5L and FRIL, each an item of its own (#1 to #5)"
        return f"{start}: the special forms are {forms}; else {takes}"
    return f"{start}: {takes}"
