"""Where a cron expression matches on a wall clock that never changes: the next match, the one before, and how many.

A wall-clock time is a whole number of seconds since 1970-01-01T00:00:00 on that same clock. Nothing is stepped
through: within a day by bit sets, from day to day by the set of a whole year.
"""

from datetime import date

from app.core.occurrences.cron_fields import CronFields
from app.core.occurrences.instants import DAY_SECONDS

_EPOCH_ORDINAL = 719_163
_LAST_YEAR = 9999
_LAST_ORDINAL = date.max.toordinal()


class WallClock:
    """An expression's matches, in wall-clock seconds of the years 0001 to 9999."""

    __slots__ = ("_days", "_every_day", "_first_time", "_hours", "_last_time", "_minutes", "_seconds")

    def __init__(self, fields: CronFields) -> None:
        self._seconds, self._minutes, self._hours = fields.seconds, fields.minutes, fields.hours
        self._days, self._every_day = fields.days, fields.every_day
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
        ordinal = day + _EPOCH_ORDINAL
        if time <= self._last_time and self._fires_on(ordinal):
            return wall - time + self._time_from(time)
        following = self._next_day(ordinal + 1)
        return None if following is None else (following - _EPOCH_ORDINAL) * DAY_SECONDS + self._first_time

    def previous_at(self, wall: int) -> int | None:
        """The last match at or before a wall-clock second; None where the calendar begins after it."""
        day, time = divmod(wall, DAY_SECONDS)
        ordinal = day + _EPOCH_ORDINAL
        if time >= self._first_time and (self._every_day or self._fires_on(ordinal)):
            return wall - time + self._time_until(time)
        before = self._previous_day(ordinal - 1)
        return None if before is None else (before - _EPOCH_ORDINAL) * DAY_SECONDS + self._last_time

    def count(self, start: int, stop: int) -> int:
        """How many matches lie at or after `start` and before `stop`."""
        if stop <= start:
            return 0
        first_day, first_time = divmod(start, DAY_SECONDS)
        last_day, last_time = divmod(stop, DAY_SECONDS)
        a_day = self._hours.bit_count() * self._minutes.bit_count() * self._seconds.bit_count()
        total = self._count_days(first_day + _EPOCH_ORDINAL, last_day + _EPOCH_ORDINAL) * a_day
        if first_time and self._fires_on(first_day + _EPOCH_ORDINAL):
            total -= self._count_before(first_time)
        if last_time and self._fires_on(last_day + _EPOCH_ORDINAL):
            total += self._count_before(last_time)
        return total

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

    def _fires_on(self, ordinal: int) -> bool:
        if self._every_day:
            return True
        year = date.fromordinal(ordinal).year
        first = date(year, 1, 1).toordinal()
        return self._days[_shape(year, first)] >> ordinal - first & 1 == 1

    def _next_day(self, ordinal: int) -> int | None:
        if ordinal > _LAST_ORDINAL:
            return None
        year = date.fromordinal(ordinal).year
        first = date(year, 1, 1).toordinal()
        days = self._days[_shape(year, first)] >> ordinal - first << ordinal - first
        while not days:
            first += _year_length(year)
            year += 1
            if year > _LAST_YEAR:
                return None
            days = self._days[_shape(year, first)]
        return first + _lowest(days)

    def _previous_day(self, ordinal: int) -> int | None:
        if ordinal < 1:
            return None
        year = date.fromordinal(ordinal).year
        first = date(year, 1, 1).toordinal()
        days = self._days[_shape(year, first)] & (2 << ordinal - first) - 1
        while not days:
            year -= 1
            if year < 1:
                return None
            first -= _year_length(year)
            days = self._days[_shape(year, first)]
        return first + days.bit_length() - 1

    def _count_days(self, start: int, stop: int) -> int:
        """How many days fire from the ordinal `start` up to, not including, `stop`."""
        if self._every_day or stop <= start:
            return max(0, stop - start)
        year = date.fromordinal(start).year
        first = date(year, 1, 1).toordinal()
        total = -(self._days[_shape(year, first)] & (1 << start - first) - 1).bit_count()
        while first < stop:
            days = self._days[_shape(year, first)]
            if stop - first < 366:
                days &= (1 << stop - first) - 1
            total += days.bit_count()
            first += _year_length(year)
            year += 1
        return total


def _shape(year: int, first: int) -> int:
    """The shape of a year whose 1 January has that ordinal: an ordinal divided by seven leaves 0 for Sunday."""
    return first % 7 + 7 * (_year_length(year) - 365)


def _year_length(year: int) -> int:
    return 365 if year % 4 or (year % 100 == 0 and year % 400) else 366


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1
