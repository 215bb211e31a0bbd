"""The real application on a real Postgres and Valkey, made once; tests keep apart by their communities."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from socket import AddressFamily
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from app.api.app import Services
from app.api.protocol import ApiProtocol
from app.core.clock import SystemClock
from app.core.principal import Role
from app.delivery.guard import Forbidden, Guard
from app.metrics import Metrics
from app.sending import Sending
from app.service.auditing import AuditService
from app.service.calendars import CalendarService
from app.service.executions import ExecutionService
from app.service.explaining import ExplainingService
from app.service.forecasting import ForecastService
from app.service.health import HealthService
from app.service.keys import KeyService
from app.service.schedules import ScheduleService
from app.service.targets import TargetService
from app.service.trying import TargetTester
from app.settings import AuthMode, Settings
from app.store.database import Database
from app.wheel.connection import connect
from app.wheel.wheel import Wheel
from tests.contract.calls import Connect, Records, Stack, application, client_of

_communities = count(1000)


class Nowhere(Guard):
    """Lets nothing out, whatever a test or a generator of requests thinks of."""

    async def resolve(self, host: str) -> list[tuple[AddressFamily, str]]:
        raise Forbidden(f"{host} is not called in tests")


@pytest.fixture(scope="session")
async def contract_url(postgres_url: str, database_template: str) -> AsyncIterator[str]:
    """One database for all tests of this folder."""
    name = f"contract_{secrets.token_hex(6)}"
    server = await asyncpg.connect(postgres_url)
    await server.execute(f"CREATE DATABASE {name} TEMPLATE {database_template}")
    yield urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
    await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await server.close()


@pytest.fixture(scope="session")
async def stack(contract_url: str, redis_server_url: str) -> AsyncIterator[Stack]:
    """The services on that database."""
    settings = Settings()
    clock = SystemClock()
    database = await Database.open(contract_url)
    wheel = Wheel(
        connect(redis_server_url),
        clock,
        shards=settings.wheel_shards,
        window_seconds=settings.wheel_window_seconds,
        claim_ahead_ms=settings.claim_ahead_ms,
    )
    async with replace(Sending.of(settings), guard=Nowhere()).sender(clock, connections=1) as sender:
        services = Services(
            schedules=ScheduleService(database, wheel, clock),
            executions=ExecutionService(database, wheel, clock, Metrics()),
            calendars=CalendarService(database, wheel, clock, Metrics()),
            explaining=ExplainingService(database, clock, execution_days=settings.execution_retention_days),
            forecasts=ForecastService(database),
            audit=AuditService(database),
            keys=KeyService(database, clock),
            health=HealthService(database, wheel, clock),
            targets=TargetService(database, settings.limits),
            trying=TargetTester(sender, clock, engine_url=""),
            clock=clock,
        )
        yield Stack(contract_url, database, wheel, services, Metrics())
    await wheel.close()
    await wheel.client.connection_pool.disconnect()
    await database.close()


@pytest.fixture(scope="session")
def app(stack: Stack) -> FastAPI:
    """The application as it is configured by default: callers need an API key."""
    return application(stack)


@pytest.fixture(scope="session")
def open_app(stack: Stack) -> FastAPI:
    """The application without authentication: everyone is admin of community 1."""
    return application(stack, auth_mode=AuthMode.NONE)


@pytest.fixture
async def connect_as(app: FastAPI, stack: Stack) -> AsyncIterator[Connect]:
    """Make clients: `await connect_as(Role.VIEWER)`, of a new community unless one is named."""
    clients: list[httpx.AsyncClient] = []

    async def make(role: Role = Role.ADMIN, community_id: int | None = None) -> httpx.AsyncClient:
        community_id = next(_communities) if community_id is None else community_id
        key = await stack.services.keys.create(community_id, role, user=f"{role}-user", name=None, expires_at=None)
        clients.append(client_of(app, Authorization=f"Bearer {key}"))
        return clients[-1]

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
async def client(connect_as: Connect) -> httpx.AsyncClient:
    """An admin of a community that is this test's alone."""
    return await connect_as()


@pytest.fixture(scope="session")
async def records(stack: Stack) -> Records:
    """How many rows each table has that a request may write to."""

    async def counted() -> dict[str, int]:
        tables = (
            *("workflow_schedules", "executions", "schedule_revisions", "audit_log", "idempotency_keys"),
            *("calendars", "calendar_uses"),
        )
        async with stack.database.connection() as connection:
            return {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables}

    return counted


@pytest.fixture
async def served(app: FastAPI) -> AsyncIterator[str]:
    """The application behind a real uvicorn on a loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, http=ApiProtocol, log_level="warning", lifespan="off", ws="none"))
        running = asyncio.create_task(server.serve(sockets=[listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await running
