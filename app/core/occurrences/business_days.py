"""Days on which a schedule does not fire as its rule says, and what happens to an occurrence on one of them."""

from dataclasses import dataclass
from enum import StrEnum


class OnDayOff(StrEnum):
    """What becomes of an occurrence whose day (in the schedule's zone) is off."""

    SKIP = "skip"
    """It does not fire, and is recorded as skipped. Only listed days off count, not the weekend."""
    NEXT_BUSINESS_DAY = "next_business_day"
    """It fires at the same wall-clock time on the first business day after; so does one on a weekend."""
    PREVIOUS_BUSINESS_DAY = "previous_business_day"
    """It fires at the same wall-clock time on the last business day before; so does one on a weekend."""


@dataclass(frozen=True, slots=True)
class BusinessDays:
    """The merged days of the calendars that a schedule keeps.

    Days are ranges (first, last) of proleptic ordinals (`date.toordinal`), sorted and disjoint. A day is *off* when it
    is in `days_off` and not in `days_worked`. It is a *business day* when it is not off, and not one of the `weekend`
    (0 is Sunday, as in cron) unless it is in `days_worked`.
    """

    on_day_off: OnDayOff
    days_off: tuple[tuple[int, int], ...] = ()
    days_worked: tuple[tuple[int, int], ...] = ()
    weekend: frozenset[int] = frozenset({6, 0})
