"""The whole schema: schedules, executions by day, their revisions, audit, keys, workers."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    # The truth about what is to fire. Written once per firing, so it stays narrow where it is indexed and leaves room
    # in each page (fillfactor) for the new version of a row.
    """
    CREATE TABLE workflow_schedules (
        id                   SERIAL PRIMARY KEY,
        schedule_id          UUID NOT NULL UNIQUE,
        community_id         BIGINT NOT NULL,
        workflow_id          UUID,
        name                 VARCHAR(255),
        description          TEXT,
        schedule_type        VARCHAR(20) NOT NULL,
        cron_expression      VARCHAR(255),
        interval_seconds     INTEGER,
        scheduled_time       TIMESTAMPTZ,
        timezone             VARCHAR(64) NOT NULL,
        start_at             TIMESTAMPTZ,
        end_at               TIMESTAMPTZ,
        jitter_seconds       INTEGER NOT NULL DEFAULT 0,
        dst_policy           JSONB,
        calendars            JSONB,
        status               VARCHAR(20) NOT NULL,
        status_reason        TEXT,
        is_active            BOOLEAN GENERATED ALWAYS AS (status = 'active') STORED,
        next_execution_at    TIMESTAMPTZ,
        next_due_at          TIMESTAMPTZ,
        searched_to          TIMESTAMPTZ NOT NULL,
        tzdata_version       VARCHAR(16) NOT NULL,
        last_execution_at    TIMESTAMPTZ,
        last_execution_id    UUID,
        max_executions       INTEGER,
        execution_count      INTEGER NOT NULL DEFAULT 0,
        trigger_seq          BIGINT NOT NULL DEFAULT 0,
        skip_next            JSONB,
        grace_period_seconds INTEGER NOT NULL,
        coalesce             BOOLEAN NOT NULL,
        max_instances        INTEGER NOT NULL,
        overlap_policy       VARCHAR(20) NOT NULL,
        target               JSONB,
        failure_target       JSONB,
        completion           VARCHAR(20) NOT NULL,
        timeout_seconds      INTEGER NOT NULL,
        retry                JSONB NOT NULL,
        after_completion     VARCHAR(20) NOT NULL,
        context_data         JSONB NOT NULL DEFAULT '{}',
        tags                 TEXT[] NOT NULL DEFAULT '{}',
        created_by           TEXT,
        created_at           TIMESTAMPTZ NOT NULL,
        updated_at           TIMESTAMPTZ NOT NULL,
        completed_at         TIMESTAMPTZ,
        revision             INTEGER NOT NULL DEFAULT 1,
        CONSTRAINT workflow_schedules_type_check CHECK (
            (schedule_type = 'cron' AND cron_expression IS NOT NULL
                AND interval_seconds IS NULL AND scheduled_time IS NULL)
            OR (schedule_type = 'interval' AND interval_seconds IS NOT NULL
                AND cron_expression IS NULL AND scheduled_time IS NULL)
            OR (schedule_type = 'one_time' AND scheduled_time IS NOT NULL
                AND cron_expression IS NULL AND interval_seconds IS NULL)
        ),
        CONSTRAINT workflow_schedules_status_check CHECK (status IN ('active', 'paused', 'completed', 'failed')),
        -- An active schedule always waits for something, and nothing else does.
        CONSTRAINT workflow_schedules_due_check CHECK ((status = 'active') = (next_due_at IS NOT NULL)),
        CONSTRAINT workflow_schedules_name_key UNIQUE (community_id, name)
    ) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05)
    """,
    "CREATE INDEX idx_workflow_schedules_community ON workflow_schedules (community_id, schedule_id)",
    "CREATE INDEX idx_workflow_schedules_workflow_id ON workflow_schedules (community_id, workflow_id)",
    "CREATE INDEX idx_workflow_schedules_is_active ON workflow_schedules (community_id, is_active)",
    "CREATE INDEX idx_workflow_schedules_schedule_type ON workflow_schedules (community_id, schedule_type)",
    """
    CREATE INDEX idx_workflow_schedules_next_execution ON workflow_schedules (next_due_at)
        WHERE next_due_at IS NOT NULL
    """,
    """
    CREATE INDEX idx_workflow_schedules_completed ON workflow_schedules (after_completion, completed_at)
        WHERE status = 'completed'
    """,
    # One row an execution, partitioned by the UTC day of recorded_for, which the id itself carries. Each further index
    # costs about a tenth of the throughput.
    """
    CREATE TABLE executions (
        execution_id        UUID NOT NULL,
        recorded_for        TIMESTAMPTZ NOT NULL,
        schedule_id         UUID NOT NULL,
        community_id        BIGINT NOT NULL,
        workflow_id         UUID,
        trigger             VARCHAR(10) NOT NULL,
        trigger_key         BIGINT NOT NULL DEFAULT 0,
        scheduled_for       TIMESTAMPTZ NOT NULL,
        due_at              TIMESTAMPTZ NOT NULL,
        covers_from         TIMESTAMPTZ,
        coalesced_count     INTEGER NOT NULL DEFAULT 1,
        last_scheduled_for  TIMESTAMPTZ,
        next_execution_at   TIMESTAMPTZ,
        status              VARCHAR(10) NOT NULL,
        reason              TEXT,
        revision            INTEGER NOT NULL,
        context_override    JSONB,
        group_id            UUID,
        max_parallel        INTEGER,
        owner               UUID,
        attempt             INTEGER NOT NULL DEFAULT 0,
        failures            INTEGER NOT NULL DEFAULT 0,
        retry_since         TIMESTAMPTZ,
        wake_at             TIMESTAMPTZ,
        attempts            JSONB NOT NULL DEFAULT '[]',
        engine_execution_id TEXT,
        result              JSONB,
        error               TEXT,
        lateness_ms         BIGINT,
        created_at          TIMESTAMPTZ NOT NULL,
        started_at          TIMESTAMPTZ,
        finished_at         TIMESTAMPTZ,
        PRIMARY KEY (execution_id, recorded_for)
    ) PARTITION BY RANGE (recorded_for)
    """,
    "CREATE INDEX idx_executions_history ON executions (schedule_id, recorded_for)",
    "CREATE INDEX idx_executions_unfinished ON executions (schedule_id) WHERE finished_at IS NULL",
    "CREATE INDEX idx_executions_wake ON executions (wake_at) WHERE wake_at IS NOT NULL",
    "CREATE INDEX idx_executions_failed ON executions (community_id, recorded_for) WHERE status = 'failed'",
    "CREATE TABLE executions_default PARTITION OF executions DEFAULT WITH (fillfactor = 65)",
    # A definition that was superseded, for the attempts of executions that were recorded under it.
    """
    CREATE TABLE schedule_revisions (
        schedule_id   UUID NOT NULL,
        revision      INTEGER NOT NULL,
        community_id  BIGINT NOT NULL,
        definition    JSONB NOT NULL,
        superseded_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (schedule_id, revision)
    )
    """,
    "CREATE INDEX idx_schedule_revisions_age ON schedule_revisions (superseded_at)",
    """
    CREATE TABLE calendars (
        calendar_id  UUID PRIMARY KEY,
        community_id BIGINT NOT NULL,
        name         VARCHAR(255) NOT NULL,
        description  TEXT,
        days_off     JSONB NOT NULL DEFAULT '[]',
        days_worked  JSONB NOT NULL DEFAULT '[]',
        source       JSONB,
        created_by   TEXT,
        created_at   TIMESTAMPTZ NOT NULL,
        updated_at   TIMESTAMPTZ NOT NULL,
        revision     INTEGER NOT NULL DEFAULT 1,
        UNIQUE (community_id, name)
    )
    """,
    """
    CREATE TABLE audit_log (
        audit_id     BIGSERIAL PRIMARY KEY,
        at           TIMESTAMPTZ NOT NULL,
        community_id BIGINT NOT NULL,
        user_id      TEXT,
        role         VARCHAR(20),
        action       TEXT NOT NULL,
        schedule_id  UUID,
        execution_id UUID,
        before       JSONB,
        after        JSONB,
        reason       TEXT,
        request_id   TEXT
    )
    """,
    "CREATE INDEX idx_audit_log_community ON audit_log (community_id, audit_id)",
    "CREATE INDEX idx_audit_log_schedule ON audit_log (schedule_id, audit_id)",
    """
    CREATE TABLE api_keys (
        key_id        UUID PRIMARY KEY,
        prefix        VARCHAR(16) NOT NULL UNIQUE,
        secret_sha256 BYTEA NOT NULL,
        community_id  BIGINT NOT NULL,
        role          VARCHAR(20) NOT NULL,
        user_id       TEXT,
        name          TEXT,
        created_at    TIMESTAMPTZ NOT NULL,
        expires_at    TIMESTAMPTZ,
        revoked_at    TIMESTAMPTZ,
        CONSTRAINT api_keys_role_check CHECK (role IN ('viewer', 'editor', 'operator', 'admin'))
    )
    """,
    """
    CREATE TABLE workers (
        worker_id  UUID PRIMARY KEY,
        host       TEXT NOT NULL,
        pid        INTEGER NOT NULL,
        version    TEXT NOT NULL,
        started_at TIMESTAMPTZ NOT NULL,
        beat       BIGINT NOT NULL DEFAULT 0,
        beat_at    TIMESTAMPTZ NOT NULL
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE idempotency_keys (
        community_id BIGINT NOT NULL,
        key          VARCHAR(255) NOT NULL,
        fingerprint  BYTEA NOT NULL,
        status       INTEGER NOT NULL,
        headers      JSONB NOT NULL,
        body         BYTEA NOT NULL,
        created_at   TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (community_id, key)
    )
    """,
    "CREATE INDEX idx_idempotency_keys_age ON idempotency_keys (created_at)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
