"""The steps that workers take, and those that befall them and Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle
from uuid import UUID

from app.core.execution import ExecutionStatus as Status
from app.core.schedule import Completion
from app.workers.deliver import Deliverer
from tests.integration.workers.life import rules
from tests.integration.workers.life.asking import cancel, complete
from tests.integration.workers.life.life import Life
from tests.integration.workers.life.seen import Run
from tests.integration.workers.life.target import Outcome, Sending

_TAKEN = (202, 409)
_TRIED_AGAIN = (503, 429)
_GONE = 410
_LEASE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Wait:
    """Time passes."""

    seconds: float

    async def take(self, life: Life) -> None:
        life.clock.move(self.seconds)


@dataclass(frozen=True, slots=True)
class WaitUntilDue:
    """Time passes until something is due, or until so many milliseconds before or after."""

    which: int = 0
    after_ms: int = 0

    async def take(self, life: Life) -> None:
        waiting = [kept.next_due_at for kept in life.seen.schedules.values()]
        waiting += [run.wake_at for run in life.seen.unfinished()]
        # What a worker holds is due too.
        waiting += [run.due_at for run in life.seen.unfinished() if run.owner is not None]
        instants = sorted({at for at in waiting if at is not None and at > life.now})
        if instants:
            at = instants[self.which % len(instants)] + timedelta(milliseconds=self.after_ms)
            life.clock.move_to(max(at, life.now))


@dataclass(frozen=True, slots=True)
class Look:
    """A worker's turn: it beats, sees that the wheel is loaded, and records and takes what is due while it has room."""

    by: int = 0

    async def take(self, life: Life) -> None:
        crew = life.crews[self.by]
        worker = crew.worker
        await worker.presence.run_once()
        await worker.keepers.window.run_once()
        worker.claimer.wake(None)
        while claims := await worker.claimer.run_once():
            look = await worker.advancer.run_once(claims)
            worker.claimer.advanced(claims)
            worker.claimer.wake(None)
            crew.hands |= {(one.execution_id, one.attempt): one for one in look.assignments}
            before = await life.saw(lambda _old, _new: True)
            rules.looked(life.books, before, life.seen, worker.presence.worker_id)
        if worker.deliverer.room() and not life.lossy and life.now >= life.leased_until:
            rules.nothing_is_overdue(life.seen, life.now)


@dataclass(frozen=True, slots=True)
class Send:
    """A worker sends what it holds and is due, and is answered in turn by these status codes.

    `meanwhile` is what happens to each run before it is answered; `beats` is whether the worker asks first whether the
    others still know it.
    """

    by: int = 0
    status_codes: tuple[int, ...] = (202,)
    meanwhile: str | None = None
    beats: bool = True

    async def take(self, life: Life) -> None:
        crew = life.crews[self.by]
        presence = crew.worker.presence
        if self.beats or not presence.trusted:
            await presence.run_once()
        due = {key: one for key, one in crew.hands.items() if one.due_ms <= life.clock.now_ms()}
        status_codes = dict(zip(sorted(due), cycle(self.status_codes)))
        before = life.seen
        sending = life.target.sending = Sending(due, status_codes, lambda run: self._meanwhile(life, run), [])
        async with _sending(crew.worker.deliverer):
            while _has_work(crew.worker.deliverer, life.clock.now_ms()):
                await asyncio.sleep(0.0002)
        life.target.sending = None
        life.target.check()
        crew.answered += sending.answered
        answered = {(one.assignment.execution_id, one.assignment.attempt) for one in sending.answered}
        for key, one in due.items():
            run = before.runs[key[0]]
            if (run.owner, run.attempt) == (presence.worker_id, one.attempt):
                assert key in answered, f"{run} was not sent"
            del crew.hands[key]

    async def _meanwhile(self, life: Life, execution_id: UUID) -> None:
        if self.meanwhile == "cancelled":
            await cancel(life, execution_id)
        elif self.meanwhile is not None:
            await complete(life, execution_id, failed=self.meanwhile == "failed")


@dataclass(frozen=True, slots=True)
class Settle:
    """A worker writes what became of the attempts that were answered."""

    by: int = 0

    async def take(self, life: Life) -> None:
        crew = life.crews[self.by]
        outcomes, crew.answered = crew.answered, []
        before = life.seen
        expected = {key: _settled(life, before.runs[key], outcomes) for key in _ids(outcomes)}
        for outcome in outcomes:
            book = life.books[outcome.assignment.schedule_id]
            gone = outcome.status_code == _GONE and expected[outcome.assignment.execution_id] == Status.FAILED
            kept = life.kept(book)
            fires = kept is not None and kept.status == "active" and not book.paused
            if gone and kept is not None and fires and outcome.assignment.revision == book.revision:
                book.pauses(life.reached(book), kept)
        while crew.worker.settler.busy:
            await crew.worker.settler.run_once()
        while crew.worker.pausing.busy:
            await crew.worker.pausing.run_once()
        await life.saw(
            lambda old, new: (
                rules.noted(old, new) if old.finished_at is not None else new.status == expected.get(old.execution_id)
            )
        )
        for key, status in expected.items():
            if status is not None:
                assert life.seen.runs[key].status == status


