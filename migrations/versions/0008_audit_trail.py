"""The audit trail can be read: newest first, of a community, a schedule or an execution."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Each leads with the community and goes on in the order of the list, so that a page of it reads its own rows and no
# others, from whichever instant on.
#
# The first has every row, and is partial all the same: who does not say `audit_id > 0` cannot use it. What is asked for
# may be common in all communities together, and that is all that Postgres has statistics of: it would go through this
# narrower index, and in a community that has nothing like it through the whole trail.
INDEXES = {
    "idx_audit_log_at": "(community_id, at, audit_id) WHERE audit_id > 0",
    "idx_audit_log_schedule_at": "(community_id, schedule_id, at, audit_id)",
    "idx_audit_log_execution_at": "(community_id, execution_id, at, audit_id) WHERE execution_id IS NOT NULL",
}
# What these two were for is answered by the first two above.
SUPERSEDED = ("idx_audit_log_community", "idx_audit_log_schedule")


def upgrade() -> None:
    # Beside a running service: every caller's change writes here. It takes no lock that keeps anybody out, so that it
    # need not give up while it waits, for a dump to end for instance. What an attempt that was cut off has left behind
    # is no index that can be used, and is made anew.
    with op.get_context().autocommit_block():
        op.execute("SELECT set_config('schedule_service.lock_timeout', current_setting('lock_timeout'), false)")
        op.execute("SET lock_timeout = 0")
        for name, columns in INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON audit_log {columns}")
        for name in SUPERSEDED:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute("SELECT set_config('lock_timeout', current_setting('schedule_service.lock_timeout'), false)")
