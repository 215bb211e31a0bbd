"""What callers ask for: definitions written short, relative to the moment at which they are asked for."""

from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter

from app.core.occurrences import OnDayOff, ScheduleType
from app.core.schedule import CalendarUse, Completion, Definition, OverlapPolicy, RetryPolicy
from tests.integration.definitions import cron, interval, one_time

CALENDAR = "firm"
POLICIES = st.sampled_from(OverlapPolicy)

EVERY = (60, 90, 7, 3600)
CRONS = ("* * * * *", "*/5 * * * *", "*/20 * * * * *", "3-5,40 * * * *", "0 9-17 * * MON-FRI", "30 2 * * *")
# Odd milliseconds, so that it is no instant that a recurring timing has had.
ONCE = (45.137, -20.137, 0.023, 900.137, 3600.137, 90_000.137)


class _Short:
    """Written as one would write it: without what is left at its default, so that it can be read and pasted."""

    __slots__ = ()

    def __repr__(self) -> str:
        given = ((one, getattr(self, one.name)) for one in fields(self))  # type: ignore[arg-type]
        said = (f"{one.name}={_said(value)}" for one, value in given if value != one.default)
        return f"{type(self).__name__}({', '.join(said)})"

    def _repr_pretty_(self, printer: RepresentationPrinter, _cycle: bool) -> None:
        printer.text(repr(self))


def _said(value: object) -> str:
    return f"{type(value).__name__}.{value.name}" if isinstance(value, Enum) else repr(value)


@dataclass(frozen=True, slots=True, repr=False)
class When(_Short):
    """A timing: a cron expression, `every` so many seconds, or `once` in so many.

    `start` and `end` bound it, in seconds from the moment of asking. `off` is what becomes of it on days off.
    """

    cron: str | None = None
    every: int | None = None
    once: float | None = None
    zone: str = "UTC"
    start: float | None = None
    end: float | None = None
    jitter: int = 0
    off: OnDayOff | None = None

    def definition(self, now: datetime, **rest: Any) -> Definition:
        """The whole definition, asked for at an instant."""
        calendars = None if self.off is None else CalendarUse((CALENDAR,), self.off)
        rest |= {"timezone": self.zone, "jitter_seconds": self.jitter, "calendars": calendars}
        if self.once is not None:
            return one_time(_at(now, self.once), **rest)
        rest |= {"start_at": _bound(now, self.start), "end_at": _bound(now, self.end)}
        if self.every is not None:
            return interval(self.every, **rest)
        return cron(self.cron or "", **rest)


@st.composite
def whens(draw: st.DrawFn) -> When:
    """Any timing that can be asked for."""
    kind = draw(st.sampled_from(ScheduleType))
    jitter = draw(st.sampled_from((0, 0, 20, 3600)))
    if kind is ScheduleType.ONE_TIME:
        return When(once=draw(st.sampled_from(ONCE)), jitter=jitter, off=draw(_off(*OnDayOff)))
    start = draw(st.sampled_from((None, None, -100.5, 200.0)))
    end = draw(st.sampled_from((None, None, 1000.0, 90_000.0)))
    if kind is ScheduleType.INTERVAL:
        every = draw(st.sampled_from(EVERY))
        return When(every=every, start=start, end=end, jitter=jitter, off=draw(_off(OnDayOff.SKIP)))
    zone = draw(st.sampled_from(("UTC", "America/New_York")))
    expression = draw(st.sampled_from(CRONS))
    return When(cron=expression, zone=zone, start=start, end=end, jitter=jitter, off=draw(_off(*OnDayOff)))


@dataclass(frozen=True, slots=True, repr=False)
class Wanted(_Short):
    """A schedule that is asked for."""

    when: When
    policy: OverlapPolicy = OverlapPolicy.SKIP
    instances: int = 1
    most: int | None = None
    coalesce: bool = True
    grace: int = 900
    callback: bool = False
    timeout: int = 3600
    retries: int = 1

    def definition(self, now: datetime) -> Definition:
        """The whole definition, asked for at an instant."""
        return self.when.definition(
            now,
            overlap_policy=self.policy,
            max_instances=self.instances,
            max_executions=self.most,
            coalesce=self.coalesce,
            grace_period_seconds=self.grace,
            completion=Completion.CALLBACK if self.callback else Completion.RESPONSE,
            timeout_seconds=self.timeout,
            retry=RetryPolicy(self.retries, initial_backoff_seconds=2, max_backoff_seconds=30, max_age_seconds=2**25),
        )


@st.composite
def wanteds(draw: st.DrawFn) -> Wanted:
    """Any schedule that can be asked for."""
    return Wanted(
        when=draw(whens()),
        policy=draw(POLICIES),
        instances=draw(st.integers(1, 3)),
        most=draw(st.one_of(st.none(), st.integers(1, 5))),
        coalesce=draw(st.booleans()),
        grace=draw(st.sampled_from((900, 5, 60))),
        callback=draw(st.booleans()),
        timeout=draw(st.sampled_from((3600, 45, 86_400))),
        retries=draw(st.integers(0, 2)),
    )


PATCHES: tuple[dict[str, Any], ...] = (
    {},
    {"description": "in other words"},
    {"max_executions": 2},
    {"max_executions": None},
    {"max_instances": 1},
    {"max_instances": 3},
    {"coalesce": False},
    {"grace_period_seconds": 5},
    {"jitter_seconds": 20},
    {"jitter_seconds": 0},
    {"calendars": None},
    {"completion": Completion.CALLBACK},
    *({"overlap_policy": policy} for policy in OverlapPolicy),
)
"""Changes of a few fields; most leave the timing alone, and the first leaves all alone."""


def patched(definition: Definition, values: dict[str, Any]) -> Definition:
    """A definition with other values for some fields."""
    return replace(definition, **values)


def _off(*choices: OnDayOff) -> st.SearchStrategy[OnDayOff | None]:
    return st.one_of(st.none(), st.none(), st.sampled_from(choices))


def _bound(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else _at(now, seconds)


def _at(now: datetime, seconds: float) -> datetime:
    return now + timedelta(milliseconds=round(seconds * 1000))
