"""A worker process: its connections, its clock, its signals, and its metrics over HTTP."""

import asyncio
import signal
from collections.abc import Callable

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.core.clock import DatabaseClock
from app.core.errors import ConfigurationException
from app.delivery.sender import USER_AGENT, Sender
from app.delivery.signing import Signer
from app.delivery.transport import PooledTransport
from app.metrics import Metrics
from app.serving import QuietServer
from app.settings import Settings
from app.store.database import Database, wait_until_up
from app.store.schema import is_current
from app.wheel.connection import connect, refuse_eviction
from app.wheel.wheel import Wheel
from app.workers.loop import Worker

CLOCK_SECONDS = 10.0
_PATIENCE_SECONDS = 60.0
_CONNECTIONS_TO_TARGETS = 128

log = structlog.get_logger()


async def run_worker(settings: Settings, *, metrics_port: int = 0) -> None:
    """Fire until SIGTERM or SIGINT; a second one ends it at once.

    Raises ConfigurationException where a setting is missing or the schema is old, StoreUnavailableException where
    Postgres does not answer for a minute.
    """
    settings.need("database_url", "redis_url", "workflow_engine_url")
    signer = Signer.from_setting(settings.webhook_signing_secrets)
    clock, metrics = DatabaseClock(), Metrics()
    await wait_until_up(settings.database_url, clock, patience_seconds=_PATIENCE_SECONDS)
    database = await Database.open(
        settings.database_url,
        pool_size=settings.database_pool_size,
        pooler=settings.database_pooler,
        name="schedule-service worker",
    )
    async with database.connection() as connection:
        if not await is_current(connection):
            raise ConfigurationException("the database has an older schema: run `schedule-service migrate` first")
    client = connect(settings.redis_url)
    await refuse_eviction(client, allowed=settings.allow_eviction)
    wheel = Wheel(
        client,
        clock,
        shards=settings.wheel_shards,
        window_seconds=settings.wheel_window_seconds,
        claim_ahead_ms=settings.claim_ahead_ms,
    )
    # Nothing is claimed before the clock was set once.
    await database.measure(clock)
    transport = PooledTransport(
        timeout_seconds=settings.trigger_request_timeout_seconds,
        connections=min(settings.max_concurrent_workflows, _CONNECTIONS_TO_TARGETS),
        user_agent=USER_AGENT,
    )
    sender = Sender(transport, signer, clock, engine_url=settings.workflow_engine_url)
    worker = Worker(settings, database, wheel, sender, clock, metrics)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    background = [
        asyncio.create_task(
            database.follow(clock, every_seconds=CLOCK_SECONDS, stepped=_stepped(metrics)), name="clock"
        )
    ]
    if metrics_port:
        background.append(asyncio.create_task(_serve_metrics(worker, wheel, clock, metrics, metrics_port), name="http"))
    try:
        await worker.run()
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await transport.close()
        await wheel.close()
        await database.close()


def _stepped(metrics: Metrics) -> Callable[[float], None]:
    def stepped(seconds: float) -> None:
        metrics.clock_steps.inc()
        log.warning("clock_stepped_back", category="SYSTEM", seconds=round(seconds, 3))

    return stepped


async def _serve_metrics(worker: Worker, wheel: Wheel, clock: DatabaseClock, metrics: Metrics, port: int) -> None:
    """`/metrics`, `/livez` and `/readyz` of this worker, on every interface, as a scrape needs it."""

    async def show(_request: Request) -> Response:
        state = await wheel.state()
        metrics.redis_up.set(state.connected)
        metrics.wheel_behind.set(wheel.behind)
        metrics.jobs.set(state.entries)
        metrics.postgres_up.set(worker.presence.age_seconds < CLOCK_SECONDS)
        metrics.clock_skew_seconds.set(clock.skew_seconds)
        body, content_type = metrics.render()
        return Response(body, media_type=content_type)

    async def live(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_request: Request) -> Response:
        return PlainTextResponse("ok\n") if worker.ready else PlainTextResponse("not claiming\n", 503)

    app = Starlette(routes=[Route("/metrics", show), Route("/livez", live), Route("/readyz", ready)])
    config = uvicorn.Config(app, host="0.0.0.0", port=port, log_level="warning", access_log=False, lifespan="off")  # noqa: S104
    server = QuietServer(config)
    await server.serve()
