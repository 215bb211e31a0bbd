"""What callers can ask of the audit trail: what was changed in their community, by whom and why."""

import struct
from datetime import UTC, datetime, timedelta
from functools import partial

from app.core.audit import AuditEntry
from app.core.principal import Principal
from app.core.queries import AuditFilter, Page
from app.service.paging import decoded, encoded, gather, invalid_cursor, read
from app.store import trail
from app.store.database import Database
from app.store.looks import Seen
from app.store.refusals import refused_values
from app.store.trail import Place

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PLACE = struct.Struct(">qq")


class AuditService:
    """The audit trail, as far as a caller's community has one. It outlives what it tells of.

    All methods raise StoreUnavailableException when Postgres is away.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(
        self,
        principal: Principal,
        filter: AuditFilter,  # noqa: A002  the API's word
        *,
        limit: int,
        cursor: str | None,
    ) -> Page[AuditEntry]:
        """A page of the entries that match, newest first; see `paging.gather`.

        What the community never had, or another has, matches nothing.

        Raises InvalidScheduleException for a cursor that no page has named.
        """
        start = None if cursor is None else _place_of(cursor)
        community_id = principal.community_id
        with refused_values():
            async with self._database.connection() as connection:

                async def look(before: Place | None, wanted: int, window: int) -> Seen[Place]:
                    return await trail.look(
                        connection, community_id, filter, before=before, limit=wanted, window=window
                    )

                filtered = trail.is_looked_for(filter)
                found = await gather(look, _cursor_of, start=start, limit=limit, filtered=filtered)
                return await read(found, partial(trail.these, connection, community_id), _cursor_of)


def _cursor_of(last: Place) -> str:
    at, audit_id = last
    return encoded(_PLACE.pack((at - _EPOCH) // _MICROSECOND, audit_id))


def _place_of(cursor: str) -> Place:
    """The entry after which a page starts.

    Raises InvalidScheduleException for what is not a cursor.
    """
    microseconds, audit_id = _PLACE.unpack(decoded(cursor))
    try:
        return _EPOCH + microseconds * _MICROSECOND, audit_id
    except OverflowError as refused:
        raise invalid_cursor() from refused
