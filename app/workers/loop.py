"""The process that fires: joins the stages and the keepers, and ends them in order.

    claim ──▶ advance ──▶ deliver ──▶ settle

The stages run at once, each on the batch before; a short bounded queue between claim and advance and the room that the
deliverer has are the back-pressure. A loop that fails is logged and goes round again: no fault of Postgres, Redis or a
target ends the process.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from uuid import UUID

import structlog

from app.core.assignment import Assignment
from app.core.clock import Clock
from app.core.errors import StoreUnavailableException
from app.core.liveness import BEAT_SECONDS
from app.core.tasks import end, end_at
from app.delivery.sender import Sender
from app.metrics import Metrics
from app.service.schedules import ScheduleService
from app.settings import Settings
from app.store.database import Database, granted
from app.store.outage import Outage
from app.wheel.rate import Rates
from app.wheel.wakes import listen
from app.wheel.wheel import Wheel
from app.workers.advance import Advancer
from app.workers.claim import Claimer
from app.workers.claiming import Claiming
from app.workers.deliver import Deliverer
from app.workers.early import Early
from app.workers.fallback import Fallback
from app.workers.gaps import Gaps
from app.workers.giving import GiveBack
from app.workers.housekeeping import Keepers
from app.workers.lanes import Lanes
from app.workers.lines import Line, LineOfFew
from app.workers.pausing import Pausing
from app.workers.presence import Presence
from app.workers.released import hand_back
from app.workers.settle import Settler
from app.workers.signals import Signals
from app.workers.stopping import Stopping
from app.workers.underway import Underway

_BATCHES_WAITING = 1
_BATCHES_AT_ONCE = 2
"""While one batch waits for Postgres, the other is computed: neither this worker nor Postgres stands still."""
_FEW_AT_ONCE = 2
"""The same for what little is due beside a crowd: it waits for Postgres most of the time, and comes each 20 ms."""
_AFTER_FAILURE_SECONDS = 1.0
_SETTLE_PATIENCE_SECONDS = 1.5
"""For the last outcomes, when the grace is over; less than there is in all, so that the row can still be removed."""

log = structlog.get_logger()


class Worker:
    """One worker: `run` until `stop`."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        wheel: Wheel,
        sender: Sender,
        clock: Clock,
        metrics: Metrics,
        signals: Signals | None = None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._wheel = wheel
        self._clock = clock
        self._metrics = metrics
        signals = signals or Signals()
        self.presence = Presence(database, clock, shares=bool(settings.limits.per_second))
        self.pausing = Pausing(database, clock, ScheduleService(database, wheel, clock))
        gaps = Gaps(clock, self._instants)
        self.settler = Settler(
            database, wheel, clock, metrics, pausing=self.pausing, forget=self._forget, gaps=gaps, signals=signals
        )
        self.giving = GiveBack(
            database, wheel, clock, metrics, forget=self._forget, room_came=self._room_came, gaps=gaps
        )
        self.lanes = Lanes(
            clock,
            metrics,
            settings.limits,
            Rates(wheel, clock, lambda: self.presence.sharing),
            self.giving,
            concurrency=settings.max_concurrent_workflows,
            request_seconds=settings.trigger_request_timeout_seconds,
            changed=self.presence.beat_soon,
        )
        self.presence.targets = self.lanes.told
        self.deliverer = Deliverer(
            database,
            sender,
            clock,
            self.presence,
            metrics,
            self.lanes,
            concurrency=settings.max_concurrent_workflows,
            request_seconds=settings.trigger_request_timeout_seconds,
            settle=self.settler.add,
            room_came=self._room_came,
            signals=signals,
        )
        self.advancer = Advancer(
            database, wheel, clock, self.presence, metrics, deliver=self.deliverer.take, signals=signals
        )
        self.keepers = Keepers(
            settings,
            database,
            wheel,
            clock,
            self.presence,
            metrics,
            knows=self.deliverer.knows,
            came_round=self._came_round,
        )
        self.advancing = Underway(clock)
        self.line = Line(places=_BATCHES_WAITING)
        self.few = LineOfFew()
        self.claimer = Claimer(
            wheel,
            clock,
            metrics,
            lease_ms=round(settings.lease_seconds * 1000),
            room=self.deliverer.room,
            room_for_few=self.deliverer.room_for_few,
            batch=self.deliverer.batch,
            shard_lost=self.keepers.load_soon,
            gaps=gaps,
            signals=signals,
        )
        self.early = Early(clock, wheel, self.few, again=self.claimer.again)
        self.fallback = Fallback(
            database,
            wheel,
            clock,
            self.presence,
            metrics,
            advancer=self.advancer,
            has_plenty_of_room=self.deliverer.has_plenty_of_room,
            signals=signals,
        )
        self.claiming = Claiming(
            self.claimer,
            self.fallback,
            wheel,
            clock,
            metrics,
            line=self.line,
            few=self.few,
            shard_lost=self.keepers.load_soon,
        )
        self._stopping = Stopping(settings.shutdown_grace_seconds, database.abandon)
        self._rounds: dict[str, float] = {}

    @property
    def ready(self) -> bool:
        """Whether it claims: registered, known to be alive, and not stopping."""
        return self.presence.trusted and not self._stopping.begun.is_set()

    def stop(self) -> None:
        """Begin the shutdown; a second call ends it at once."""
        self._stopping.stop()

    async def run(self) -> None:
        """Fire until stopped; where Postgres is away at the start, or takes no writes, that is waited out, and said.

        Where it is away at the end, the database is abandoned.

        Raises ConfigurationException where the user may not write the worker's row.
        """
        try:
            if await self._registered():
                await self._fire()
        finally:
            self._stopping.close()

    async def _fire(self) -> None:
        self._metrics.running.set(1)
        log.info("scheduler_start", category="SYSTEM", worker_id=str(self.presence.worker_id))
        # The beat outlives the others: a worker that is finishing its work is not dead.
        beating = asyncio.create_task(self._endure("beat", self.presence.run_forever), name="beat")
        tasks = self._start()
        claiming = asyncio.create_task(self._claim_until_stopped(), name="claim")
        try:
            await self._stopping.begun.wait()
            self._metrics.running.set(0)
            self.claiming.stop()
            self.early.stop()
            await self._shut_down(claiming)
        finally:
            await end(claiming, *tasks, beating)
            await self.early.close()
            leaving = asyncio.create_task(self.presence.leave(), name="leave")
            for failure in await end_at(self._stopping.too_late, leaving):
                log.error("leaving_failed", category="ERROR", error=f"{type(failure).__name__}: {failure}")
            log.info("scheduler_stop", category="SYSTEM", worker_id=str(self.presence.worker_id))

    async def _registered(self) -> bool:
        """Whether there is a row, without which nothing may be claimed; false: it was stopped before there was one."""
        registering = asyncio.create_task(self._register(), name="register")
        for failure in await end_at(self._stopping.hurried, registering):
            raise failure
        return not registering.cancelled() and registering.result()

    async def _register(self) -> bool:
        outage = Outage(self._clock, "start_waits")
        while not self._stopping.begun.is_set():
            try:
                with granted():
                    await self.presence.register()
            except StoreUnavailableException as away:
                outage.waits(away)
                await self._clock.sleep(_AFTER_FAILURE_SECONDS)
            else:
                return True
        return False

    def _start(self) -> list["asyncio.Task[None]"]:
        loops: dict[str, Callable[[], Awaitable[object]]] = {
            "wakes": lambda: listen(self._wheel, self._clock, self.claimer.wake),
            **{f"advance-{n}": lambda: self._advance_forever(self.line) for n in range(_BATCHES_AT_ONCE)},
            **{f"advance-few-{n}": lambda: self._advance_forever(self.few) for n in range(_FEW_AT_ONCE)},
            "deliver": self.deliverer.run_forever,
            "lanes": self.lanes.run_forever,
            "give-back": self.giving.run_forever,
            "settle": self.settler.run_forever,
            "pause": self.pausing.run_forever,
            **self.keepers.loops(),
        }
        ages: dict[str, Callable[[], float]] = {
            "beat": lambda: self.presence.age_seconds - BEAT_SECONDS,
            "advance": self.advancing.longest_seconds,
            "deliver": self.deliverer.stands_seconds,
            "lanes": self.lanes.stands_seconds,
            "settle": self.settler.underway.longest_seconds,
            "give-back": self.giving.underway.longest_seconds,
            "pause": self.pausing.underway.longest_seconds,
        }
        for name, age_seconds in ages.items():
            self._metrics.watch_loop(name, age_seconds)
        return [asyncio.create_task(self._endure(name, loop), name=name) for name, loop in loops.items()]

    async def _endure(self, name: str, loop: Callable[[], Awaitable[object]]) -> None:
        """Run a loop for ever, whatever it raises."""
        while True:
            try:
                await loop()
            except Exception:
                log.exception("loop_failed", category="ERROR", loop=name)
            await self._clock.sleep(_AFTER_FAILURE_SECONDS)

    async def _claim_until_stopped(self) -> None:
        while not self.claiming.stopping:
            try:
                await self.claiming.run_forever(lambda: self._came_round("claim"))
            except Exception:
                log.exception("loop_failed", category="ERROR", loop="claim")
                await self._clock.sleep(_AFTER_FAILURE_SECONDS)

    async def _advance_forever(self, line: Line) -> None:
        while True:
            batch = await line.get()
            self.claiming.taken()
            try:
                with self.advancing.this():
                    look = await self.advancer.run_once(batch)
                self.early.add(batch, look.early)
            finally:
                line.done()
                self.claimer.advanced(batch)

    async def _shut_down(self, claiming: "asyncio.Task[None]") -> None:
        """Claim no more, release what was not sent, finish what was, settle."""
        grace_seconds = self._settings.shutdown_grace_seconds
        finishing = asyncio.create_task(self._finish(claiming, grace_seconds), name="finish")
        for failure in await end_at(self._stopping.hurried, finishing):
            log.error("shutdown_failed", category="ERROR", error=f"{type(failure).__name__}: {failure}")

    async def _finish(self, claiming: "asyncio.Task[None]", grace_seconds: float) -> None:
        until = self._clock.monotonic() + grace_seconds
        # With Postgres away what was claimed cannot be recorded: its leases run out, and others claim it.
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                # First: a claim that is under way is in no queue yet.
                await asyncio.wait((claiming,))
                await self.line.join()
                await self.few.join()
                await self.early.join()
        await self._release(self.deliverer.stop())
        if not await self.deliverer.drained(until - self._clock.monotonic()):
            log.warning("shutdown_grace_over", category="SYSTEM", grace_seconds=grace_seconds)
        # What was being read again in between.
        await self._release(self.deliverer.stop())
        until = max(until, self._clock.monotonic() + _SETTLE_PATIENCE_SECONDS)
        while (self.settler.busy or self.pausing.busy) and self._clock.monotonic() < until:
            await self._clock.sleep(0.01)

    async def _release(self, unsent: Sequence[Assignment]) -> None:
        await hand_back(self._database, self._wheel, self._clock, unsent, self.presence.worker_id)

    def _room_came(self) -> None:
        self.claimer.room_came()

    def _instants(self, until_ms: int) -> list[int]:
        return self.deliverer.hold.instants(until_ms)

    def _forget(self, execution_id: UUID) -> None:
        self.deliverer.forget(execution_id)

    def _came_round(self, name: str) -> None:
        if name not in self._rounds:
            self._metrics.watch_loop(name, lambda: self._clock.monotonic() - self._rounds[name])
        self._rounds[name] = self._clock.monotonic()
