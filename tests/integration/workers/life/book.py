"""What a schedule's life comes to by the rules: which instants are to have a record, worked out without the service.

An interval's instants are counted by plain arithmetic, those of a cron expression are walked one by one, and days off
are looked up in the calendar day by day. Nothing here asks `app.core.firing`, or counts in bulk.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

from app.core.occurrences import BusinessDays, ScheduleType, Timing, next_occurrence
from app.core.schedule import Definition
from tests.integration.workers.life.seen import Kept

_LATE_ACCEPTANCE = timedelta(seconds=60)
"""How long past its time a one-time is taken, and then due at once."""
_BEFORE_ALL = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Span:
    """A time in which a schedule fires by one timing: after an instant, up to another where it has ended.

    What it ended with is recorded by who ended it, unless it is `left` to be recorded as it comes. A one-time's instant
    may be `over` when the span begins: it has fired on the day that its calendar made of its own.
    """

    timing: Timing
    after: datetime
    until: datetime | None = None
    left: bool = False
    over: bool = False

    @property
    def single(self) -> datetime | None:
        """The instant of a one-time; null for a recurring one, and where its day is off."""
        if self.timing.schedule_type is not ScheduleType.ONE_TIME:
            return None
        return next_occurrence(self.timing, _BEFORE_ALL)


@dataclass(slots=True)
class Expected:
    """The instants that have a record by now: those that fire, those whose day is off, and those of one-times."""

    firing: list[datetime] = field(default_factory=list)
    off: list[datetime] = field(default_factory=list)
    singles: set[datetime] = field(default_factory=set)


@dataclass(slots=True)
class Book:
    """The life of one schedule. `skips` is the instant that is to be skipped; `fired` counts what was triggered.

    `roomier_until` is when whoever waits has noticed by itself that more runs may run at once.
    """

    schedule_id: UUID
    created_at: datetime
    definition: Definition
    days: BusinessDays | None
    spans: list[Span] = field(default_factory=list)
    revisions: dict[int, Definition] = field(default_factory=dict)
    passed_while_paused: set[datetime] = field(default_factory=set)
    paused: bool = False
    removed: bool = False
    skips: datetime | None = None
    fired: int = 0
    last_fired: datetime | None = None
    roomier_until: datetime = _BEFORE_ALL

    @property
    def timing(self) -> Timing:
        """When it fires, or would."""
        return self.definition.timing(self.created_at, self.days)

    @property
    def open(self) -> Span | None:
        """The span that it is in; null when it is paused, or has run as often as it may."""
        return self.spans[-1] if self.spans and self.spans[-1].until is None else None

    @property
    def revision(self) -> int:
        """How often it was changed by callers, and paused because its target was gone."""
        return max(self.revisions)

    @property
    def exhausted(self) -> bool:
        """Whether it has run as often as it may."""
        most = self.definition.max_executions
        return most is not None and self.fired >= most

    # What happens to it; `at` is the instant, or a later one up to which it was recorded ahead

    def begins(self, at: datetime) -> None:
        """It fires by its present timing from here on."""
        self.spans.append(Span(self.timing, at))

    def ends(self, at: datetime, kept: Kept, *, left: bool = False) -> None:
        """It fires no more by the timing that it has."""
        if self.open is not None:
            # Where it had completed, nothing of what came after was its own any more.
            self.open.left = left
            self.open.until = at if kept.status == "active" else kept.searched_to

    def completed_by_days(self, kept: Kept) -> bool:
        """Whether a change has left it nothing but days off until its end, which are then recorded ahead of time."""
        timing = None if self.open is None else self.open.timing
        if timing is None or timing.days is None or timing.days.moves or timing.end_at is None:
            return False
        return kept.status == "completed" and next_occurrence(timing, kept.searched_to) is None

    def raised(self) -> None:
        """A caller changed it."""
        self.revisions[self.revision + 1] = self.definition

    def changed(
        self, definition: Definition, days: BusinessDays | None, at: datetime, now: datetime, kept: Kept
    ) -> None:
        """It was given another definition, or the same one again."""
        before, self.definition, self.days = (self.definition, self.timing), definition, days
        retimed = before != (definition, self.timing) and (
            before[1] != self.timing or before[0].calendars != definition.calendars
        )
        if before[0] == definition:
            return
        self.raised()
        if self.paused:
            single = Span(self.timing, at).single
            if retimed and single is not None and single <= now:
                self.passed_while_paused.add(single)
        elif self.exhausted:
            self.ends(at, kept)
        elif retimed or kept.status != "active":
            self.ends(at, kept)
            self.begins(at)
            span = self.spans[-1]
            single = span.single
            span.over = single is not None and single <= kept.searched_to and single < now - _LATE_ACCEPTANCE

    def pauses(self, at: datetime, kept: Kept) -> None:
        """It was paused."""
        self.ends(at, kept)
        self.paused = True
        self.raised()

    def resumes(self, at: datetime) -> None:
        """It goes on."""
        self.paused = False
        self.raised()
        if not self.exhausted:
            self.begins(at)

    def expected(self, kept: Kept | None) -> Expected:
        """What is to have a record, as far as its row says that it was looked; all that was, once it is removed."""
        expected = Expected(singles=set(self.passed_while_paused))
        for span in self.spans:
            until = span.until
            if kept is not None and (until is None or span.left):
                until = kept.searched_to if until is None else min(until, kept.searched_to)
            assert until is not None, "a removed schedule's spans have ended"
            if span.over:
                continue
            if span.timing.schedule_type is ScheduleType.ONE_TIME:
                waits = kept is not None and kept.next_execution_at == span.single
                if span.single is not None and not waits and (span.until is None or span.single <= until):
                    expected.singles.add(span.single)
                continue
            expected.firing += firing(span.timing, span.after, until)
            expected.off += off(span.timing, span.after, until)
        return expected

    def following(self, searched_to: datetime) -> datetime | None:
        """What it waits for next while it is active; null when nothing is left."""
        assert self.open is not None
        single = self.open.single
        return single if single is not None else next_occurrence(self.open.timing, searched_to)


def firing(timing: Timing, after: datetime, until: datetime) -> list[datetime]:
    """The instants at which a recurring timing fires, after one instant and up to another."""
    if timing.days is not None and timing.days.moves:
        return list(_walked(timing, after, until))
    return [instant for instant in _nominal(timing, after, until) if not _is_off(timing, instant)]


def off(timing: Timing, after: datetime, until: datetime) -> list[datetime]:
    """Those at which it would have fired, had their days not been off."""
    if timing.days is None or timing.days.moves:
        return []
    return [instant for instant in _nominal(timing, after, until) if _is_off(timing, instant)]


def _past(timing: Timing, after: datetime, now: datetime) -> tuple[object, ...]:
    if timing.schedule_type is ScheduleType.ONE_TIME:
        single = Span(timing, after).single
        return (single if single is not None and after < single <= now else None,)
    return firing(timing, after, now), off(timing, after, now)


def _nominal(timing: Timing, after: datetime, until: datetime) -> Iterator[datetime]:
    if timing.schedule_type is ScheduleType.INTERVAL:
        return _stepped(timing, after, until)
    return _walked(_without_days(timing), after, until)


def _stepped(timing: Timing, after: datetime, until: datetime) -> Iterator[datetime]:
    step = timedelta(seconds=timing.interval_seconds or 0)
    assert timing.anchor is not None
    instant = timing.anchor + step if timing.start_at is None else timing.start_at
    if instant <= after:
        instant += ((after - instant) // step + 1) * step
    until = until if timing.end_at is None else min(until, timing.end_at)
    while instant <= until:
        yield instant
        instant += step


def _walked(timing: Timing, after: datetime, until: datetime) -> Iterator[datetime]:
    walk = _walk_from(timing, after)
    while not walk or (walk[-1] is not None and walk[-1] <= until):
        walk.append(next_occurrence(timing, (walk[-1] if walk else None) or after))
    for instant in walk:
        if instant is None or instant > until:
            return
        yield instant


@lru_cache(maxsize=256)
def _walk_from(timing: Timing, after: datetime) -> list[datetime | None]:
    """As far as a timing was walked so far; null at its end."""
    return []


def _without_days(timing: Timing) -> Timing:
    return replace(timing, days=None)


def _is_off(timing: Timing, instant: datetime) -> bool:
    return timing.days is not None and timing.days.is_off(instant.astimezone(ZoneInfo(timing.timezone)).date())
