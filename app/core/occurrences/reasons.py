"""What comes between a rule and the instants at which it fires, each reason in words."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from app.core.occurrences.business_days import BusinessDays, OnDayOff
from app.core.occurrences.clock_changes import Jump
from app.core.occurrences.instants import DAY_SECONDS, EPOCH_ORDINAL
from app.core.occurrences.words import HANDFUL, day_in_words, iso_date, listed, time_in_words, wall_iso

_NTH = ("first", "second", "third")
_RULES = {OnDayOff.NEXT_BUSINESS_DAY: "next", OnDayOff.PREVIOUS_BUSINESS_DAY: "previous"}


class AdjustmentCause(StrEnum):
    """What came between a rule and the instants at which it fires."""

    GAP = "gap"
    """The clock jumped forward over a wall-clock time."""
    FOLD = "fold"
    """The clock, set back, shows a wall-clock time twice."""
    CALENDAR = "calendar"
    """The day is off, or on a weekend."""


class Fate(Enum):
    """What becomes of an occurrence that a day off moves, where it comes to lie."""

    FIRES = auto()
    BEFORE_START = auto()
    AFTER_END = auto()
    IN_GAP = auto()


_BARS = {
    Fate.BEFORE_START: ("is before start_at", "are before start_at"),
    Fate.AFTER_END: ("is after end_at", "are after end_at"),
    Fate.IN_GAP: ("does not exist", "do not exist"),
}


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One reason why a schedule does not fire simply at the wall-clock times of its rule.

    `wall_times` are the times of the rule that it concerns (ISO 8601 without an offset, on the clock of the schedule's
    zone), a handful where many fall together. `text` is a sentence.
    """

    cause: AdjustmentCause
    wall_times: tuple[str, ...]
    text: str


def gap(timezone: str, jump: Jump, walls: Sequence[int], count: int, ending: str) -> Adjustment:
    """Times that the clock jumps over: the first few of `count`. The ending says what becomes of them."""
    days = {wall // DAY_SECONDS for wall in walls}
    verb = "does not exist" if count == 1 else "do not exist"
    if len(days) == 1:
        times = listed((time_in_words(wall % DAY_SECONDS) for wall in walls), of=count)
        start = f"{times} {verb} on {iso_date(walls[0])}"
    else:
        start = f"{listed((_time_on_day(wall, None) for wall in walls), of=count)} {verb}"
    day = days.pop() if len(days) == 1 else None
    jumps = f"the clock jumps from {_time_on_day(jump.wall_from, day)} to {_time_on_day(jump.wall_to, day)}"
    text = f"{start} in {timezone}, where {jumps}{ending}"
    return Adjustment(AdjustmentCause.GAP, tuple(map(wall_iso, walls)), text)


def after_gap(jump: Jump, walls: Sequence[int], count: int, *, together: bool, hypothetical: bool = False) -> str:
    """The ending for times that fire at the first instant after a gap; `together` with that instant's own time.

    `hypothetical`: they would, if something else did not stand in the way.
    """
    fires = "it fires" if count == 1 else "they fire"
    if hypothetical:
        fires = "it would fire" if count == 1 else "they would fire"
    at = "together with" if together else "at"
    return f"; {fires} {at} {_time_on_day(jump.wall_to, walls[-1] // DAY_SECONDS)}, the first instant after."


SKIPPED_IN_GAP = ", and the schedule skips such times."


def nothing_instead(count: int, *, with_seconds: bool) -> str:
    """The ending for times in a gap of a wild expression, which fires at none of them and at nothing else."""
    place = "its place" if count == 1 else "their place"
    fields = "second, minute or hour" if with_seconds else "minute or hour"
    return f"; nothing fires in {place}, as an expression whose {fields} begins with * follows the real clock."


def fold(timezone: str, wall: int, showings: int, ending: str) -> Adjustment:
    """A time that the clock shows more than once."""
    often = "twice" if showings == 2 else f"{showings} times"
    text = f"{time_in_words(wall % DAY_SECONDS)} is shown {often} on {iso_date(wall)} in {timezone}; {ending}"
    return Adjustment(AdjustmentCause.FOLD, (wall_iso(wall),), text)


def this_showing(number: int, showings: int) -> str:
    """The ending that says which of the showings it is, counted from 0."""
    return f"this is the {_NTH[number]} of the {'two' if showings == 2 else showings}."


FIRST_SHOWING_ONLY = "it fires at the first."
WOULD_AT_FIRST_SHOWING_ONLY = "it would fire at the first."


def fires_at(numbers: Sequence[int], showings: int) -> str:
    """The ending that says at which of the showings, counted from 0, it fires; told of another instant than these."""
    if len(numbers) == showings:
        return "it fires at both." if showings == 2 else f"it fires at all {showings}."
    return f"it fires at the {listed(_NTH[number] for number in numbers)}."


def day_off(days: BusinessDays, ordinals: Sequence[int], count: int, times: Iterable[int], ending: str) -> Adjustment:
    """Days that are no business days: the first few of `count`, and the times of day that would fire on them."""
    off = [days.is_off(ordinal) for ordinal in ordinals]
    names = listed(map(day_in_words, ordinals), of=count)
    if count == 1:
        what = "is a day off" if off[0] else "is on the weekend"
    elif len(off) == count and all(off):
        what = "are days off"
    elif len(off) == count and not any(off):
        what = "are on the weekend"
    else:
        what = "are no business days"
    times = list(times)
    walls = [(ordinal - EPOCH_ORDINAL) * DAY_SECONDS + time for ordinal in ordinals for time in times]
    return Adjustment(AdjustmentCause.CALENDAR, tuple(map(wall_iso, walls[:HANDFUL])), f"{names} {what}{ending}")


SKIPPED_ON_DAY_OFF = ", and the schedule skips days off."


def moved_to(days: BusinessDays, landing: int | None, *, count: int = 1, together: bool = False) -> str:
    """The ending for days whose occurrences fire on another one; `together` with that day's own."""
    which = _RULES[days.on_day_off]
    if landing is None:
        return f", and the calendar has no {which} business day."
    fires = "it fires" if count == 1 else "they fire"
    own = ", together with that day's own" if together else ""
    return f"; {fires} on the {which} business day, {day_in_words(landing)}{own}."


def moved_away(days: BusinessDays, landing: int, fates: Collection[Fate], *, count: int) -> str:
    """The ending for days whose occurrences come to lie on another one, where each has one of these fates."""
    subject, number = ("it", 0) if count == 1 else ("they", 1)
    bars = " or ".join(words[number] for fate, words in _BARS.items() if fate in fates)
    if Fate.FIRES in fates:
        fires = moved_to(days, landing, count=count)
        return f"{fires.removesuffix('.')}, except where {subject} {bars}." if bars else fires
    where = f"to the {_RULES[days.on_day_off]} business day, {day_in_words(landing)}"
    return f"; {subject} would move {where}, where {subject} {bars}, so that nothing fires."


def _time_on_day(wall: int, day: int | None) -> str:
    """A wall-clock time, with its date unless that is the day one speaks of."""
    time = time_in_words(wall % DAY_SECONDS)
    return time if wall // DAY_SECONDS == day else f"{time} on {iso_date(wall)}"
