"""Queued runs: whoever ends a run that is waited for wakes the one that waits; and why an execution did not run."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Both are changes of the catalogue alone, however large the table: a constant default is not written into its rows.
STATEMENTS = (
    "ALTER TABLE executions ADD COLUMN awaited BOOLEAN NOT NULL DEFAULT false",
    "ALTER TABLE executions ADD COLUMN reason_detail TEXT",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
