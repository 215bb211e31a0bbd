"""One run: faults after a plan, while callers change schedules of all kinds, and what the checker says of it."""

import asyncio
import random
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.history import Acknowledged, Stall, Verdict
from tests.chaos.plan import Planned, plan
from tests.chaos.scene import Scene
from tests.chaos.stack import Exit
from tests.chaos.target import now_ms


@dataclass(frozen=True, slots=True)
class Weather:
    """How a run is set up. `plain` schedules fire each second; `restless` ones are of all kinds, and are changed.

    `named` are the beginnings of the names of the faults that are wanted; empty: all.
    """

    seed: int
    seconds: float
    gap_seconds: float = 2.0
    plain: int = 80
    restless: int = 40
    callers: int = 3
    named: Sequence[str] = ()


@dataclass(slots=True)
class Outcome:
    """What a run was, and what came of it."""

    weather: Weather
    verdict: Verdict
    acknowledged: Acknowledged
    faults: Counter[str] = field(default_factory=Counter)
    exits: Sequence[Exit] = ()
    stalls: Sequence[Stall] = ()
    calm_seconds: float = 0.0


class Storm:
    """Runs once."""

    def __init__(self, weather: Weather, folder: Path, say: Callable[[str], None]) -> None:
        self._weather = weather
        self._scene = Scene(weather.seed, folder)
        self._say = say
        self._outcome = Outcome(weather, self._scene.verdict, self._scene.callers.acknowledged)
        self._began_ms = 0.0

    async def run(self) -> Outcome:
        """Break things for a while, mend them, let it calm down, and check."""
        async with self._scene as scene:
            await scene.callers.populate(self._weather.plain, self._weather.restless)
            await self._blow()
            mended_ms = now_ms()
            await scene.end()
        self._outcome.calm_seconds = (now_ms() - mended_ms) / 1000
        self._outcome.exits = scene.stack.exits
        self._outcome.stalls = scene.target.stalls
        return self._outcome

    async def _blow(self) -> None:
        weather, scene = self._weather, self._scene
        planned = plan(
            weather.seed,
            seconds=weather.seconds,
            gap_seconds=weather.gap_seconds,
            workers=len(scene.stack.workers),
            named=weather.named,
        )
        calling = [asyncio.create_task(scene.callers.go_on(weather.callers * 0.15)) for _ in range(weather.callers)]
        self._began_ms = now_ms()
        try:
            async with asyncio.TaskGroup() as breaking:
                for one in planned:
                    await asyncio.sleep(max(0.0, one.at_seconds - self._seconds()))
                    breaking.create_task(self._break(one))
                await asyncio.sleep(max(0.0, weather.seconds - self._seconds()))
        finally:
            for task in calling:
                task.cancel()
            for done in await asyncio.gather(*calling, return_exceptions=True):
                if isinstance(done, Exception):
                    scene.verdict.broken(f"a caller ended with {done!r}")

    def _seconds(self) -> float:
        return (now_ms() - self._began_ms) / 1000

    async def _break(self, planned: Planned) -> None:
        scene, fault = self._scene, planned.fault
        slot = scene.stack.workers[planned.worker]
        async with scene.holding([slot.name if thing == "worker" else thing for thing in fault.things]):
            began = self._seconds()
            try:
                await fault.does(scene.stack, random.Random(planned.seed), slot)
            except Exception as failed:
                # The run goes on, and says at its end that it did not do all that it was to do.
                scene.verdict.broken(f"{fault.name} ({slot.name}) at {began:.1f} s ended with {failed!r}")
                self._say(traceback.format_exc())
        scene.callers.clock_ahead_ms = scene.stack.ahead_ms
        self._outcome.faults[fault.name] += 1
        whom = f" ({slot.name})" if "worker" in fault.things else ""
        deliveries = scene.target.number
        self._say(f"{began:7.1f} s to {self._seconds():7.1f} s  {deliveries:8} deliveries  {fault.name}{whom}")
