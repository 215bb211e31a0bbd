"""Lists of a community's schedules, by their ids, which is in the order of their creation."""

from collections.abc import Sequence
from uuid import UUID

from app.core.queries import ScheduleFilter
from app.core.schedule import Schedule
from app.store.database import Connection
from app.store.looks import Look, Question
from app.store.schedules import COLUMNS, schedule_of

_THESE = f"""
    SELECT {COLUMNS} FROM workflow_schedules
     WHERE schedule_id = ANY($1::uuid[]) AND community_id = $2 ORDER BY schedule_id
"""


async def look(
    connection: Connection,
    community_id: int,
    filter_: ScheduleFilter,
    *,
    after: UUID | None,
    limit: int,
    window: int,
) -> Look[UUID]:
    """Look through up to `window` schedules created after `after` for up to `limit` that are wanted.

    idx_workflow_schedules_community, or _workflow_id where a workflow is asked for.
    """
    question = Question[UUID](
        table="workflow_schedules",
        key="schedule_id",
        columns="schedule_id, status, schedule_type, tags, name, next_due_at",
        descending=False,
        order="schedule_id",
    )
    scope, wanted, bind = question.scope, question.wanted, question.bind
    scope.append(f"community_id = {bind(community_id)}")
    if after is not None:
        scope.append(f"schedule_id > {bind(after)}")
    if filter_.workflow_id is not None:
        scope.append(f"workflow_id = {bind(filter_.workflow_id)}")
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
    return await question.look(connection, limit=limit, window=window)


async def these(connection: Connection, community_id: int, schedule_ids: Sequence[UUID]) -> list[Schedule]:
    """Schedules that `look` found, by their ids."""
    if not schedule_ids:
        return []
    return [schedule_of(row) for row in await connection.fetch(_THESE, schedule_ids, community_id)]
