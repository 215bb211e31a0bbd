"""An example of what the service says of itself."""

from typing import Any

HEALTH: dict[str, Any] = {
    "status": "ok",
    "scheduler_running": True,
    "live_workers": 2,
    "database_connected": True,
    "redis_connected": True,
    "wheel_depth": 1204,
    "active_schedules": 310,
    "overdue_count": 0,
}
