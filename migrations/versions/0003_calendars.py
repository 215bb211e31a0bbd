"""Calendars: the weekend, where days were copied from, and which schedules keep which calendar at which revision."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    # A null weekend is the source's, or Saturday and Sunday. days_revision is the last revision that changed a day,
    # recomputed_revision the last one that every schedule which keeps the calendar is known to have been computed by:
    # while it is behind, the days of some rows are old.
    """
    ALTER TABLE calendars
        ADD COLUMN weekend JSONB,
        ADD COLUMN days_revision INTEGER NOT NULL DEFAULT 1,
        ADD COLUMN recomputed_revision INTEGER NOT NULL DEFAULT 1
    """,
    "CREATE INDEX idx_calendars_community ON calendars (community_id, calendar_id)",
    "CREATE INDEX idx_calendars_stale ON calendars (calendar_id) WHERE recomputed_revision < days_revision",
    # Written only under the lock of the schedule's row, or with it. No foreign keys: their checks would be made at
    # every firing, which touches neither id.
    """
    CREATE TABLE calendar_uses (
        calendar_id       UUID NOT NULL,
        schedule_id       UUID NOT NULL,
        calendar_revision INTEGER NOT NULL,
        PRIMARY KEY (calendar_id, schedule_id)
    )
    """,
    "CREATE INDEX idx_calendar_uses_schedule ON calendar_uses (schedule_id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
