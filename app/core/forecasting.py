"""How much is to come: the occurrences of a time span, counted in buckets of one length. Pure."""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from app.core.clock import MILLISECOND
from app.core.errors import InvalidScheduleException
from app.core.occurrences import ScheduleType, Timing, count_occurrences, next_occurrence

MOST_BUCKETS = 1_000
LONGEST_BUCKET_SECONDS = 86_400
_A_YEAR = timedelta(days=365)
_CYCLE_YEARS = 400
"""After so many all calendars and changes of the clocks repeat, and are not counted once more."""


@dataclass(frozen=True, slots=True)
class Coming:
    """An active schedule, as far as what it has before it depends on it.

    `waits_for` is the next nominal instant, which is left out with `skips_next`; `runs_left` is what `max_executions`
    leaves, null without it, and none where it is not above zero.
    """

    schedule_id: UUID
    timing: Timing
    waits_for: datetime
    skips_next: bool
    runs_left: int | None

    @property
    def rule(self) -> Hashable:
        """Whatever has the same one fires at the same instants, but for jitter."""
        timing = replace(self.timing, jitter_seconds=0)
        if timing.schedule_type is not ScheduleType.INTERVAL:
            timing = replace(timing, anchor=None)
        return timing, self.waits_for, self.skips_next, self.runs_left


@dataclass(frozen=True, slots=True)
class Span:
    """From an instant to before another, in buckets from its beginning on; the last one may be cut short by its end."""

    start: datetime
    end: datetime
    bucket: timedelta

    @classmethod
    def of(cls, start: datetime, end: datetime, bucket_seconds: int) -> "Span":
        """Raises InvalidScheduleException for one that is empty, or of more than a thousand buckets."""
        span = cls(start, end, timedelta(seconds=bucket_seconds))
        if end <= start:
            raise InvalidScheduleException.of("to", "to must be later than from")
        if span.buckets > MOST_BUCKETS:
            raise InvalidScheduleException.of(
                "bucket_seconds",
                f"bucket_seconds: {span.buckets} buckets lie between from and to, and {MOST_BUCKETS} are the most: "
                "ask for larger ones, or for a shorter time span",
            )
        return span

    @property
    def buckets(self) -> int:
        """How many there are."""
        return -((self.start - self.end) // self.bucket)

    def begin(self, index: int) -> datetime:
        """When a bucket begins; 0 is the first."""
        return self.start + self.bucket * index

    def last(self, index: int) -> datetime:
        """The last millisecond of a bucket."""
        return min(self.end - self.begin(index), self.bucket) + self.begin(index) - MILLISECOND


class Tally:
    """What schedules have coming together: in each bucket how many occurrences, and of how many schedules they are."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.counts = [0] * span.buckets
        self.schedules = 0
        self.last: UUID | None = None
        """The schedule that was counted last."""
        self._steps = 0
        self._known: dict[Hashable, list[tuple[int, int]]] = {}

    def add(self, coming: Iterable[Coming], *, most_steps: int) -> Iterator[None]:
        """Count one schedule after the other, in steps of which each takes well below a millisecond.

        It ends after so many steps, though not within a schedule. What many have in common is worked out once.
        """
        for schedule in coming:
            if self._steps >= most_steps:
                return
            found = self._known.get(schedule.rule)
            if found is None:
                found = self._known[schedule.rule] = []
                for each in counted(schedule, self.span):
                    found.append(each)
                    yield
                self._steps += 1 + len(found) + self._years_before(schedule)
            for index, number in found:
                self.counts[index] += number
            self.schedules += bool(found)
            self.last = schedule.schedule_id
            yield

    def _years_before(self, coming: Coming) -> int:
        """Through how many years a schedule's runs are counted before the span: each is about as much as a bucket."""
        if coming.runs_left is None:
            return 0
        return min(max(self.span.start - coming.waits_for, timedelta(0)) // _A_YEAR, _CYCLE_YEARS)


def counted(coming: Coming, span: Span) -> Iterator[tuple[int, int]]:
    """The buckets in which a schedule has occurrences that are to fire, each with how many; in order.

    By their nominal instants, before jitter, and as if each of them counted as a run. However many there are, it takes
    a few steps a bucket, and one an occurrence where they are further apart. One whose zone has vanished has none: it
    will fail.
    """
    try:
        yield from _counted(coming, span)
    except InvalidScheduleException:
        return


def _counted(coming: Coming, span: Span) -> Iterator[tuple[int, int]]:
    timing, left = coming.timing, coming.runs_left
    at = next_occurrence(timing, coming.waits_for) if coming.skips_next else coming.waits_for
    if at is not None and at < span.start:
        if left is not None:
            left -= 1 + count_occurrences(timing, at, span.start - MILLISECOND)
        at = next_occurrence(timing, span.start - MILLISECOND)
    while at is not None and at < span.end and (left is None or left > 0):
        index = (at - span.start) // span.bucket
        last, number = span.last(index), 1
        following = next_occurrence(timing, at)
        if following is not None and following <= last:
            number += count_occurrences(timing, at, last)
            following = next_occurrence(timing, last)
        if left is not None:
            number = min(number, left)
            left -= number
        yield index, number
        at = following
