"""Statements that record notices, in the transaction of what they tell of."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from app.core.execution import ExecutionStatus, Wake
from app.core.ids import recorded_between
from app.core.notices import Ended, Notice, of_execution
from app.store.columns import columns_of
from app.store.database import Connection
from app.store.in_force import DEFINITION_IN_FORCE
from app.store.these import NO_NOTICE

# A target has nothing to cancel of a run that no worker ever took. Whether one that was taken was sent, only the worker
# knows: it may be dead, and what it sent goes on.
_TO_TELL = f"""
    SELECT e.execution_id, e.schedule_id, e.community_id, e.workflow_id, d.name AS schedule_name, e.trigger,
           e.scheduled_for, e.status, e.reason, e.reason_detail, e.error, e.engine_execution_id, e.failures,
           e.revision, coalesce(e.context_override, d.context_data, '{{}}') AS context_data
      FROM executions e{DEFINITION_IN_FORCE}
     WHERE e.execution_id = ANY($1::uuid[]) AND e.recorded_for BETWEEN $2 AND $3
       AND e.{NO_NOTICE}
       AND ((e.status IN ('failed', 'timed_out') AND d.failure_target IS NOT NULL)
         OR (e.status = 'cancelled' AND e.attempt > 0 AND d.target ->> 'cancel_url' IS NOT NULL))
"""
# A group of its own: it neither counts as a run of its schedule nor waits for one.
_RECORD = """
    INSERT INTO executions (
        execution_id, recorded_for, schedule_id, community_id, workflow_id, trigger, scheduled_for, due_at, status,
        revision, context_override, group_id, wake_at, created_at)
    SELECT u.execution_id, u.recorded_for, u.schedule_id, u.community_id, u.workflow_id, u.trigger, u.recorded_for,
           u.recorded_for, 'pending', u.revision, u.content::jsonb, u.execution_id, u.recorded_for, u.recorded_for
      FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::bigint[], $5::uuid[], $6::int[], $7::text[],
                  $8::text[])
        AS u(execution_id, recorded_for, schedule_id, community_id, workflow_id, revision, trigger, content)
        ON CONFLICT DO NOTHING
"""


async def tell_of(connection: Connection, ended: Collection[UUID], *, now: datetime) -> list[Wake]:
    """Record what is to be told of executions that have just failed, timed out or been cancelled by this transaction.

    Answers with what is to be put into the wheel after the commit. Executions that ended otherwise, or whose schedule
    has nobody to tell, are passed over.
    """
    if not ended:
        return []
    rows = await connection.fetch(_TO_TELL, list(ended), *recorded_between(ended))
    return await record(connection, [of_execution(_ended(row), now) for row in rows])


async def record(connection: Connection, notices: Sequence[Notice]) -> list[Wake]:
    """Record notices that any worker is to deliver now."""
    if not notices:
        return []
    rows = [
        (
            notice.notice_id,
            notice.recorded_for,
            notice.schedule_id,
            notice.community_id,
            notice.workflow_id,
            notice.revision,
            notice.trigger.value,
            notice.content_json,
        )
        for notice in notices
    ]
    await connection.execute(_RECORD, *columns_of(rows))
    return [Wake(notice.community_id, notice.notice_id, notice.recorded_for) for notice in notices]


def _ended(row: "asyncpg.Record") -> Ended:
    return Ended(
        execution_id=row["execution_id"],
        schedule_id=row["schedule_id"],
        community_id=row["community_id"],
        workflow_id=row["workflow_id"],
        schedule_name=row["schedule_name"],
        trigger=row["trigger"],
        scheduled_for=row["scheduled_for"],
        status=ExecutionStatus(row["status"]),
        reason=row["reason"],
        reason_detail=row["reason_detail"],
        error=row["error"],
        engine_execution_id=row["engine_execution_id"],
        failures=row["failures"],
        revision=row["revision"],
        context_json=row["context_data"],
    )
