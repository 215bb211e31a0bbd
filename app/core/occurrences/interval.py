"""Occurrences at a fixed distance from an anchor: real time, no drift. All in milliseconds since the epoch.

`anchor + n * interval`, n being `first` or more. A zone matters only where days off are left out: it says when those
are (`OffSpans`). Nothing is stepped through, occurrence by occurrence; days off are, span by span.
"""

from app.core.occurrences.instants import MAX_MS
from app.core.occurrences.off_spans import OffSpans

Grid = tuple[int, int, int]
"""Anchor, first, interval."""


def next_after(grid: Grid, after: int) -> int | None:
    """The first occurrence after `after`; None beyond the year 9999."""
    anchor, first, interval = grid
    found = anchor + max(first, (after - anchor) // interval + 1) * interval
    return found if found <= MAX_MS else None


def last_until(grid: Grid, until: int) -> int | None:
    """The last one at or before `until`, or None."""
    anchor, first, interval = grid
    number = (until - anchor) // interval
    return anchor + number * interval if number >= first else None


def count(grid: Grid, after: int, until: int) -> int:
    """How many lie after `after` and at or before `until`."""
    anchor, first, interval = grid
    before = max(first - 1, (after - anchor) // interval)
    return max(0, (until - anchor) // interval - before)


def next_kept(grid: Grid, off: OffSpans, after: int) -> int | None:
    """As `next_after`, of those that no span holds."""
    found = next_after(grid, after)
    if found is None:
        return None
    found = off.first_outside(found, grid[2])
    return found if found <= MAX_MS else None


def last_kept(grid: Grid, off: OffSpans, until: int) -> int | None:
    """As `last_until`, of those that no span holds."""
    found = last_until(grid, until)
    if found is None:
        return None
    anchor, first, interval = grid
    found = off.last_outside(found, interval)
    return found if found >= anchor + first * interval else None


def count_off(grid: Grid, off: OffSpans, after: int, until: int) -> int:
    """As `count`, of those that a span holds."""
    return sum(count(grid, start, stop) for start, stop in off.between(after, until))


def next_off(grid: Grid, off: OffSpans, after: int, until: int) -> int | None:
    """The first one after `after` and at or before `until` that a span holds."""
    for start, stop in off.between(after, until):
        found = next_after(grid, start)
        if found is not None and found <= stop:
            return found
    return None


def last_off(grid: Grid, off: OffSpans, after: int, until: int) -> int | None:
    """The last one of them."""
    for start, stop in off.between_backwards(after, until):
        found = last_until(grid, stop)
        if found is not None and found > start:
            return found
    return None
