"""What the clocks of a zone skip and what they show twice near an instant: for explaining, not for searching."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from app.core.occurrences.instants import DAY_SECONDS
from app.core.occurrences.zones import CYCLE, Zone, cycles_before

# No clock was ever as far from UTC, nor set as far.
_FAR = 2 * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Jump:
    """A change of the clocks, at a UTC second, over the wall-clock seconds from `wall_from` up to `wall_to`."""

    at: int
    wall_from: int
    wall_to: int


def jumps_near(zone: Zone, second: int) -> Iterator[Jump]:
    """The clocks' jumps forward within two days of a UTC second."""
    for (_, _, before), (start, _, offset) in pairwise(_spans_near(zone, second)):
        if offset > before:
            yield Jump(start, start + before, start + offset)


def folds_near(zone: Zone, second: int) -> Iterator[tuple[int, int]]:
    """The wall-clock seconds, from one up to another, that the clocks show twice within two days of a UTC second."""
    for (_, _, before), (start, _, offset) in pairwise(_spans_near(zone, second)):
        if offset < before:
            yield start + offset, start + before


def jumps_between(zone: Zone, first: int, last: int) -> Iterator[Jump]:
    """The clocks' jumps forward from one UTC second up to and at another."""
    second = first - 1
    while True:
        shift = cycles_before(second) * CYCLE
        index = zone.span_at(second - shift)
        before, second = zone.offsets[index], zone.starts[index + 1] + shift
        if second > last:
            return
        offset = zone.offset_at(second)
        if offset > before:
            yield Jump(second, second + before, second + offset)


def showings(zone: Zone, wall: int) -> list[int]:
    """The UTC seconds at which the clocks show a wall-clock second: two in a fold, none in a gap."""
    spans = _spans_near(zone, wall)
    return [wall - offset for start, stop, offset in spans if start <= wall - offset < stop]


def _spans_near(zone: Zone, second: int) -> Iterator[tuple[int, int, int]]:
    """The spans of constant offset (start, stop, offset) that reach within two days of a second.

    Those of the next cycle are left out: no clock changes near the seam of two.
    """
    shift = cycles_before(second) * CYCLE
    for index in range(zone.span_at(second - shift - _FAR), len(zone.offsets)):
        start = zone.starts[index] + shift
        if start > second + _FAR:
            break
        yield start, zone.starts[index + 1] + shift, zone.offsets[index]
