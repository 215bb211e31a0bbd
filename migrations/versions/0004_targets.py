"""Targets of a schedule's own: which host they are at, so that a community's can be listed."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE workflow_schedules ADD COLUMN target_host TEXT",
    # Partial: it costs nothing where the workflow engine is called.
    """
    CREATE INDEX idx_workflow_schedules_target_host ON workflow_schedules (community_id, target_host)
        WHERE target_host IS NOT NULL
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
