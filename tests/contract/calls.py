"""What the tests of this folder call the application with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import FastAPI

from app.api.app import Services, create_app
from app.delivery.guard import Guard
from app.metrics import Metrics
from app.sending import Sending
from app.settings import Settings
from app.store.database import Database
from app.wheel.wheel import Wheel

SCHEDULES = "/api/v1/schedules"
EXECUTIONS = "/api/v1/executions"
WORKFLOW_ID = "8f14e45f-ceea-467f-9d3a-1c5b2a7e6f10"
UNKNOWN_ID = "01973c5e-7a10-7cc3-98b1-3f6d2c0a9e51"

Records = Callable[[], Awaitable[dict[str, int]]]
"""Counts the rows of each table that a request may write to."""
Connect = Callable[..., Awaitable[httpx.AsyncClient]]
"""Makes a client: `await connect_as(Role.VIEWER)`, of a new community unless one is named."""


@dataclass(frozen=True, slots=True)
class Stack:
    """What an application stands on."""

    url: str
    database: Database
    wheel: Wheel
    services: Services
    metrics: Metrics


def application(stack: Stack, guard: Guard | None = None, **settings: Any) -> FastAPI:
    """An application on the stack; settings by their names, and the guard that they say unless one is given."""

    async def before_scrape() -> None:
        stack.metrics.running.set(1)

    said = Settings(**settings)
    return create_app(said, stack.services, stack.metrics, guard or Sending.of(said).guard, before_scrape=before_scrape)


def client_of(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    """A client of an application in this process; an exception in the application fails the test."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test", headers=headers)


def cron(**fields: Any) -> dict[str, Any]:
    """The body of a valid create; `fields` are laid over it."""
    return {
        "workflow_id": WORKFLOW_ID,
        "schedule_type": "cron",
        "cron_expression": "0 12 * * MON-FRI",
        "timezone": "America/New_York",
        **fields,
    }


async def create(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """A stored schedule, as the create answered it."""
    answer = await client.post(SCHEDULES, json=cron(**fields))
    assert answer.status_code == 201, answer.text
    stored: dict[str, Any] = answer.json()
    return stored


def by_name(name: str) -> str:
    """The path at which the schedule of that name is put."""
    return f"{SCHEDULES}/by-name/{quote(name, safe='')}"


async def apply(client: httpx.AsyncClient, name: str, status: int, /, **fields: Any) -> dict[str, Any]:
    """Put a schedule by its name, `fields` laid over `cron`: the schedule, or the problem, with that status."""
    answer = await client.put(by_name(name), json=cron(**fields))
    assert answer.status_code == status, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def fields_of(problem: dict[str, Any]) -> list[str]:
    """The fields that a problem names."""
    return [each["field"] for each in problem["errors"]]
