"""What a schedule's caller may choose about the two days a year on which wall clocks jump."""

from dataclasses import dataclass
from enum import StrEnum


class Gap(StrEnum):
    """What happens to a wall-clock time that the clock jumps over."""

    AFTER = "after"
    """It fires at the first instant after the gap."""
    SKIP = "skip"
    """It does not fire on that day."""


class Fold(StrEnum):
    """What happens to a wall-clock time that the clock shows twice."""

    ONCE = "once"
    """It fires at the first of the two."""
    TWICE = "twice"
    """It fires at both."""


_AFTER, _ONCE = Gap.AFTER, Fold.ONCE  # found faster than through their classes


@dataclass(frozen=True, slots=True)
class DstPolicy:
    """The choice for a fixed cron expression; a wild one follows the real clock whatever is chosen."""

    gap: Gap = Gap.AFTER
    fold: Fold = Fold.ONCE

    def __hash__(self) -> int:
        # It is part of a key that every firing looks up, and the hash of an enum's member is computed in Python.
        return (self.gap is _AFTER) + 2 * (self.fold is _ONCE)


DEFAULT_POLICY = DstPolicy()
"""Debian cron's rule: nothing is lost, and nothing fires twice."""
