"""Occurrences at a fixed distance from an anchor: real time, no zone, no drift. All in milliseconds since the epoch."""

from app.core.occurrences.instants import MAX_MS


def next_after(anchor: int, first: int, interval: int, after: int) -> int | None:
    """The first `anchor + n * interval` after `after`, with n at least `first`; None beyond the year 9999."""
    found = anchor + max(first, (after - anchor) // interval + 1) * interval
    return found if found <= MAX_MS else None


def last_until(anchor: int, first: int, interval: int, until: int) -> int | None:
    """The last one at or before `until`, or None."""
    number = (until - anchor) // interval
    return anchor + number * interval if number >= first else None


def count(anchor: int, first: int, interval: int, after: int, until: int) -> int:
    """How many lie after `after` and at or before `until`."""
    before = max(first - 1, (after - anchor) // interval)
    return max(0, (until - anchor) // interval - before)
