"""What the next instant costs, beside croniter and cronsim: twenty typical expressions, median and worst of each.

Each of the three starts from an expression that it has already read, if it can keep one, as a worker would. After them
what days off add to it, and what an outage of a week over a one-second interval costs to decide.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from importlib.resources import files
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

from croniter import croniter
from cronsim import CronSim

from app.core.firing import DueSchedule, decide, first_waiting
from app.core.occurrences import (
    BusinessDays,
    OnDayOff,
    ScheduleType,
    Timing,
    adjustments,
    count_occurrences,
    next_occurrence,
    occurrences_after,
    passed_over,
)
from app.core.schedule import OverlapPolicy

EXPRESSIONS = (
    "* * * * *", "*/5 * * * *", "*/15 * * * *", "0 * * * *", "30 */2 * * *",
    "0 0 * * *", "30 2 * * *", "0 12 * * MON-FRI", "0 9-17 * * 1-5", "*/10 8-18 * * 1-5",
    "0 0 * * 0", "0 6 * * MON,WED,FRI", "0 0 1 * *", "0 0 1,15 * *", "0 0 L * *",
    "0 0 1 1 *", "0 3 1 */3 *", "0 9 * * MON#1", "0 0 13 * FRI", "0 0 29 2 *",
)  # fmt: skip
WORST = ("0 0 * 2 SUN#5", "0 0 29 2 */7", "* 2 * 3 SUN#2", "59 59 23 29 2 SUN#5", "0 0 0 29 2 *")
ZONE = "America/New_York"
STARTS = 200


def _with_zone() -> ZoneInfo:
    with files("tzdata").joinpath("zoneinfo", *ZONE.split("/")).open("rb") as content:
        return ZoneInfo.from_file(content, key=ZONE)


def _ours(expression: str) -> Callable[[datetime], object]:
    timing = Timing(ScheduleType.CRON, ZONE, cron_expression=expression)
    return lambda after: next_occurrence(timing, after)


def _croniters(expression: str) -> Callable[[datetime], object]:
    steps = croniter(expression, datetime(2026, 1, 1, tzinfo=UTC), ret_type=datetime)
    return lambda after: steps.get_next(start_time=after.astimezone(_ZONE))


def _cronsims(expression: str) -> Callable[[datetime], object]:
    return lambda after: next(CronSim(expression, after.astimezone(_ZONE)))


_ZONE = _with_zone()


def _microseconds(call: Callable[[datetime], object], starts: list[datetime]) -> Iterator[float]:
    call(starts[0])
    for after in starts:
        began = time.perf_counter_ns()
        call(after)
        yield (time.perf_counter_ns() - began) / 1000


def main() -> None:
    """Print the table."""
    random = Random(7)
    first = datetime(2026, 1, 1, tzinfo=UTC)
    starts = [first + timedelta(milliseconds=random.randrange(5 * 365 * 86_400_000)) for _ in range(STARTS)]
    implementations = {"ours": _ours, "cronsim": _cronsims, "croniter": _croniters}
    print(f"next instant in {ZONE}, µs: median (worst of {STARTS} starts over five years)")
    print(f"{'expression':22}" + "".join(f"{name:>20}" for name in implementations))
    everything: dict[str, list[float]] = {name: [] for name in implementations}
    for expression in EXPRESSIONS:
        row = f"{expression:22}"
        for name, prepare in implementations.items():
            # The others take milliseconds for some: a tenth of the starts is enough for them.
            costs = list(_microseconds(prepare(expression), starts if name == "ours" else starts[::10]))
            everything[name] += costs
            row += f"{statistics.median(costs):>10.1f} ({max(costs):>6.0f})"
        print(row)
    print(
        f"{'all':22}"
        + "".join(f"{statistics.median(costs):>10.1f} ({max(costs):>6.0f})" for costs in everything.values())
    )
    print("\nthe worst known expressions, ours, µs: first call with parsing, then median")
    for expression in WORST:
        costs = list(_cold_and_warm(_ours(expression), starts))
        print(f"{expression:22}{costs[0]:>10.1f}{statistics.median(costs[1:]):>10.1f}")
    interval = Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=7, anchor=first)
    _print_median("interval of 7 s", lambda after: next_occurrence(interval, after), starts)
    week = timedelta(days=7)
    every_second = Timing(ScheduleType.CRON, ZONE, cron_expression="* * * * * *")
    _print_median(
        "count of a week of * * * * * *", lambda after: count_occurrences(every_second, after, after + week), starts
    )
    _print_days_off(starts)
    _print_outage()


def _print_days_off(starts: list[datetime]) -> None:
    """Twelve days off a year, in a list of 130 years."""
    listed = [(date(year, month, 25), date(year, month, 25)) for year in range(1970, 2100) for month in range(1, 13)]
    print("\nwith 1560 days off, µs: first call, then median")
    for rule in OnDayOff:
        days = BusinessDays.merged(rule, days_off=listed)
        for expression in ("* * * * *", "0 12 * * MON-FRI", "0 9 25 * *"):
            timing = Timing(ScheduleType.CRON, ZONE, cron_expression=expression, days=days)
            _print_median(f"{expression}, {rule}", partial(next_occurrence, timing), starts)
    skip = BusinessDays.merged(OnDayOff.SKIP, days_off=listed)
    interval = Timing(ScheduleType.INTERVAL, ZONE, interval_seconds=7, anchor=starts[0], days=skip)
    _print_median("interval of 7 s, skip", partial(next_occurrence, interval), starts)
    daily = Timing(ScheduleType.CRON, ZONE, cron_expression="0 9 * * *", days=skip)
    _print_median("passed over in a day", lambda after: passed_over(daily, after, after + timedelta(days=1)), starts)
    noons = occurrences_after(daily, starts[0], STARTS)
    _print_median("why an ordinary one stands there", partial(adjustments, daily), noons)


def _print_outage() -> None:
    """An outage of a week over a one-second interval, as the worker that comes back decides it."""
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    timing = Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=1, anchor=begun)
    schedule_id = UUID(int=7)
    waiting = first_waiting(timing, schedule_id, begun)
    assert waiting is not None
    for coalesce in (True, False):
        schedule = DueSchedule(
            schedule_id=schedule_id,
            timing=timing,
            waiting=waiting,
            searched_to=begun,
            execution_count=0,
            max_executions=None,
            grace_period_seconds=900,
            coalesce=coalesce,
            max_instances=3,
            overlap_policy=OverlapPolicy.ALLOW,
        )
        name = f"a week of missed seconds, {'coalesced' if coalesce else 'singly'}"
        nows = [begun + timedelta(days=7, milliseconds=step) for step in range(STARTS)]
        _print_median(name, partial(_decide, schedule), nows)


def _decide(schedule: DueSchedule, now: datetime) -> object:
    return decide(schedule, now=now)


def _print_median(name: str, call: Callable[[datetime], object], starts: list[datetime]) -> None:
    costs = list(_cold_and_warm(call, starts))
    print(f"{name:40}{costs[0]:>10.1f}{statistics.median(costs[1:]):>10.1f}")


def _cold_and_warm(call: Callable[[datetime], object], starts: list[datetime]) -> Iterator[float]:
    for after in starts:
        began = time.perf_counter_ns()
        call(after)
        yield (time.perf_counter_ns() - began) / 1000


if __name__ == "__main__":
    main()
