"""A community's schedules that match a filter, by their ids, which is in the order of their creation: for a list of
them, and locked for what is done to all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from app.core.queries import ScheduleFilter
from app.core.schedule import Schedule
from app.store.database import Connection, lock_most
from app.store.looks import Items, Question, Seen
from app.store.schedules import COLUMNS, schedule_of

_THESE = f"""
    SELECT {COLUMNS} FROM workflow_schedules
     WHERE schedule_id = ANY($1::uuid[]) AND community_id = $2 ORDER BY schedule_id
"""
FEW = 10_000
"""So many schedules of a host are read all, and put in order: its index does not have them so."""
# idx_workflow_schedules_target_host
_ARE_FEW = """
    SELECT count(*) <= $3 FROM (
        SELECT FROM workflow_schedules WHERE community_id = $1 AND target_host = ANY($2::text[]) LIMIT $3 + 1) found
"""
# What was changed while it was waited for is asked again whether it matches: by Postgres, once it has the lock.
_AMONG = "FROM workflow_schedules WHERE schedule_id = ANY($1::uuid[]) AND community_id = $2 AND {wanted}"
_LOCK_AMONG = f"SELECT {COLUMNS} {_AMONG} ORDER BY schedule_id FOR NO KEY UPDATE"


@dataclass(frozen=True, slots=True)
class Part:
    """Schedules that match, and the ids of those that this process cannot read, and of those that are to be locked and
    that another has locked for too long; in order."""

    schedules: list[Schedule]
    unreadable: list[UUID]
    held: list[UUID]


async def look(
    connection: Connection,
    community_id: int,
    filter_: ScheduleFilter,
    *,
    after: UUID | None,
    limit: int,
    window: int,
    by_host: bool = False,
) -> Seen[UUID]:
    """Look through up to `window` schedules created after `after` for up to `limit` that are wanted.

    idx_workflow_schedules_community, or _workflow_id where a workflow is asked for, or _target_host with `by_host`,
    which is for hosts that have few, and for a window that holds all of them: it is read whole.
    """
    question = Question[UUID](
        table="workflow_schedules",
        key="schedule_id",
        columns="schedule_id, status, schedule_type, tags, name, next_due_at, target_host",
        descending=False,
        order="schedule_id",
    )
    scope, wanted, bind = question.scope, question.wanted, question.bind
    scope.append(f"community_id = {bind(community_id)}")
    if after is not None:
        scope.append(f"schedule_id > {bind(after)}")
    if filter_.workflow_id is not None:
        scope.append(f"workflow_id = {bind(filter_.workflow_id)}")
    (scope if by_host else wanted).extend(_of_hosts(filter_, bind))
    wanted += _narrowed(filter_, bind)
    return await question.look(connection, limit=limit, window=window)


async def are_few(connection: Connection, community_id: int, hosts: Sequence[str]) -> bool:
    """Whether so few schedules of a community have targets at these hosts that all of them can be read."""
    few: bool = await connection.fetchval(_ARE_FEW, community_id, hosts, FEW)
    return few


async def these(connection: Connection, community_id: int, schedule_ids: Sequence[UUID]) -> Items[Schedule]:
    """Schedules that `look` found, by their ids."""
    return Items.of(await connection.fetch(_THESE, schedule_ids, community_id), schedule_of)


async def readable(connection: Connection, community_id: int, schedule_ids: Sequence[UUID]) -> Part:
    """The same, where one that cannot be read must not keep anybody from the others."""
    return _read(await connection.fetch(_THESE, schedule_ids, community_id) if schedule_ids else [])


async def lock(
    connection: Connection, community_id: int, filter_: ScheduleFilter, schedule_ids: Sequence[UUID]
) -> Part:
    """Lock those that `look` found and that still match, in the order of their ids, until the transaction ends.

    One that another has locked is waited for briefly; if that is in vain, whatever is locked then is left to whom has
    it: none may hold up the others.
    """
    if not schedule_ids:
        return Part([], [], [])
    values: list[object] = [schedule_ids, community_id]

    def bind(value: object) -> str:
        values.append(value)
        return f"${len(values)}"

    wanted = [*_of_hosts(filter_, bind), *_narrowed(filter_, bind)]
    if filter_.workflow_id is not None:
        wanted.append(f"workflow_id = {bind(filter_.workflow_id)}")
    among = " AND ".join(wanted) or "true"
    statement = _LOCK_AMONG.format(wanted=among)
    rows, whole = await lock_most(connection, statement, *values)
    if whole:
        return _read(rows)
    free = {row["schedule_id"] for row in rows}
    there = await connection.fetch(f"SELECT schedule_id {_AMONG.format(wanted=among)} ORDER BY schedule_id", *values)
    return _read(rows, [row[0] for row in there if row[0] not in free])


def _read(rows: "Sequence[asyncpg.Record]", held: Sequence[UUID] = ()) -> Part:
    part = Part([], [], list(held))
    for row in rows:
        try:
            part.schedules.append(schedule_of(row))
        except Exception:
            part.unreadable.append(row["schedule_id"])
    return part


def _of_hosts(filter_: ScheduleFilter, bind: Callable[[object], str]) -> list[str]:
    if filter_.target_hosts is None:
        return []
    among = f"target_host = ANY({bind(filter_.target_hosts)}::text[])"
    return [f"({among} OR target_host IS NULL)" if filter_.of_engine else among]


def _narrowed(filter_: ScheduleFilter, bind: Callable[[object], str]) -> list[str]:
    """Conditions for which there is no index."""
    wanted: list[str] = []
    if filter_.status is not None:
        wanted.append(f"status = {bind(filter_.status.value)}")
    if filter_.schedule_type is not None:
        wanted.append(f"schedule_type = {bind(filter_.schedule_type.value)}")
    if filter_.tag is not None:
        wanted.append(f"{bind(filter_.tag)}::text = ANY(tags)")
    if filter_.name_prefix is not None:
        # "starts with": unlike LIKE it knows no wildcards that would need escaping.
        wanted.append(f"name ^@ {bind(filter_.name_prefix)}::text")
    if filter_.due_before is not None:
        wanted.append(f"next_due_at < {bind(filter_.due_before)}")
    return wanted
