"""Targets: what each worker knows of the hosts that it delivers to."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Written with the beat, and null while there is nothing to tell.
STATEMENTS = ("ALTER TABLE workers ADD COLUMN targets JSONB",)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
