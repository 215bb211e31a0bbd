"""Instants, durations and people in words, so that an explanation can be read aloud."""

from datetime import datetime, timedelta, timezone

from app.core.clock import to_ms
from app.core.errors import InvalidScheduleException
from app.core.occurrences.instants import floor_second
from app.core.occurrences.words import day_in_words, listed
from app.core.occurrences.zones import load_zone

_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
_DAY = 86_400
_LONGEST_QUOTE = 200


class Clockface:
    """A zone's wall clock; UTC's where the zone is not known any more."""

    def __init__(self, timezone_name: str) -> None:
        try:
            self._zone = load_zone(timezone_name)
        except InvalidScheduleException:
            self._zone = load_zone("UTC")
        self.name = self._zone.name

    def local(self, instant: datetime) -> datetime:
        """The instant with the zone's offset at that time; in UTC at the ends of the calendar."""
        offset = timezone(timedelta(seconds=self._zone.offset_at(floor_second(instant))))
        try:
            return instant.astimezone(offset)
        except OverflowError:
            return instant

    def day_and_time(self, instant: datetime) -> str:
        """Such as "Friday 2026-12-25 at 12:00"; with the offset where the clock shows that time twice."""
        return f"{day_in_words(self.local(instant).toordinal())} at {self.time(instant)}"

    def named(self, instant: datetime) -> str:
        """The same with the zone's name."""
        return f"{self.day_and_time(instant)} ({self.name})"

    def then(self, instant: datetime, told: datetime) -> str:
        """An instant after another one was told: the time alone where it is the same day."""
        return self.time(instant) if self._is_same_day(instant, told) else self.day_and_time(instant)

    def when(self, instant: datetime, told: datetime) -> str:
        """The same as an answer to "when?", such as "at 12:00" or "on Friday 2026-12-25 at 12:00"."""
        return f"{'at' if self._is_same_day(instant, told) else 'on'} {self.then(instant, told)}"

    def time(self, instant: datetime) -> str:
        """Such as "12:00", with what it has of seconds."""
        local = self.local(instant)
        text = f"{local.hour:02}:{local.minute:02}"
        if local.second or local.microsecond:
            text += f":{local.second:02}"
        if local.microsecond:
            text += f".{local.microsecond // 1000:03}"
        return f"{text} {offset_text(local)}" if self._is_shown_twice(instant) else text

    def _is_same_day(self, one: datetime, other: datetime) -> bool:
        return self.local(one).date() == self.local(other).date()

    def _is_shown_twice(self, instant: datetime) -> bool:
        second = floor_second(instant)
        offset = self._zone.offset_at(second)
        for other in {self._zone.offset_at(second - _DAY), self._zone.offset_at(second + _DAY)} - {offset}:
            if self._zone.offset_at(second + offset - other) == other:
                return True
        return False


def offset_text(local: datetime) -> str:
    """The offset of a local time, such as "UTC+02:00"."""
    seconds = round((local.utcoffset() or timedelta()).total_seconds())
    if seconds == 0:
        return "UTC"
    hours, rest = divmod(abs(seconds), 3600)
    text = f"UTC{'-' if seconds < 0 else '+'}{hours:02}:{rest // 60:02}"
    return f"{text}:{rest % 60:02}" if rest % 60 else text


def lasting(duration: timedelta) -> str:
    """A duration by its two largest units, such as "3 hours and 20 minutes"."""
    milliseconds = duration // timedelta(milliseconds=1)
    if milliseconds < 1000:
        return counted(milliseconds, "millisecond")
    if milliseconds < 10_000 and milliseconds % 1000:
        return f"{milliseconds / 1000:.1f} seconds"
    seconds = round(milliseconds / 1000)
    parts: list[str] = []
    for unit, size in _UNITS:
        number, seconds = divmod(seconds, size)
        if number or parts:
            parts.append(counted(number, unit) if number else "")
        if len(parts) == 2:
            break
    return listed([part for part in parts if part])


def until(instant: datetime, now: datetime) -> str:
    """How far an instant lies from now: "in 2 hours", "3 days ago", "now"."""
    if abs(to_ms(instant) - to_ms(now)) < 1000:
        return "now"
    return f"in {lasting(instant - now)}" if instant > now else f"{lasting(now - instant)} ago"


def roughly(instant: datetime) -> datetime:
    """An instant to the second, where more of it says nothing to anybody."""
    return instant.replace(microsecond=0)


def counted(number: int, thing: str, things: str | None = None) -> str:
    """Such as "1 run", "12 runs", "8,640 runs"."""
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"


def times(number: int) -> str:
    """Such as "once", "twice", "3 times"."""
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")


def who(user: str | None, *, automatic: bool = False) -> str:
    """Who did something, such as "by anna"."""
    if automatic:
        return "by the service itself"
    return "by a caller without a name" if user is None else f"by {one_line(user)}"


def because(reason: str | None) -> str:
    """A reason as it was given, to follow what it is given for: ' ("stock-taking")'."""
    return "" if reason is None or not reason.strip() else f' ("{one_line(reason)}")'


def sentence(text: str) -> str:
    """A text as a sentence of its own: begun by a capital, ended by a full stop."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def one_line(text: str) -> str:
    """A caller's or a target's text within a sentence: one line, not too long, without a full stop."""
    line = " ".join(text.split()).removesuffix(".")
    return line if len(line) <= _LONGEST_QUOTE else f"{line[: _LONGEST_QUOTE - 1]}…"
