"""Examples of targets, tried and told of."""

from typing import Any

from app.api.examples.ids import EXECUTION_ID

TARGET_HOSTS: dict[str, Any] = {
    "items": [
        {
            "host": "hooks.example.com",
            "schedules": 12,
            "circuit": "open",
            "failures": 11,
            "open_until": "2026-11-23T17:00:04Z",
            "last_error": "HTTP 503",
            "waiting": 40,
            "in_flight": 0,
            "workers_open": 2,
            "max_concurrent": 20,
            "rate_limit": None,
        }
    ],
    "next_cursor": None,
}
TARGET_TEST_INPUT: dict[str, Any] = {
    "target": {
        "url": "https://hooks.example/runs/{{ execution_id }}",
        "method": "PUT",
        "headers": {"Authorization": "Bearer of-your-target"},
        "body": {"report": "{{ report }}", "at": "{{ scheduled_for }}"},
    },
    "context_data": {"report": "daily"},
}
TARGET_TEST: dict[str, Any] = {
    "meaning": "delivered",
    "error": None,
    "duration_ms": 41,
    "request": {
        "method": "PUT",
        "url": f"https://hooks.example/runs/{EXECUTION_ID}",
        "headers": {
            "Host": "hooks.example",
            "User-Agent": "schedule-service/1.0.0",
            "Accept": "*/*",
            "Content-Length": "46",
            "Authorization": "********",
            "Content-Type": "application/json",
            "Idempotency-Key": EXECUTION_ID,
            "webhook-id": EXECUTION_ID,
            "webhook-timestamp": "1795453200",
            "traceparent": "00-019ab1d09e408a7b9c1d52f4b1f0c6aa-8d2c5a7e31f0b964-01",
            "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        },
        "body": '{"report":"daily","at":"2026-11-23T17:00:00Z"}',
    },
    "response": {
        "status": 202,
        "headers": [["Content-Type", "application/json"], ["Content-Length", "14"]],
        "body": '{"taken":true}',
    },
}
