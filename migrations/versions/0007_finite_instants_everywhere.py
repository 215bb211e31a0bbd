"""Bounds of schedules are instants, never `infinity`: what was written before, and in superseded definitions."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Nothing here keeps anybody from reading or writing other rows. What is null has no bound, which is what the caller
# meant who gave the zero of his language.
STATEMENTS = (
    # Of a row that was written between the two statements of the migration before.
    """
    UPDATE workflow_schedules
       SET start_at = CASE WHEN isfinite(start_at) THEN start_at END,
           end_at = CASE WHEN isfinite(end_at) THEN end_at END
     WHERE NOT isfinite(start_at) OR NOT isfinite(end_at)
    """,
    "ALTER TABLE workflow_schedules VALIDATE CONSTRAINT workflow_schedules_start_check",
    "ALTER TABLE workflow_schedules VALIDATE CONSTRAINT workflow_schedules_end_check",
    """
    UPDATE schedule_revisions
       SET definition = definition
           || CASE WHEN definition->>'start_at' LIKE '%infinity' THEN '{"start_at": null}' ELSE '{}' END::jsonb
           || CASE WHEN definition->>'end_at' LIKE '%infinity' THEN '{"end_at": null}' ELSE '{}' END::jsonb
     WHERE definition->>'start_at' LIKE '%infinity' OR definition->>'end_at' LIKE '%infinity'
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
