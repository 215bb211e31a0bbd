"""Where a cron expression matches on a wall clock that never changes: the next match, the one before, and how many.

A wall-clock time is a whole number of seconds since 1970-01-01T00:00:00 on that same clock. Nothing is stepped
through: within a day by bit sets, from day to day by a `DaySet`.
"""

from collections.abc import Iterator

from app.core.occurrences.cron_fields import CronFields
from app.core.occurrences.day_sets import DaySet
from app.core.occurrences.instants import DAY_SECONDS, EPOCH_ORDINAL


class WallClock:
    """The times of day of an expression on a set of days, in wall-clock seconds of the years 0001 to 9999."""

    __slots__ = ("_every_day", "_first_time", "_hours", "_last_time", "_minutes", "_seconds", "days")

    def __init__(self, fields: CronFields, days: DaySet) -> None:
        self._seconds, self._minutes, self._hours = fields.seconds, fields.minutes, fields.hours
        self.days, self._every_day = days, days.every_day
        self._first_time = _lowest(self._hours) * 3600 + _lowest(self._minutes) * 60 + _lowest(self._seconds)
        self._last_time = (
            (self._hours.bit_length() - 1) * 3600
            + (self._minutes.bit_length() - 1) * 60
            + (self._seconds.bit_length() - 1)
        )

    def next_at(self, wall: int) -> int | None:
        """The first match at or after a wall-clock second; None where the calendar ends first."""
        day, time = divmod(wall, DAY_SECONDS)
        if self._every_day:
            found = self._time_from(time)
            return wall - time + found if found >= 0 else wall - time + DAY_SECONDS + self._first_time
        following = self.days.next_day(day + EPOCH_ORDINAL + (time > self._last_time))
        if following is None:
            return None
        if following == day + EPOCH_ORDINAL:
            return wall - time + self._time_from(time)
        return (following - EPOCH_ORDINAL) * DAY_SECONDS + self._first_time

    def previous_at(self, wall: int) -> int | None:
        """The last match at or before a wall-clock second; None where the calendar begins after it."""
        day, time = divmod(wall, DAY_SECONDS)
        before = self.days.previous_day(day + EPOCH_ORDINAL - (time < self._first_time))
        if before is None:
            return None
        if before == day + EPOCH_ORDINAL:
            return wall - time + self._time_until(time)
        return (before - EPOCH_ORDINAL) * DAY_SECONDS + self._last_time

    def count(self, start: int, stop: int) -> int:
        """How many matches lie at or after `start` and before `stop`."""
        if stop <= start:
            return 0
        first_day, first_time = divmod(start, DAY_SECONDS)
        last_day, last_time = divmod(stop, DAY_SECONDS)
        a_day = self._hours.bit_count() * self._minutes.bit_count() * self._seconds.bit_count()
        days = last_day - first_day
        if not self._every_day:
            days = self.days.count(first_day + EPOCH_ORDINAL, last_day + EPOCH_ORDINAL)
        total = days * a_day
        if first_time and self._has_day(first_day):
            total -= self._count_before(first_time)
        if last_time and self._has_day(last_day):
            total += self._count_before(last_time)
        return total

    def between(self, start: int, stop: int) -> Iterator[int]:
        """The matches at or after `start` and before `stop`, one after the other."""
        wall = self.next_at(start)
        while wall is not None and wall < stop:
            yield wall
            wall = self.next_at(wall + 1)

    def _has_day(self, day: int) -> bool:
        return self._every_day or self.days.holds(day + EPOCH_ORDINAL)

    def _time_from(self, time: int) -> int:
        """The first matching second of a day at or after `time`; -1 when there is none."""
        hour, rest = divmod(time, 3600)
        minute, second = divmod(rest, 60)
        hours = self._hours >> hour
        if hours & 1:
            minutes = self._minutes >> minute
            if minutes & 1 and (seconds := self._seconds >> second):
                return time + _lowest(seconds)
            if minutes := minutes >> 1:
                return hour * 3600 + (minute + 1 + _lowest(minutes)) * 60 + _lowest(self._seconds)
        if hours := hours >> 1:
            return (hour + 1 + _lowest(hours)) * 3600 + self._first_time % 3600
        return -1

    def _time_until(self, time: int) -> int:
        """The last matching second of a day at or before `time`, which is not before the day's first."""
        hour, rest = divmod(time, 3600)
        minute, second = divmod(rest, 60)
        if self._hours >> hour & 1:
            if self._minutes >> minute & 1 and (seconds := self._seconds & (2 << second) - 1):
                return hour * 3600 + minute * 60 + seconds.bit_length() - 1
            if minutes := self._minutes & (1 << minute) - 1:
                return hour * 3600 + (minutes.bit_length() - 1) * 60 + self._seconds.bit_length() - 1
        hours = self._hours & (1 << hour) - 1
        return (hours.bit_length() - 1) * 3600 + self._last_time % 3600

    def _count_before(self, time: int) -> int:
        """How many seconds of a day match before `time`."""
        hour, rest = divmod(time, 3600)
        minute, second = divmod(rest, 60)
        a_minute = self._seconds.bit_count()
        total = (self._hours & (1 << hour) - 1).bit_count() * self._minutes.bit_count() * a_minute
        if self._hours >> hour & 1:
            total += (self._minutes & (1 << minute) - 1).bit_count() * a_minute
            if self._minutes >> minute & 1:
                total += (self._seconds & (1 << second) - 1).bit_count()
        return total


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1
