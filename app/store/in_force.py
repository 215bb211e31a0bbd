"""The definition that an execution sends at every attempt: the one in force when it was recorded."""

DEFINITION_IN_FORCE = """
      LEFT JOIN workflow_schedules s ON s.schedule_id = e.schedule_id AND s.revision = e.revision
      LEFT JOIN schedule_revisions r ON r.schedule_id = e.schedule_id AND r.revision = e.revision
     CROSS JOIN LATERAL (
           SELECT coalesce(s.name, r.definition ->> 'name') AS name,
                  coalesce(s.timezone, r.definition ->> 'timezone') AS timezone,
                  coalesce(s.retry, r.definition -> 'retry') AS retry,
                  coalesce(s.completion, r.definition ->> 'completion') AS completion,
                  coalesce(s.timeout_seconds, (r.definition ->> 'timeout_seconds')::int) AS timeout_seconds,
                  coalesce(s.context_data, r.definition -> 'context_data') AS context_data,
                  nullif(coalesce(s.target, r.definition -> 'target'), 'null') AS target,
                  nullif(coalesce(s.failure_target, r.definition -> 'failure_target'), 'null') AS failure_target) d
"""
"""Joins it to executions `e`, as `d`: the schedule's own, or what was kept of it when it was superseded or removed.

Whoever raises a schedule's revision keeps the superseded definition in the same transaction, so one of the two is there
in any snapshot, and never both. Where neither is, all of `d` is null: it was kept for as long as retention says.
"""
