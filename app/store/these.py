"""How a statement names a batch of executions by their ids, in two clauses that Postgres reads as they are meant."""

THESE = "e.execution_id = u.execution_id AND e.recorded_for BETWEEN $1 AND $2"
"""Those of `u`, in the partitions between the batch's earliest and latest `recorded_for` (`recorded_between`).

Without the bounds every partition is opened. And the join must not be on `recorded_for` too, which the id carries
anyway: a plan that prunes partitions by the bounds and again by the join loses, in Postgres 18, the rest of the batch
as soon as it has waited for a row that another transaction changes. A settle then wrote some of its outcomes, and said
nothing of the others.
"""
UNFINISHED = "coalesce(e.finished_at, 'infinity') = 'infinity'"
"""The same as `e.finished_at IS NULL`, in words that the partial indexes do not have.

The planner knows nothing yet of a day's partition that has just begun, takes `IS NULL` for rare, and reads all that is
unfinished by the partial index to find ten rows of it: 15 ms in place of 0.7. Put so, only the primary key is left.
"""
NO_NOTICE = "trigger NOT IN ('failure', 'cancel')"
"""Runs, and not what is told of them (`Trigger.is_notice`)."""
