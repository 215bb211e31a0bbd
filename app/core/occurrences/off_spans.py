"""When the days off of a schedule are, in real time: what an interval, which has no days of its own, leaves out."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache

from app.core.occurrences.business_days import BusinessDays
from app.core.occurrences.instants import DAY_SECONDS, EPOCH_ORDINAL
from app.core.occurrences.zones import Zone, load_zone

# No clock was ever as far from UTC, nor set as far.
_FARTHEST = 2 * DAY_SECONDS


class OffSpans:
    """Spans of UTC milliseconds, each from its start up to its stop, sorted; one may begin where another stops."""

    __slots__ = ("_starts", "_stops")

    def __init__(self, spans: list[tuple[int, int]]) -> None:
        self._starts = array("q", [start for start, _ in spans])
        self._stops = array("q", [stop for _, stop in spans])

    def first_outside(self, at: int, step: int) -> int:
        """The first of a millisecond and those at whole steps after it that no span holds.

        Every step may come to lie in another span, of which there may be thousands, so each costs as little as can be.
        """
        starts, stops = self._starts, self._stops
        index, last = bisect_right(starts, at) - 1, len(starts) - 1
        while index >= 0 and at < stops[index]:
            at -= (at - stops[index]) // step * step
            if index < last and starts[index + 1] <= at:
                index += 1
                if index < last and starts[index + 1] <= at:
                    index = bisect_right(starts, at, index) - 1
        return at

    def last_outside(self, at: int, step: int) -> int:
        """The same before it."""
        starts, stops = self._starts, self._stops
        index = bisect_right(starts, at) - 1
        while index >= 0 and at < stops[index]:
            at -= ((at - starts[index]) // step + 1) * step
            if starts[index] > at:
                index -= 1
                if index >= 0 and starts[index] > at:
                    index = bisect_right(starts, at, 0, index) - 1
        return at

    def between(self, after: int, until: int) -> Iterator[tuple[int, int]]:
        """What of the spans lies after one millisecond and at or before another, each as (after, until) again."""
        for index in range(bisect_right(self._stops, after + 1), bisect_right(self._starts, until)):
            yield max(after, self._starts[index] - 1), min(until, self._stops[index] - 1)

    def between_backwards(self, after: int, until: int) -> Iterator[tuple[int, int]]:
        """The same from the last of them on."""
        for index in range(bisect_right(self._starts, until) - 1, bisect_right(self._stops, after + 1) - 1, -1):
            yield max(after, self._starts[index] - 1), min(until, self._stops[index] - 1)


@lru_cache(maxsize=256)
def off_spans(days: BusinessDays, timezone: str) -> OffSpans:
    """When the clocks of a zone show a day off.

    Raises:
        InvalidScheduleException: an unknown zone.
    """
    ranges = (
        ((first - EPOCH_ORDINAL) * DAY_SECONDS, (last + 1 - EPOCH_ORDINAL) * DAY_SECONDS)
        for first, last in days.ranges_off()
    )
    # Where a fold repeats midnight, a day's second piece comes after the first of the next day.
    return OffSpans(sorted(_shown(load_zone(timezone), ranges)))


def _shown(zone: Zone, ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """When a zone's clocks show ranges of wall seconds, which rise: in more than one piece, where a fold repeats them.

    There may be thousands of single days, so the span of each is looked for from that of the one before.
    """
    starts, offsets = zone.starts, zone.offsets
    first_index = 0
    for wall_start, wall_stop in ranges:
        while starts[first_index + 1] <= wall_start - _FARTHEST:
            first_index += 1
        index, farthest = first_index, wall_stop + _FARTHEST
        while starts[index] < farthest:
            start, stop = wall_start - offsets[index], wall_stop - offsets[index]
            if start < starts[index]:
                start = starts[index]
            if stop > starts[index + 1]:
                stop = starts[index + 1]
            if start < stop:
                yield start * 1000, stop * 1000
            index += 1
