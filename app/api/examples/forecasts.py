"""An example of a forecast."""

from typing import Any

FORECAST: dict[str, Any] = {
    "from": "2026-11-23T16:00:00Z",
    "to": "2026-11-23T19:00:00Z",
    "bucket_seconds": 3600,
    "schedules": 42,
    "occurrences": 161,
    "buckets": [
        {"from": "2026-11-23T16:00:00Z", "occurrences": 40},
        {"from": "2026-11-23T17:00:00Z", "occurrences": 81},
        {"from": "2026-11-23T18:00:00Z", "occurrences": 40},
    ],
    "next_cursor": None,
}
