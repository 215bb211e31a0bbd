"""How much a community has coming: which instants are crowded, before they come."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.core.clock import in_turns
from app.core.forecasting import Span, Tally
from app.core.principal import Principal
from app.core.queries import ScheduleFilter
from app.core.schedule import ScheduleStatus
from app.service.finding import matching
from app.service.paging import cursor_of
from app.store import forecasting
from app.store.database import Database

_SCHEDULES = 2_000
_STEPS = 20_000
"""What one answer works out at most: about a second, in which others have their turns."""
_MOST_JITTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Forecast:
    """How many occurrences are to come in each bucket of a time span, and of how many schedules they are.

    Of a part of the community's schedules where there is a `next_cursor`: the rest is for the next one.
    """

    span: Span
    counts: Sequence[int]
    schedules: int
    next_cursor: str | None


class ForecastService:
    """Counts what is to come, as far as a caller's community has it.

    Raises StoreUnavailableException when Postgres is away.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def forecast(
        self, principal: Principal, filter_: ScheduleFilter, span: Span, *, cursor: str | None
    ) -> Forecast:
        """The occurrences of active schedules that match, as they stand now. See `counted`.

        Raises InvalidScheduleException for a cursor that no part has named, and UnreadableRowException.
        """
        wanted = replace(filter_, status=ScheduleStatus.ACTIVE, due_before=_latest_due(span))
        async with self._database.connection() as connection:
            found = await matching(connection, principal.community_id, wanted, limit=_SCHEDULES, cursor=cursor)
            coming = await forecasting.coming(connection, principal.community_id, found.places)
        tally = Tally(span)
        async for _ in in_turns(tally.add(coming, most_steps=_STEPS)):
            pass
        next_cursor = found.next_cursor
        if tally.last is not None and tally.last != coming[-1].schedule_id:
            next_cursor = cursor_of(tally.last)
        return Forecast(span, tally.counts, tally.schedules, next_cursor)


def _latest_due(span: Span) -> datetime | None:
    """What has its instant in the span is due before this; null where that is beyond the calendar."""
    try:
        return span.end + _MOST_JITTER
    except OverflowError:
        return None
