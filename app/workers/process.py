"""A worker process: its connections, its signals, and its metrics over HTTP."""

import asyncio
import signal
from contextlib import AsyncExitStack

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.delivery.sender import USER_AGENT, Sender
from app.delivery.signing import Signer
from app.delivery.transport import PooledTransport
from app.metrics import Metrics
from app.serving import QuietServer
from app.settings import Settings
from app.wiring import CLOCK_SECONDS, Connections, connected
from app.workers.loop import Worker

_CONNECTIONS_TO_TARGETS = 128


async def run_worker(settings: Settings, *, metrics_port: int = 0) -> None:
    """Fire until SIGTERM or SIGINT; a second one ends it at once.

    Raises ConfigurationException and StoreUnavailableException as `connected` does.
    """
    settings.need("workflow_engine_url")
    signer, metrics = Signer.from_setting(settings.webhook_signing_secrets), Metrics()
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(connected(settings, metrics, name="worker"))
        transport = PooledTransport(
            timeout_seconds=settings.trigger_request_timeout_seconds,
            connections=min(settings.max_concurrent_workflows, _CONNECTIONS_TO_TARGETS),
            user_agent=USER_AGENT,
        )
        stack.push_async_callback(transport.close)
        sender = Sender(transport, signer, parts.clock, engine_url=settings.workflow_engine_url)
        worker = Worker(settings, parts.database, parts.wheel, sender, parts.clock, metrics)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, worker.stop)
        if not metrics_port:
            await worker.run()
            return
        server = _metrics_server(worker, parts, metrics, metrics_port)
        serving = asyncio.create_task(server.serve(), name="http")
        try:
            await worker.run()
        finally:
            server.finish()
            await serving


def _metrics_server(worker: Worker, parts: Connections, metrics: Metrics, port: int) -> QuietServer:
    """`/metrics`, `/livez` and `/readyz` of this worker, on every interface, as a scrape needs it."""

    async def show(_request: Request) -> Response:
        state = await parts.wheel.state()
        metrics.redis_up.set(state.connected)
        metrics.wheel_behind.set(parts.wheel.behind)
        metrics.jobs.set(state.entries)
        metrics.postgres_up.set(worker.presence.age_seconds < CLOCK_SECONDS)
        metrics.clock_skew_seconds.set(parts.clock.skew_seconds)
        body, content_type = metrics.render()
        return Response(body, media_type=content_type)

    async def live(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_request: Request) -> Response:
        return PlainTextResponse("ok\n") if worker.ready else PlainTextResponse("not claiming\n", 503)

    app = Starlette(routes=[Route("/metrics", show), Route("/livez", live), Route("/readyz", ready)])
    config = uvicorn.Config(
        app,
        host="0.0.0.0",  # noqa: S104
        port=port,
        loop="none",
        log_level="warning",
        access_log=False,
        lifespan="off",
    )
    return QuietServer(config)
