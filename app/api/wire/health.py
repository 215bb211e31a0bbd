"""The state of the service."""

from typing import Literal

from pydantic import Field

from app.api.wire.base import Shown


class Health(Shown):
    """Whether the service can serve, and how it fares."""

    status: Literal["ok", "degraded", "unavailable"] = Field(
        description="`degraded`: requests are served, but nothing fires, or only by Postgres; `unavailable`: neither."
    )
    scheduler_running: bool | None = Field(
        description="At least one worker is alive; null while the database is away, which knows of them."
    )
    live_workers: int | None
    database_connected: bool
    redis_connected: bool
    wheel_depth: int | None = Field(description="Entries in the timer wheel, of all communities.")
    active_schedules: int | None = Field(description="Of the caller's community; null without credentials.")
    overdue_count: int | None = Field(description="Active schedules that should have fired, of all communities.")


class Liveness(Shown):
    """The process answers."""

    status: Literal["ok"]


class Readiness(Shown):
    """Whether requests can be served."""

    status: Literal["ready", "unavailable"]
    warnings: list[str]
