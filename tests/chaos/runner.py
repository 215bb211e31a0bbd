"""A worker process as `schedule-service worker` starts it, that a test can have die at a named point.

A real-time signal arms one point each; the worker kills itself when it next passes there. Nothing else differs.
"""

import asyncio
import os
import signal

import uvloop

from app.logs import configure_logs
from app.settings import read_settings
from app.workers.process import run_worker
from app.workers.signals import Point, Signals

_POINTS = list(Point)


def signal_for(point: Point) -> int:
    """The signal that arms a point."""
    return signal.SIGRTMIN + 1 + _POINTS.index(point)


class Deadly(Signals):
    """Kills its own process, as the kernel would, when it passes the armed point."""

    def __init__(self) -> None:
        self._armed: Point | None = None

    def arm(self, point: Point) -> None:
        """Die there, the next time."""
        self._armed = point

    async def reached(self, point: Point) -> None:
        if point is self._armed:
            os.kill(os.getpid(), signal.SIGKILL)


async def _run() -> None:
    settings = read_settings()
    configure_logs(level=settings.log_level, fmt=settings.log_format, module="worker")
    signals = Deadly()
    for point in Point:
        asyncio.get_running_loop().add_signal_handler(signal_for(point), signals.arm, point)
    await run_worker(settings, signals=signals)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run())
