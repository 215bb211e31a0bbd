"""What callers can ask of the hosts that their schedules have for targets."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from app.core.breaker import Circuit
from app.core.limits import Limits
from app.core.principal import Principal
from app.core.queries import Page
from app.service.paging import invalid_cursor
from app.store import targets
from app.store.database import Database
from app.store.targets import TargetState

_AFTER = "after:"


@dataclass(frozen=True, slots=True)
class TargetHost:
    """A host, how many schedules of the community have it, and how it fares; a null host is the workflow engine.

    `max_concurrent` is each worker's bound and `per_second` that of all together; null for none. The engine's number of
    schedules is not counted.
    """

    host: str | None
    schedules: int | None
    state: TargetState
    max_concurrent: int | None
    per_second: float | None


class TargetService:
    """Hosts, as far as a caller's community has them for targets. Raises StoreUnavailableException."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits

    async def find(self, principal: Principal, *, limit: int, cursor: str | None) -> Page[TargetHost]:
        """The workflow engine, then the hosts of the community in their order, with what live workers tell of them.

        Raises InvalidScheduleException for a cursor that no page has named.
        """
        after = None if cursor is None else _host_of(cursor)
        # The engine is the first of the first page.
        number = limit if after is not None else limit - 1
        async with self._database.connection() as connection:
            found = await targets.hosts(connection, principal.community_id, after=after, limit=number + 1)
            states = {state.host: state for state in await targets.states(connection)}
        page = [self._host(host, schedules, states) for host, schedules in found[:number]]
        if after is None:
            page.insert(0, self._host(None, None, states))
        return Page(tuple(page), None if len(found) <= number else _cursor_of(page[-1].host or ""))

    def _host(self, host: str | None, schedules: int | None, states: dict[str | None, TargetState]) -> TargetHost:
        bound = None if host is None else self._limits.max_concurrent
        return TargetHost(host, schedules, states.get(host) or _plain(host), bound, self._limits.rate_of(host))


def _plain(host: str | None) -> TargetState:
    """Nobody tells of it: nothing is the matter."""
    return TargetState(host, Circuit.CLOSED, 0, None, None, 0, 0, 0, 0)


def _cursor_of(host: str) -> str:
    """What comes after a host; the empty one stands for the engine, before all others."""
    return urlsafe_b64encode(f"{_AFTER}{host}".encode()).decode()


def _host_of(cursor: str) -> str:
    try:
        host = urlsafe_b64decode(cursor.encode("ascii")).decode().removeprefix(_AFTER)
        if _cursor_of(host) != cursor or "\0" in host:
            raise ValueError("not of the alphabet")
    except ValueError as refused:
        raise invalid_cursor() from refused
    return host
