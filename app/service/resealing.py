"""Sealing stored secrets anew, with the newest key of `SECRET_KEY`: so an older key can be let go of."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from app.core.sealing import Sealed, SecretBox, UnknownKeyException
from app.core.target import bound_to
from app.store.database import Connection, Database
from app.store.resealing import REVISIONS, SCHEDULES, Headers, Key, Row, Table

_PAGE = 1000
_CHUNK = 100
"""Rows that are locked at once: whoever fires or changes one waits for no more than these."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many values were sealed anew, and how many could not be opened and are as they were."""

    values: int = 0
    unopened: int = 0

    def __add__(self, other: "Resealed") -> "Resealed":
        return Resealed(self.values + other.values, self.unopened + other.unopened)


class Resealer:
    """Goes through every row that holds secrets. It may be stopped, and run again, and run twice at once."""

    def __init__(self, database: Database, secrets: SecretBox) -> None:
        self._database = database
        self._secrets = secrets

    async def count(self) -> Counter[str | None]:
        """How many values each key has sealed, by its id; null: stored without one.

        Raises StoreUnavailableException.
        """
        counted: Counter[str | None] = Counter()
        for table in (SCHEDULES, REVISIONS):
            after = table.first
            while page := await self._page(table, after):
                after = page[-1].key
                counted.update(Sealed(text).key_id for row in page for text in _values(row))
        return counted

    async def reseal(self) -> Resealed:
        """Seal with the newest key what is not; what is sealed with it is left alone.

        First the schedules, then the superseded definitions: what is superseded meanwhile is a copy of what was sealed
        anew before.

        Raises StoreUnavailableException; what was done until then stays done.
        """
        done = Resealed()
        for table in (SCHEDULES, REVISIONS):
            after = table.first
            while page := await self._page(table, after):
                after = page[-1].key
                old = [row.key for row in page if any(map(self._is_old, _values(row)))]
                for start in range(0, len(old), _CHUNK):
                    done += await self._chunk(table, old[start : start + _CHUNK])
        log.info("reseal", category="SYSTEM", values=done.values, unopened=done.unopened)
        return done

    async def _page(self, table: Table, after: Key) -> list[Row]:
        async with self._database.connection() as connection:
            return await table.page(connection, after, _PAGE)

    async def _chunk(self, table: Table, keys: Sequence[Key]) -> Resealed:
        async def work(connection: Connection) -> Resealed:
            done = Resealed()
            # As they are now, under the lock: some may have changed since, or be gone.
            rows = await table.lock(connection, keys)
            changes: dict[str, dict[Key, tuple[Mapping[str, str], dict[str, str]]]] = {}
            for row in rows:
                for field, headers in row.headers.items():
                    anew, unopened = self._anew(headers)
                    done += Resealed(0, unopened)
                    if anew:
                        changes.setdefault(field, {})[row.key] = (headers.stored, anew)
            for field, of_field in changes.items():
                writes = [(key, old, {**old, **anew}) for key, (old, anew) in of_field.items()]
                written = await table.write(connection, field, writes)
                done += Resealed(sum(len(of_field[key][1]) for key in written))
            return done

        return await self._database.run(work)

    def _anew(self, headers: Headers) -> tuple[dict[str, str], int]:
        """The headers that were to be sealed anew, and how many of the others do not open."""
        anew, unopened = {}, 0
        for name, stored in headers.stored.items():
            if not self._is_old(stored):
                continue
            bound = bound_to(headers.url, name)
            try:
                anew[name] = self._secrets.seal(self._secrets.open(Sealed(stored), bound), bound).stored
            except UnknownKeyException:
                unopened += 1
        return anew, unopened

    def _is_old(self, stored: str) -> bool:
        return Sealed(stored).key_id != self._secrets.newest_key_id


def _values(row: Row) -> list[str]:
    return [text for headers in row.headers.values() for text in headers.stored.values()]
