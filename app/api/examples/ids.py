"""What the examples of the OpenAPI document have in common: they tell of one schedule and its runs."""

SCHEDULE_ID = "01973c5e-7a10-7cc3-98b1-3f6d2c0a9e51"
WORKFLOW_ID = "8f14e45f-ceea-467f-9d3a-1c5b2a7e6f10"
EXECUTION_ID = "019ab1d0-9e40-8a7b-9c1d-52f4b1f0c6aa"
INSTANT = "2026-11-23T17:00:00Z"
CREATED = "2026-11-20T09:30:00.250Z"
