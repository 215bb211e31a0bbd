"""Which schedules match a filter, a part at a time: for a list of them, and for what is done to all that match."""

from dataclasses import replace
from uuid import UUID

from app.core.queries import ScheduleFilter
from app.service.paging import Found, cursor_of, gather, id_of
from app.store import catalogue
from app.store.database import Connection
from app.store.looks import Seen


async def matching(
    connection: Connection, community_id: int, filter_: ScheduleFilter, *, limit: int, cursor: str | None
) -> Found[UUID]:
    """The ids of a part of a community's schedules that match, in the order of their creation; see `paging.gather`.

    A host that few have for a target is answered by its index; one of many schedules is met often enough on the way.

    Raises InvalidScheduleException for a cursor that no page has named.
    """
    start = None if cursor is None else id_of(cursor)
    hosts = None if filter_.of_engine else filter_.target_hosts
    by_host = hosts is not None and await catalogue.are_few(connection, community_id, hosts)
    # A workflow's schedules have an index; no other filter has.
    filtered = replace(filter_, workflow_id=None) != ScheduleFilter()

    async def look(after: UUID | None, wanted: int, window: int) -> Seen[UUID]:
        # Above the few, so that one look reads all of them.
        window = catalogue.FEW + 1 if by_host else window
        return await catalogue.look(
            connection, community_id, filter_, after=after, limit=wanted, window=window, by_host=by_host
        )

    return await gather(look, cursor_of, start=start, limit=limit, filtered=filtered)