def _ids(outcomes: list[Outcome]) -> set[UUID]:
    return {outcome.assignment.execution_id for outcome in outcomes}


def _settled(life: Life, run: Run, outcomes: list[Outcome]) -> str | None:
    """What becomes of a run by the fences; null where no outcome may be written."""
    mine = [one for one in outcomes if one.assignment.execution_id == run.execution_id]
    if run.finished_at is not None:
        return None
    definition = life.books[run.schedule_id].revisions[run.revision]
    if any(one.status_code in _TAKEN for one in mine):
        return Status.RUNNING if definition.completion is Completion.CALLBACK else Status.SUCCEEDED
    for one in mine:
        if (one.assignment.owner, one.assignment.attempt) == (run.owner, run.attempt):
            again = one.status_code in _TRIED_AGAIN and run.failures < definition.retry.max_retries
            return Status.RETRYING if again else Status.FAILED
    return None


@dataclass(frozen=True, slots=True)
class Work:
    """All of a worker's stages, one after the other, once something is due."""

    by: int = 0
    which: int = 0
    status_codes: tuple[int, ...] = (202,)

    async def take(self, life: Life) -> None:
        for step in (WaitUntilDue(self.which), Look(self.by), Send(self.by, self.status_codes), Settle(self.by)):
            await step.take(life)


@dataclass(frozen=True, slots=True)
class Break:
    """A worker claims, and is gone before it has recorded; or has recorded, and never learns of it.

    What it has is another's after its lease, or once it is buried, or once it finds that it does not know it.
    """

    by: int = 0
    recorded: bool = False

    async def take(self, life: Life) -> None:
        crew = life.crews[self.by]
        worker = crew.worker
        await worker.presence.run_once()
        worker.claimer.wake(None)
        claims = await worker.claimer.run_once()
        worker.claimer.advanced(claims)
        life.leased_until = life.now + _LEASE
        if claims and self.recorded:
            members = [member for claim in claims for member in claim.members]
            await worker.advancer._look(members)
            # What it was to put for them never is: the sweep finds it, some time after it is due.
            life.lossy = True
            before = await life.saw(lambda _old, _new: True)
            rules.looked(life.books, before, life.seen, worker.presence.worker_id)


@dataclass(frozen=True, slots=True)
class Bury:
    """A worker was silent for too long, and the other releases what it has. It is dead, or was only frozen."""

    by: int = 0
    dead: bool = True

    async def take(self, life: Life) -> None:
        crew, other = life.crews[self.by], life.crews[1 - self.by]
        await other.worker.presence.run_once()
        buried = crew.worker.presence.worker_id
        async with life.database.transaction() as connection:
            await connection.execute("DELETE FROM workers WHERE worker_id = $1", buried)
        if self.dead:
            life.crews[self.by] = await life.hire()
        await other.worker.keepers.bury.run_once()

        def may(old: Run, new: Run) -> bool:
            living = {one.worker.presence.worker_id for one in life.crews} - {buried}
            released = old.owner is not None and old.owner not in living
            return released and (new.status, new.owner, new.wake_at) == (Status.PENDING, None, life.now)

        await life.saw(may)
        assert not any(run.owner == buried for run in life.seen.unfinished())


@dataclass(frozen=True, slots=True)
class Keep:
    """A worker's keepers make a pass: sweep, reclaim, calendars."""

    by: int = 0

    async def take(self, life: Life) -> None:
        worker = life.crews[self.by].worker
        await worker.presence.run_once()
        await worker.keepers.window.run_once()
        await worker.keepers.sweep.run_once()
        await worker.keepers.reclaim.run_once()
        mine = worker.presence.worker_id

        def may(old: Run, new: Run) -> bool:
            unknown = old.owner == mine and not worker.deliverer.knows(old.execution_id)
            return unknown and (new.status, new.owner) == (Status.PENDING, None)

        await life.saw(may)


@dataclass(frozen=True, slots=True)
class Lose:
    """Redis loses everything, or what was put into the wheel was never there."""

    everything: bool = True

    async def take(self, life: Life) -> None:
        if self.everything:
            await life.servers.redis.flushall()
            life.lossy = False  # a lost mark is seen at the next look, and all of it loaded again
            return
        for shard in range(life.wheel.shards):
            await life.servers.redis.delete(f"{{ss:{shard}}}:due")
        life.lossy = True


@asynccontextmanager
async def _sending(deliverer: Deliverer) -> AsyncIterator[None]:
    task = asyncio.create_task(deliverer.run_forever())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _has_work(deliverer: Deliverer, now_ms: int) -> bool:
    held, senders = deliverer.hold._held, deliverer.senders
    return bool((held and held[0][0] <= now_ms) or senders.waiting or senders.in_flight)
