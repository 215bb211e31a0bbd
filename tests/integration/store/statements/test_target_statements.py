"""What live workers tell of the hosts that they deliver to, put together."""

from typing import Any
from uuid import uuid4

import orjson

from app.core.breaker import Circuit
from app.core.clock import from_ms
from app.store import targets, workers
from app.store.database import Connection, Database
from app.store.targets import TargetState

AT_MS = 1_795_000_000_000


def told(host: str | None, **fields: Any) -> dict[str, Any]:
    """What a worker tells of a host."""
    healthy = {"circuit": "closed", "failures": 1, "open_until": None, "last_error": None, "waiting": 0, "in_flight": 0}
    return {"host": host, **healthy, **fields}


async def add_worker(connection: Connection, *states: dict[str, Any], silent_seconds: int = 0) -> None:
    """A worker that has beaten so long ago, and tells this."""
    worker_id = uuid4()
    await workers.register(connection, worker_id, host="here", pid=1, version="1")
    said = orjson.dumps(states).decode() if states else None
    assert await workers.beat_and_tell(connection, worker_id, said)
    await connection.execute(
        "UPDATE workers SET beat_at = clock_timestamp() - make_interval(secs => $2) WHERE worker_id = $1",
        worker_id,
        float(silent_seconds),
    )


async def test_a_host_has_the_worst_of_its_circuits_and_the_sum_of_what_waits(database: Database) -> None:
    async with database.transaction() as connection:
        await add_worker(
            connection,
            told("a", circuit="open", failures=12, open_until=AT_MS, last_error="HTTP 503", waiting=1, in_flight=2),
            told(None, failures=3, last_error="no connection"),
        )
        await add_worker(connection, told("a", circuit="half_open", failures=10, open_until=AT_MS - 5, waiting=4))
        await add_worker(connection, told("a", waiting=7, in_flight=1), told("b", circuit="half_open"))
        # Of http and of https.
        await add_worker(connection, told("c", failures=2), told("c", circuit="open", failures=10, waiting=1))
        await add_worker(connection)
        await add_worker(connection, told("dead", circuit="open"), silent_seconds=16)
        found = await targets.states(connection)
    assert found == [
        TargetState(None, Circuit.CLOSED, 3, None, "no connection", 0, 0, workers=1, workers_open=0),
        TargetState("a", Circuit.OPEN, 12, from_ms(AT_MS), "HTTP 503", 12, 3, workers=3, workers_open=1),
        TargetState("b", Circuit.HALF_OPEN, 1, None, None, 0, 0, workers=1, workers_open=0),
        TargetState("c", Circuit.OPEN, 10, None, None, 1, 0, workers=1, workers_open=1),
    ]


async def test_workers_that_live_count_themselves_in_one_order(database: Database) -> None:
    async with database.transaction() as connection:
        ids = sorted(uuid4() for _ in range(3))
        for worker_id in ids:
            await workers.register(connection, worker_id, host="here", pid=1, version="1")
        await add_worker(connection, silent_seconds=16)
        assert [await workers.sharing(connection, one, silence_seconds=15) for one in ids] == [(3, 0), (3, 1), (3, 2)]
        # Whoever asks lives.
        await connection.execute("UPDATE workers SET beat_at = beat_at - interval '1 minute'")
        assert await workers.sharing(connection, ids[1], silence_seconds=15) == (1, 0)
