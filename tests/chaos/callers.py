"""Callers of the API: they make schedules of all kinds and change them at the very instant of a firing.

What was acknowledged is kept, to be looked for in Postgres; what was not may have happened or not.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any
from uuid import uuid4

import aiohttp

from tests.chaos.definitions import Definitions
from tests.chaos.history import Acknowledged
from tests.chaos.target import now_ms

_TIMEOUT = aiohttp.ClientTimeout(total=8)
_PATIENT_WITH_ONE_TIME_MS = 25_000
_AWAY = (aiohttp.ClientError, TimeoutError, OSError)
_ACTIONS = ("pause", "resume", "resume", "patch", "patch", "replace", "trigger", "trigger", "backfill", "remove")
_RARE_ACTIONS = ("skip-next", "cancel")
_WELL_KNOWN = frozenset({200, 201, 202, 204, 404, 409, 412, 503})


@dataclass(slots=True)
class _Known:
    """A schedule as a caller last saw it: its id, and an instant at which it fires, by the machine's clock."""

    schedule_id: str
    fires_at_ms: float
    one_time: bool


class Callers:
    """Some callers on one API."""

    def __init__(self, url: str, rng: random.Random) -> None:
        self._url = url
        self._rng = rng
        self._definitions = Definitions(rng)
        self._http: aiohttp.ClientSession | None = None
        self._restless: list[_Known] = []
        self.acknowledged = Acknowledged()
        self.clock_ahead_ms = 0.0

    async def __aenter__(self) -> "Callers":
        self._http = aiohttp.ClientSession(timeout=_TIMEOUT)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        assert self._http is not None
        await self._http.close()

    async def wait_until_up(self) -> None:
        """Return once the API is ready."""
        async with asyncio.timeout(60):
            while (await self._ask("GET", f"{self._url.removesuffix('/api/v1')}/readyz"))[0] != 200:
                await asyncio.sleep(0.05)

    async def populate(self, plain: int, restless: int) -> None:
        """The schedules that a run begins with: `plain` ones that nobody changes, and others."""
        await self.create_all([self._definitions.plain() for _ in range(plain)])
        for _ in range(restless):
            await self._create(self._definitions.any())

    async def create_all(self, definitions: Sequence[dict[str, Any]]) -> None:
        """Schedules that nobody changes, while all is well."""
        for start in range(0, len(definitions), 500):
            body = {"schedules": definitions[start : start + 500]}
            status, answer = await self._ask("POST", f"{self._url}/schedules/batch", body)
            assert status in (200, 201, 207), answer
            self.acknowledged.created += [
                result["schedule"]["schedule_id"] for result in answer["results"] if result["status"] == 201
            ]

    async def go_on(self, pause_seconds: float) -> None:
        """Change something, for ever."""
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / pause_seconds))
            await self._step()

    async def report(self, execution_id: str) -> None:
        """What the target says when its work is done; repeated until it is heard."""
        for _ in range(40):
            status, _ = await self._ask(
                "POST", f"{self._url}/executions/{execution_id}/complete", {"status": "succeeded"}
            )
            if status not in (0, 503):
                return
            await asyncio.sleep(0.5)

    async def pause_all(self, schedule_ids: Sequence[str]) -> None:
        """Have nothing fire any more."""
        limit = asyncio.Semaphore(6)

        async def pause(schedule_id: str) -> None:
            async with limit:
                while (await self._ask("POST", f"{self._url}/schedules/{schedule_id}/pause"))[0] in (0, 503):
                    await asyncio.sleep(0.1)

        await asyncio.gather(*(pause(one) for one in schedule_ids))

    # One step

    async def _step(self) -> None:
        if not self._restless or self._rng.random() < 0.25:
            now = datetime.fromtimestamp((now_ms() + self.clock_ahead_ms) / 1000, UTC)
            once = self._rng.random() < 0.6
            await self._create(self._definitions.once(now) if once else self._definitions.any())
            return
        known = self._rng.choice(self._restless)
        action = self._rng.choice(_ACTIONS + _RARE_ACTIONS)
        await self._meet(known)
        if action == "remove":
            # Few enough are left otherwise, and most of them must live for a while.
            # Another caller may have removed it while this one waited for its instant.
            if len(self._restless) > 10 and known in self._restless:
                self._restless.remove(known)
                await self._remove(known)
        elif action in ("pause", "resume", "skip-next"):
            await self._change("POST", f"{known.schedule_id}/{action}", {"reason": "chaos"}, known)
        elif action == "trigger":
            await self._trigger(known)
        elif action == "backfill":
            await self._backfill(known)
        elif action == "cancel":
            await self._cancel()
        elif known.one_time:
            patch = self._definitions.changes()
            await self._change("PATCH", known.schedule_id, {"context_data": patch["context_data"]}, known)
        elif action == "patch":
            await self._change("PATCH", known.schedule_id, self._definitions.changes(), known)
        else:
            await self._change("PUT", known.schedule_id, self._definitions.any(), known)

    async def _meet(self, known: _Known) -> None:
        """Wait until just about the instant of a firing: most fire on a whole second of their own."""
        until_ms = known.fires_at_ms - self.clock_ahead_ms - now_ms()
        await asyncio.sleep(max(0.0, (until_ms % 1000 + self._rng.uniform(-70, 40)) / 1000))

    async def _create(self, definition: dict[str, Any]) -> None:
        # The same key until it is answered: whatever was lost on the way, it is created once.
        headers = {"Idempotency-Key": str(uuid4())}
        # Not for ever: an instant that lies a minute past is refused, and a clock that jumps helps it there.
        once = definition["schedule_type"] == "one_time"
        until_ms = now_ms() + _PATIENT_WITH_ONE_TIME_MS if once else inf
        while now_ms() < until_ms:
            status, answer = await self._ask("POST", f"{self._url}/schedules", definition, headers)
            if status == 201:
                self.acknowledged.created.append(answer["schedule_id"])
                known = _Known(answer["schedule_id"], 0.0, once)
                self._see(known, answer)
                self._restless.append(known)
                return
            if status not in (0, 409, 503):
                return
            await asyncio.sleep(0.2)

    async def _change(self, method: str, path: str, body: dict[str, Any], known: _Known) -> None:
        status, answer = await self._ask(method, f"{self._url}/schedules/{path}", body)
        if status == 200:
            self.acknowledged.revisions.append((answer["schedule_id"], answer["revision"]))
            self._see(known, answer)

    async def _remove(self, known: _Known) -> None:
        status, _ = await self._ask("DELETE", f"{self._url}/schedules/{known.schedule_id}")
        if status == 204:
            self.acknowledged.removed.append(known.schedule_id)

    async def _trigger(self, known: _Known) -> None:
        body = self._rng.choice((None, {"overlap_policy": "queue"}, {"overlap_policy": "cancel_running"}))
        headers = {"Idempotency-Key": str(uuid4())}
        for _ in range(3):
            status, answer = await self._ask(
                "POST", f"{self._url}/schedules/{known.schedule_id}/trigger", body, headers
            )
            if status == 202:
                self.acknowledged.executions.append(answer["execution_id"])
            if status not in (0, 503):
                return

    async def _cancel(self) -> None:
        """One of the latest runs, whether it has ended or not."""
        if self.acknowledged.executions:
            execution_id = self._rng.choice(self.acknowledged.executions[-5:])
            await self._ask("POST", f"{self._url}/executions/{execution_id}/cancel", {"reason": "chaos"})

    async def _backfill(self, known: _Known) -> None:
        if known.one_time:
            return
        end = datetime.fromtimestamp((now_ms() + self.clock_ahead_ms) / 1000, UTC)
        body = {
            "from": (end - timedelta(seconds=self._rng.randrange(2, 8))).isoformat(),
            "to": end.isoformat(),
            "max_parallel": self._rng.choice((1, 2)),
        }
        status, answer = await self._ask("POST", f"{self._url}/schedules/{known.schedule_id}/backfill", body)
        if status in (200, 202):
            self.acknowledged.executions += [run["execution_id"] for run in answer["runs"]]

    def _see(self, known: _Known, answer: dict[str, Any]) -> None:
        due = answer["next_due_at"]
        if due is not None:
            known.fires_at_ms = datetime.fromisoformat(due).timestamp() * 1000

    async def _ask(
        self, method: str, url: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and answer; 0 where there was none."""
        assert self._http is not None
        try:
            async with self._http.request(method, url, json=body, headers=headers) as response:
                answer = await response.json(content_type=None) if response.status != 204 else None
        except _AWAY:
            self._count(0)
            return 0, None
        self._count(response.status)
        if response.status not in _WELL_KNOWN:
            self.acknowledged.refused.append(f"{method} {url} {body}: {response.status} {answer}")
        return response.status, answer

    def _count(self, status: int) -> None:
        requests = self.acknowledged.requests
        requests[status] = requests.get(status, 0) + 1
