"""An API process: its connections, its clock, and uvicorn around the application."""

import asyncio
import ipaddress
import signal

import structlog
import uvicorn

from app.api.app import Services, create_app
from app.core.clock import DatabaseClock
from app.core.errors import ConfigurationException
from app.metrics import Metrics
from app.service.executions import ExecutionService
from app.service.gauges import Gauges
from app.service.health import HealthService
from app.service.keys import KeyService
from app.service.schedules import ScheduleService
from app.serving import QuietServer
from app.settings import AuthMode, Settings
from app.store.database import Database, wait_until_up
from app.wheel.connection import connect, refuse_eviction
from app.wheel.wheel import Wheel

_CLOCK_SECONDS = 10.0
_PATIENCE_SECONDS = 60.0

log = structlog.get_logger()


async def serve(settings: Settings, *, host: str, port: int) -> None:
    """Answer requests until SIGTERM or SIGINT: then fail `/readyz`, finish what is under way, close.

    Raises ConfigurationException where a setting is missing or forbids it, StoreUnavailableException where Postgres
    does not answer for a minute.
    """
    settings.need("database_url", "redis_url")
    if settings.auth_mode is AuthMode.NONE and not _is_loopback(host):
        raise ConfigurationException(
            f"AUTH_MODE=none is for a loopback address, not for {host}: use api_key, or --host 127.0.0.1"
        )
    clock, metrics = DatabaseClock(), Metrics()
    await wait_until_up(settings.database_url, clock, patience_seconds=_PATIENCE_SECONDS)
    database = await Database.open(
        settings.database_url,
        pool_size=settings.database_pool_size,
        pooler=settings.database_pooler,
        name="schedule-service api",
    )
    client = connect(settings.redis_url)
    await refuse_eviction(client, allowed=settings.allow_eviction)
    wheel = Wheel(
        client,
        clock,
        shards=settings.wheel_shards,
        window_seconds=settings.wheel_window_seconds,
        claim_ahead_ms=settings.claim_ahead_ms,
    )
    await database.measure(clock)
    services = Services(
        schedules=ScheduleService(database, wheel, clock),
        executions=ExecutionService(database, wheel, clock),
        keys=KeyService(database, clock),
        health=HealthService(database, wheel, clock),
        clock=clock,
    )
    gauges = Gauges(database, wheel, clock, metrics)
    app = create_app(settings, services, metrics, before_scrape=gauges.refresh)
    following = asyncio.create_task(
        database.follow(clock, every_seconds=_CLOCK_SECONDS, stepped=lambda _seconds: metrics.clock_steps.inc()),
        name="clock",
    )
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="none",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=round(settings.shutdown_grace_seconds),
        backlog=2048,
    )
    server = QuietServer(config)

    def stop() -> None:
        app.state.parts.stopping = True
        server.finish()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    log.info("schedule_service_init", category="SYSTEM", host=host, port=port, auth_mode=settings.auth_mode.value)
    try:
        await server.serve()
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await wheel.close()
        await database.close()
        log.info("schedule_service_stop", category="SYSTEM")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
