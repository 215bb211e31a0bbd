"""A worker process: its connections, its signals, and its metrics over HTTP."""

import asyncio
import signal
from contextlib import AsyncExitStack

from app.listening import EVERY_INTERFACE, bound
from app.metrics import Metrics
from app.scraping import scrape_server
from app.sending import Sending
from app.serving import QuietServer
from app.settings import Settings
from app.wiring import CLOCK_SECONDS, Connections, connected, open_as_many_files_as_allowed, spare_the_collector
from app.workers.loop import Worker
from app.workers.signals import Signals

_CONNECTIONS_TO_TARGETS = 128


async def run_worker(
    settings: Settings, *, metrics_port: int = 0, metrics_socket: str = "", signals: Signals | None = None
) -> None:
    """Fire until SIGTERM or SIGINT; a second one ends it at once. `signals` are a test's.

    Its metrics are served on a port, or on a Unix socket for the parent of several processes.

    Raises ConfigurationException where the port is taken, and it and StoreUnavailableException as `connected` does.
    """
    settings.need("workflow_engine_url")
    sending, metrics = Sending.of(settings), Metrics()
    metrics.leave_to_the_api()
    sockets = bound(EVERY_INTERFACE, metrics_port) if metrics_port else None
    spare_the_collector()
    open_as_many_files_as_allowed()
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(connected(settings, metrics, name="worker", steady_plans=True))
        connections = min(settings.max_concurrent_workflows, _CONNECTIONS_TO_TARGETS)
        sender = await stack.enter_async_context(sending.sender(parts.clock, connections=connections))
        worker = Worker(settings, parts.database, parts.wheel, sender, parts.clock, metrics, signals)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, worker.stop)
        if not metrics_port and not metrics_socket:
            await worker.run()
            return
        # Whoever reaches the socket is the parent, which asks for the token itself.
        token = "" if metrics_socket else settings.metrics_token
        server = _metrics_server(worker, parts, metrics, token, metrics_socket)
        serving = asyncio.create_task(server.serve(sockets=sockets), name="http")
        try:
            await worker.run()
        finally:
            server.finish()
            await serving


def _metrics_server(worker: Worker, parts: Connections, metrics: Metrics, token: str, socket: str) -> QuietServer:
    """What this worker shows of itself, on what it is told to serve, or on a Unix socket."""

    async def show() -> tuple[bytes, str]:
        state = await parts.wheel.state()
        metrics.redis_up.set(state.connected)
        metrics.wheel_behind.set(parts.wheel.behind)
        metrics.redis_may_evict.set(parts.wheel.may_evict)
        if state.connected:
            metrics.jobs.set(state.entries)
        # Asked for by two loops: one that is stuck is not to be taken for an outage.
        metrics.postgres_up.set(min(worker.presence.age_seconds, parts.clock.age_seconds) < CLOCK_SECONDS + 2)
        return metrics.render()

    async def ready() -> tuple[bool, str]:
        if not worker.ready:
            return False, "not claiming\n"
        warning = "warning: Redis does not answer, claiming from Postgres\n" if parts.wheel.away else ""
        return True, f"ok\n{warning}"

    return scrape_server(show, ready, token=token, socket=socket)
