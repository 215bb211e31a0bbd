"""Examples of previews."""

from typing import Any

from app.api.examples.ids import INSTANT

PREVIEW: dict[str, Any] = {
    "schedule_type": "cron",
    "cron_expression": "0 12 * * MON-FRI",
    "timezone": "America/New_York",
    "count": 3,
}
OCCURRENCES: dict[str, Any] = {
    "occurrences": [INSTANT, "2026-11-24T17:00:00Z", "2026-11-25T17:00:00Z"],
    "adjusted": [],
    "description": "At 12:00, Monday to Friday",
}
