"""A cron expression in a zone: which instants its wall-clock matches fall on, where clocks jump and where they repeat.

The rule is Debian cron's. A **fixed** expression fires once for each wall-clock time: one in a gap at the first
instant after it, one shown twice at the first; a caller may choose otherwise for either (`DstPolicy`). A **wild** one
(its minute or hour begins with `*`) fires whenever the clock really shows a match. All of them come down to one number
for each span of constant offset, its *floor*: the first wall-clock second that counts in it (see `Zone`). A span fires
its matches from the floor up to its end, each at `wall - offset`, or at the span's first instant where that lies
before it.

All instants are whole UTC seconds. Beyond the listed changes everything repeats each 400 years (`zones.CYCLE`), so a
search looks at one cycle at most and then knows that there is nothing.
"""

from array import array
from functools import lru_cache

from app.core.occurrences.business_days import BusinessDays
from app.core.occurrences.cron_fields import parse_cron
from app.core.occurrences.day_sets import RuleDays
from app.core.occurrences.instants import MAX_SECOND, MIN_SECOND
from app.core.occurrences.listed_days import SkippedDays, days_of
from app.core.occurrences.policy import DstPolicy, Fold, Gap
from app.core.occurrences.wall_clock import WallClock
from app.core.occurrences.zones import BASE, CYCLE, END, Zone, cycles_before, load_zone

_Span = tuple[int, int, int, int]  # start, stop, offset, floor


class ZonedCron:
    """The occurrences of an expression in a zone, in UTC seconds; `wall_clock` holds the times that it matches."""

    __slots__ = (
        "_cycle_known",
        "_first",
        "_first_of_cycle",
        "_floors",
        "_last",
        "_offsets",
        "_recent",
        "_starts",
        "_zone",
        "wall_clock",
    )

    def __init__(self, wall_clock: WallClock, zone: Zone, floors: "array[int]") -> None:
        self.wall_clock = wall_clock
        self._zone = zone
        self._starts, self._offsets, self._floors = zone.starts, zone.offsets, floors
        # Both the instant and its wall-clock time stay within the years 0001 to 9999.
        self._first = MIN_SECOND - min(0, zone.offset_at(MIN_SECOND))
        self._last = MAX_SECOND - max(0, zone.offset_at(MAX_SECOND))
        self._recent: _Span = (0, 0, 0, 0)
        self._first_of_cycle: int | None = None
        self._cycle_known = False

    def next_after(self, second: int) -> int | None:
        """The first occurrence after a UTC second."""
        after = max(second + 1, self._first)
        if after > self._last:
            return None
        shift = cycles_before(after) * CYCLE if after >= END else 0
        found = self._next_in_cycle(after - shift)
        if found is None:
            # From here on each cycle is like any other; what the first has is worked out once.
            shift = shift + CYCLE if after >= BASE else 0
            if not self._cycle_known:
                self._first_of_cycle, self._cycle_known = self._next_in_cycle(BASE), True
            found = self._first_of_cycle
        if found is None or found + shift > self._last:
            return None
        return found + shift

    def last_until(self, second: int) -> int | None:
        """The last occurrence at or before a UTC second."""
        until = min(second, self._last)
        shift = cycles_before(until) * CYCLE
        if shift:
            found = self._last_in_cycle(until - shift, BASE)
            if found is None:
                shift -= CYCLE
                found = self._last_in_cycle(END - 1, BASE)
            if found is not None:
                return found + shift
            until = BASE - 1
        return self._last_in_cycle(until, self._first) if until >= self._first else None

    def count(self, after: int, until: int) -> int:
        """How many occurrences lie after one UTC second and at or before another."""
        start, stop = max(after + 1, self._first), min(until, self._last) + 1
        if stop <= start:
            return 0
        cycles = cycles_before(start)
        if cycles == cycles_before(stop - 1):
            return self._count_in_cycle(start - cycles * CYCLE, stop - cycles * CYCLE)
        total = self._count_in_cycle(start - cycles * CYCLE, END)
        whole = cycles_before(stop) - cycles - 1
        if whole > 0:
            total += whole * self._count_in_cycle(BASE, END)
        return total + self._count_in_cycle(BASE, stop - cycles_before(stop) * CYCLE)

    def nominal_at(self, second: int) -> tuple[int, int]:
        """The wall-clock seconds, first and last, whose matches fire at a UTC second: more than one after a gap."""
        shift = cycles_before(second) * CYCLE
        start, _, offset, floor = self._span(self._zone.span_at(second - shift))
        wall = second + offset
        return (floor + shift, wall) if second - shift == start and floor + shift < wall else (wall, wall)

    def _next_in_cycle(self, second: int) -> int | None:
        """The first occurrence from a UTC second up to the next of `BASE` and `END`, or one soon after that."""
        start, stop, offset, floor = self._recent
        if not start <= second < stop:
            start, stop, offset, floor = self._recent = self._span(self._zone.span_at(second))
        searched_from = floor if second == start else max(second + offset, floor)
        wall = self.wall_clock.next_at(searched_from)
        if wall is not None and wall - offset < stop:
            return max(wall - offset, start)
        last = self._zone.span_at(BASE if second < BASE else END - 1)
        return self._next_in_spans(self._zone.span_at(second) + 1, last, searched_from, wall)

    def _next_in_spans(self, index: int, last: int, searched_from: int, wall: int | None) -> int | None:
        """`wall` is the first match at or after `searched_from`; a span that shows nothing else is passed over."""
        starts, offsets, floors = self._starts, self._offsets, self._floors
        for later in range(index, last + 1):
            stop, offset, floor = starts[later + 1], offsets[later], floors[later]
            if floor - offset >= stop:
                continue
            if floor < searched_from or (wall is not None and wall < floor):
                searched_from, wall = floor, self.wall_clock.next_at(floor)
            if wall is not None and wall - offset < stop:
                return max(wall - offset, starts[later])
        return None

    def _last_in_cycle(self, second: int, lowest: int) -> int | None:
        """The last occurrence at or before a UTC second and not before `lowest`."""
        index = self._zone.span_at(second)
        searched_to = second + self._offsets[index]
        wall = self.wall_clock.previous_at(searched_to)
        while index >= 0:
            start, stop, offset, floor = self._span(index)
            top = min(stop - 1, second) + offset
            if floor <= top:
                if top > searched_to or (wall is not None and wall > top):
                    searched_to, wall = top, self.wall_clock.previous_at(top)
                if wall is not None and wall >= floor:
                    found = max(wall - offset, start)
                    return found if found >= lowest else None
            if start <= lowest:
                return None
            index -= 1
        return None

    def _count_in_cycle(self, first: int, end: int) -> int:
        """How many occurrences lie at or after one UTC second and before another, which is at most `END`."""
        total = 0
        for index in range(self._zone.span_at(first), len(self._offsets)):
            start, stop, offset, floor = self._span(index)
            if start >= end:
                break
            whole = first <= start
            counted_from = floor if whole else max(first + offset, floor)
            total += self.wall_clock.count(counted_from, min(stop, end) + offset)
            if whole and floor < start + offset:
                # All that the gap skipped, and a match at its end, are the one occurrence at the span's start.
                total -= max(0, self.wall_clock.count(floor, start + offset + 1) - 1)
        return total

    def _span(self, index: int) -> _Span:
        return self._starts[index], self._starts[index + 1], self._offsets[index], self._floors[index]


