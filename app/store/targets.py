"""Which hosts a community's schedules have for targets, and what the live workers tell of the hosts they deliver to."""

from dataclasses import dataclass
from datetime import datetime

from app.core.breaker import Circuit
from app.core.clock import from_ms
from app.core.liveness import DEAD_AFTER_SECONDS
from app.store.database import Connection

# A worker tells of a host while something is the matter with it: it has failed, its circuit is not closed, or something
# waits behind its limits; http and https of a host apart. By Postgres's own clock, which stamps the beats.
_STATES = """
    SELECT t.host,
           bool_or(t.circuit = 'open') AS any_open, bool_or(t.circuit = 'half_open') AS any_half_open,
           count(DISTINCT w.worker_id) FILTER (WHERE t.circuit = 'open') AS workers_open,
           count(DISTINCT w.worker_id) AS workers,
           max(t.failures) AS failures, max(t.open_until) AS open_until,
           (array_agg(t.last_error ORDER BY t.failures DESC) FILTER (WHERE t.last_error IS NOT NULL))[1] AS last_error,
           sum(t.waiting)::bigint AS waiting, sum(t.in_flight)::bigint AS in_flight
      FROM workers w
     CROSS JOIN LATERAL jsonb_to_recordset(w.targets)
           AS t(host text, circuit text, failures int, open_until bigint, last_error text, waiting int, in_flight int)
     WHERE w.targets IS NOT NULL AND w.beat_at > clock_timestamp() - make_interval(secs => $1)
     GROUP BY t.host
     ORDER BY t.host NULLS FIRST
"""
# idx_workflow_schedules_target_host, in its order.
_HOSTS = """
    SELECT target_host, count(*) FROM workflow_schedules
     WHERE community_id = $1 AND target_host IS NOT NULL AND ($2::text IS NULL OR target_host > $2)
     GROUP BY target_host
     ORDER BY target_host LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class TargetState:
    """A host with which something is the matter; null is the workflow engine.

    `circuit` is the worst that any worker has, `failures` the most in a row, `open_until` the latest; `waiting` and
    `in_flight` are sums. `workers` is how many tell of the host, `workers_open` how many have its circuit open.
    """

    host: str | None
    circuit: Circuit
    failures: int
    open_until: datetime | None
    last_error: str | None
    waiting: int
    in_flight: int
    workers: int
    workers_open: int


async def states(connection: Connection, *, silence_seconds: float = DEAD_AFTER_SECONDS) -> list[TargetState]:
    """The hosts that live workers tell of: those that have beaten within that time."""
    return [
        TargetState(
            host=row["host"],
            circuit=Circuit.OPEN if row["any_open"] else Circuit.HALF_OPEN if row["any_half_open"] else Circuit.CLOSED,
            failures=row["failures"],
            open_until=None if row["open_until"] is None else from_ms(row["open_until"]),
            last_error=row["last_error"],
            waiting=row["waiting"],
            in_flight=row["in_flight"],
            workers=row["workers"],
            workers_open=row["workers_open"],
        )
        for row in await connection.fetch(_STATES, silence_seconds)
    ]


async def hosts(connection: Connection, community_id: int, *, after: str | None, limit: int) -> list[tuple[str, int]]:
    """The hosts of a community's targets after one, in their order, each with how many schedules have it."""
    return [(row[0], row[1]) for row in await connection.fetch(_HOSTS, community_id, after, limit)]
