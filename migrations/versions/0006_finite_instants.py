"""Bounds of schedules are instants, never `infinity`: what is written from now on."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Postgres's infinities come back from the driver as instants without a zone, with which nothing can be compared: one
# such bound stopped whatever went through the schedules beside its own. The constraint looks at no row that is there,
# so that its lock is short; the next migration does.
STATEMENTS = (
    """
    UPDATE workflow_schedules
       SET start_at = CASE WHEN isfinite(start_at) THEN start_at END,
           end_at = CASE WHEN isfinite(end_at) THEN end_at END
     WHERE NOT isfinite(start_at) OR NOT isfinite(end_at)
    """,
    """
    ALTER TABLE workflow_schedules
        ADD CONSTRAINT workflow_schedules_start_check CHECK (isfinite(start_at)) NOT VALID,
        ADD CONSTRAINT workflow_schedules_end_check CHECK (isfinite(end_at)) NOT VALID
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