def floors_of(zone: Zone, policy: DstPolicy, *, wild: bool) -> "array[int]":
    """The floors of a zone's spans for an expression under a policy."""
    if wild:
        return zone.wild_floors
    if policy.gap is Gap.AFTER:
        return zone.fixed_floors if policy.fold is Fold.ONCE else zone.repeating_floors
    return zone.skipping_floors if policy.fold is Fold.ONCE else zone.wild_floors


@lru_cache(maxsize=8192)
def zoned_cron(expression: str, timezone: str, policy: DstPolicy, days: BusinessDays | None) -> ZonedCron:
    """The expression in that zone, under that policy and keeping those days, prepared for searching.

    Raises:
        InvalidScheduleException: an expression that is not of the dialect or never occurs, or an unknown zone.
    """
    fields, zone = parse_cron(expression), load_zone(timezone)
    return ZonedCron(WallClock(fields, days_of(fields.days, days)), zone, floors_of(zone, policy, wild=fields.wild))


@lru_cache(maxsize=1024)
def skipped_cron(expression: str, timezone: str, policy: DstPolicy, days: BusinessDays) -> ZonedCron:
    """The same of the days off alone, as if they were not. Raises as the above."""
    fields, zone = parse_cron(expression), load_zone(timezone)
    skipped = WallClock(fields, SkippedDays(RuleDays(fields.days), days))
    return ZonedCron(skipped, zone, floors_of(zone, policy, wild=fields.wild))
