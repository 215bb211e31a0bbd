"""An API process: its connections, and uvicorn around the application."""

import asyncio
import ipaddress
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
import uvicorn

from app.api.app import Services, create_app
from app.api.protocol import ApiProtocol
from app.core.clock import Clock
from app.core.errors import ConfigurationException
from app.core.tasks import end
from app.issuer import Issuer
from app.listening import bound
from app.metrics import Metrics
from app.sending import Sending
from app.service.auditing import AuditService
from app.service.calendars import CalendarService
from app.service.executions import ExecutionService
from app.service.explaining import ExplainingService
from app.service.forecasting import ForecastService
from app.service.gauges import Gauges
from app.service.health import HealthService
from app.service.issuer_keys import IssuerKeys
from app.service.keys import KeyService
from app.service.schedules import ScheduleService
from app.service.targets import TargetService
from app.service.tokens import TokenService
from app.service.trying import TargetTester
from app.serving import QuietServer
from app.settings import AuthMode, Settings
from app.wiring import connected, spare_the_collector

_CONNECTIONS_TO_TARGETS = 1
"""Kept to a target for the next: tests of one are few."""

log = structlog.get_logger()


async def serve(settings: Settings, *, host: str, port: int) -> None:
    """Answer requests until SIGTERM or SIGINT: then fail `/readyz`, finish what is under way, close.

    Raises ConfigurationException where a setting forbids it or the port is taken, and what `connected` raises.
    """
    if settings.auth_mode is AuthMode.NONE and not _is_loopback(host):
        raise ConfigurationException(
            f"AUTH_MODE=none is for a loopback address, not for {host}: use api_key, or --host 127.0.0.1"
        )
    by_token = settings.auth_mode is AuthMode.JWT
    metrics, sending = Metrics(), Sending.of(settings)
    metrics.leave_to_the_workers()
    if by_token:
        settings.need("jwt_issuer", "jwt_audience")
    else:
        metrics.leave_the_issuer()
    sockets = bound(host, port)
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(connected(settings, metrics, name="api"))
        database, wheel, clock = parts.database, parts.wheel, parts.clock
        sender = await stack.enter_async_context(sending.sender(clock, connections=_CONNECTIONS_TO_TARGETS))
        services = Services(
            schedules=ScheduleService(database, wheel, clock, quota=settings.community_max_schedules),
            executions=ExecutionService(database, wheel, clock, metrics),
            calendars=CalendarService(database, wheel, clock, metrics),
            explaining=ExplainingService(database, clock, execution_days=settings.execution_retention_days),
            forecasts=ForecastService(database),
            audit=AuditService(database),
            keys=KeyService(database, clock),
            health=HealthService(database, wheel, clock),
            targets=TargetService(database, settings.limits),
            trying=TargetTester(sender, clock, engine_url=settings.workflow_engine_url),
            clock=clock,
            tokens=await stack.enter_async_context(_tokens(settings, clock, metrics)) if by_token else None,
        )
        gauges = Gauges(database, wheel, clock, metrics)
        app = create_app(settings, services, metrics, sending.guard, before_scrape=gauges.refresh)
        server = QuietServer(
            uvicorn.Config(
                app,
                loop="none",
                http=ApiProtocol,
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=round(settings.shutdown_grace_seconds),
                backlog=2048,
            )
        )

        def stop() -> None:
            app.state.parts.stopping = True
            server.finish()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        spare_the_collector()
        log.info("schedule_service_init", category="SYSTEM", host=host, port=port, auth_mode=settings.auth_mode.value)
        await server.serve(sockets=sockets)
        log.info("schedule_service_stop", category="SYSTEM")


@asynccontextmanager
async def _tokens(settings: Settings, clock: Clock, metrics: Metrics) -> AsyncIterator[TokenService]:
    """What checks the issuer's tokens, its keys being kept meanwhile. It is there although the issuer is away."""
    async with Issuer.reached(settings.jwt_issuer, settings.jwt_jwks_url) as issuer:
        keys = IssuerKeys(issuer.keys, clock, metrics)
        keeping = asyncio.create_task(keys.keep(), name="issuer keys")
        try:
            yield TokenService(keys, clock, settings.jwt_rules, settings.jwt_naming)
        finally:
            await end(keeping)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
