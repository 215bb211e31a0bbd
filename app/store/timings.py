"""How a schedule's timing stands in its row, with its daylight policy and business days.

The days are in the row itself, resolved, and not only the names of the calendars: a locked row says all that its next
occurrence depends on, and a worker that fires it reads nothing else. Equal days give the identical value, so that what
is worked out from it once is worked out for every schedule that shares it.
"""

from functools import lru_cache

import asyncpg
import orjson

from app.core.occurrences import DEFAULT_POLICY, BusinessDays, DstPolicy, Fold, Gap, OnDayOff, ScheduleType, Timing
from app.core.occurrences.business_days import shared
from app.core.schedule import CalendarUse

TIMING = """
    schedule_type, cron_expression, interval_seconds, scheduled_time, timezone, start_at, end_at, jitter_seconds,
    dst_policy, calendars, created_at
"""
_TYPES = {kind.value: kind for kind in ScheduleType}  # found faster than through their class


def timing_of(row: "asyncpg.Record") -> Timing:
    """The timing of a row of `TIMING`. Raises an error of any kind when it cannot be decoded."""
    return Timing(
        schedule_type=_TYPES[row["schedule_type"]],
        timezone=row["timezone"],
        cron_expression=row["cron_expression"],
        interval_seconds=row["interval_seconds"],
        scheduled_time=row["scheduled_time"],
        start_at=row["start_at"],
        end_at=row["end_at"],
        jitter_seconds=row["jitter_seconds"],
        anchor=row["created_at"],
        dst_policy=policy_of(row["dst_policy"]),
        days=days_of(row["calendars"]),
    )


def policy_text(policy: DstPolicy) -> str | None:
    """The column `dst_policy`; null for the default."""
    return None if policy == DEFAULT_POLICY else orjson.dumps(policy).decode()


def policy_of(encoded: str | None) -> DstPolicy:
    """The value of the column `dst_policy`."""
    return DEFAULT_POLICY if encoded is None else _policy(encoded)


def calendars_text(use: CalendarUse | None, days: BusinessDays | None) -> str | None:
    """The column `calendars`; null for a schedule that keeps none."""
    if use is None or days is None:
        return None
    return orjson.dumps(
        {
            "names": use.names,
            "on_day_off": use.on_day_off,
            "days_off": days.days_off,
            "days_worked": days.days_worked,
            "weekend": sorted(days.weekend),
        }
    ).decode()


def calendars_of(encoded: str | None) -> CalendarUse | None:
    """Which calendars the column `calendars` names, and by what rule."""
    return None if encoded is None else _calendars(encoded)[0]


def days_of(encoded: str | None) -> BusinessDays | None:
    """The resolved days of the column `calendars`."""
    return None if encoded is None else _calendars(encoded)[1]


@lru_cache(maxsize=16)
def _policy(encoded: str) -> DstPolicy:
    stored = orjson.loads(encoded)
    return DstPolicy(gap=Gap(stored["gap"]), fold=Fold(stored["fold"]))


# Few, because one may hold thousands of days: most schedules of a community share a calendar or two.
@lru_cache(maxsize=256)
def _calendars(encoded: str) -> tuple[CalendarUse, BusinessDays]:
    stored = orjson.loads(encoded)
    rule = OnDayOff(stored["on_day_off"])
    days = BusinessDays(
        on_day_off=rule,
        days_off=_ranges(stored["days_off"]),
        days_worked=_ranges(stored["days_worked"]),
        weekend=frozenset(stored["weekend"]),
    )
    return CalendarUse(tuple(stored["names"]), rule), shared(days)


def _ranges(stored: list[list[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((first, last) for first, last in stored)
