"""Examples of calendars."""

from typing import Any

from app.api.examples.ids import CREATED

CALENDAR_CREATE: dict[str, Any] = {
    "name": "bavaria",
    "days_off": ["2026-12-24", {"from": "2026-12-28", "to": "2026-12-30", "label": "Company holidays"}],
    "fill": {"country": "DE", "region": "BY", "years": {"from": 2026, "to": 2026}},
}
CALENDAR_REPLACE: dict[str, Any] = {
    "days_off": ["2026-12-24", "2026-12-31"],
    "fill": {"country": "DE", "region": "BY", "years": {"from": 2026, "to": 2027}},
}
_FILL: dict[str, Any] = {"country": "DE", "region": "BY", "years": {"from": 2026, "to": 2026}}
_CHRISTMAS: dict[str, Any] = {"from": "2026-12-25", "to": "2026-12-25", "label": "Christmas Day"}
CALENDAR: dict[str, Any] = {
    "calendar_id": "019aa1b2-3c4d-7e5f-8a6b-7c8d9e0f1a2b",
    "name": "bavaria",
    "description": None,
    "days_off": [
        {"from": "2026-12-24", "to": "2026-12-24", "label": None, "from_source": False},
        _CHRISTMAS | {"from_source": True},
        {"from": "2026-12-28", "to": "2026-12-30", "label": "Company holidays", "from_source": False},
    ],
    "days_worked": [],
    "weekend": ["SUN", "SAT"],
    "fill": _FILL,
    "source": _FILL | {"package_version": "0.109", "filled_at": CREATED},
    "recomputed": True,
    "community_id": 1,
    "created_by": "42",
    "created_at": CREATED,
    "updated_at": CREATED,
    "revision": 1,
}
CALENDAR_PAGE: dict[str, Any] = {"items": [CALENDAR], "next_cursor": None}
REFRESH: dict[str, Any] = {"apply": False, "years": {"from": 2026, "to": 2027}}
REFRESHED: dict[str, Any] = {
    "added": [{"from": "2027-01-01", "to": "2027-01-01", "label": "New Year's Day", "worked": False}],
    "removed": [],
    "kept_own": 2,
    "applied": False,
    "package_version": "0.109",
    "schedules_affected": 12,
    "revision": 1,
}
