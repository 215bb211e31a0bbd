"""Whose request leaves next: a crowd for one host costs another of its community one request, and no more."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from app.core.assignment import Assignment
from app.core.breaker import FAILURES
from app.core.clock import from_ms
from app.core.tasks import end
from app.delivery.answer import Meaning, Verdict
from app.delivery.sender import BegunAttempt, Delivered
from app.workers.lane import Due
from app.workers.loop import Worker
from tests.integration.workers.hosts import Noting
from tests.integration.workers.rig import Rig
from tests.integration.workers.stages import turn
from tests.unit.delivery.assignments import assignment


class Busy(Noting):
    """Every host takes what it is sent, and each request costs this process a millisecond."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig, rig.transports[0])
        self.abandoned: list[Assignment] = []
        self.breaks: set[str | None] = set()

    def begin(self, assignment: Assignment) -> BegunAttempt:
        if assignment.host in self.breaks:
            raise LookupError("nobody knows why")
        self.sent.append(assignment)
        sending = BegunAttempt(assignment, self._clock.now_ms(), self._clock.monotonic())
        self.rig.clock.move(0.001)
        return sending

    async def finish(self, sending: BegunAttempt) -> Delivered:
        return Delivered(sending.assignment, sending.started_ms, 1, 202, Verdict(Meaning.TAKEN, None))

    def abandon(self, sending: BegunAttempt) -> None:
        self.abandoned.append(sending.assignment)


def _hold(rig: Rig, worker: Worker, due: Sequence[tuple[str | None, int]]) -> tuple[Busy, list[Assignment]]:
    """The worker's sender, and what it holds: (host, due in ms from now)."""
    sender = worker.deliverer.senders.sender = Busy(rig)
    now_ms, owner = rig.clock.now_ms(), worker.presence.worker_id
    held = [
        assignment(execution_id=UUID(int=number), host=host, due_ms=now_ms + due_ms, owner=owner)
        for number, (host, due_ms) in enumerate(due)
    ]
    worker.deliverer.take(held)
    return sender, held


async def _send(rig: Rig, worker: Worker, sender: Busy, number: int, *, due_ms: int) -> None:
    """Send until so many are sent; no time passes after `due_ms` but what requests cost."""
    sending = asyncio.create_task(worker.deliverer.run_forever())
    async with asyncio.timeout(20):
        while len(sender.sent) < number:
            await turn()
            if rig.clock.now_ms() < due_ms:
                rig.clock.move(0.001)
    await end(sending)


async def _order(rig: Rig, worker: Worker, due: Sequence[tuple[str | None, int]]) -> list[str | None]:
    """The hosts in the order in which they were sent to."""
    sender, held = _hold(rig, worker, due)
    await _send(rig, worker, sender, len(due), due_ms=held[0].due_ms)
    assert [one.due_ms <= rig.clock.now_ms() for one in sender.sent] == [True] * len(due)
    return [one.host for one in sender.sent]


async def test_hosts_take_turns(rig: Rig) -> None:
    worker = await rig.worker(concurrency=20)
    assert await _order(rig, worker, [*[("crowd", 5)] * 10, ("other", 5)]) == ["crowd", "other", *["crowd"] * 9]


async def test_who_is_due_while_a_crowd_goes_out_does_not_wait_for_all_of_it(rig: Rig) -> None:
    worker = await rig.worker(concurrency=20)
    order = await _order(rig, worker, [*[("crowd", 5)] * 15, ("other", 7)])
    # Senders enough for all of the crowd were woken at once, two milliseconds before.
    assert 2 <= order.index("other") <= 3


async def test_the_first_that_is_due_leaves_before_anybody_else_has_a_turn(rig: Rig) -> None:
    worker = await rig.worker(concurrency=20)
    sender, held = _hold(rig, worker, [("crowd", 5), ("crowd", 5), ("other", 5)])
    sending = asyncio.create_task(worker.deliverer.run_forever())
    await turn()
    rig.clock.move_to(from_ms(held[0].due_ms))
    worker.deliverer.hold.ring()
    assert [one.host for one in sender.sent] == ["crowd"]
    async with asyncio.timeout(20):
        while len(sender.sent) < 3:
            await turn()
    await end(sending)
    assert [one.host for one in sender.sent] == ["crowd", "other", "crowd"]


async def test_who_stops_between_sending_and_waiting_for_the_answer_keeps_nothing(rig: Rig) -> None:
    worker = await rig.worker(concurrency=2)
    sender, held = _hold(rig, worker, [("host", 5)])
    sending = asyncio.create_task(worker.deliverer.run_forever())
    await turn()
    rig.clock.move_to(from_ms(held[0].due_ms))
    worker.deliverer.hold.ring()
    # No sender has had a turn since.
    for task in asyncio.all_tasks():
        if task.get_name().startswith("send-"):
            task.cancel()
    await end(sending)
    assert len(sender.sent) == 1
    assert sender.abandoned == sender.sent
    assert not worker.deliverer.knows(held[0].execution_id)
    assert await worker.deliverer.drained(0)
    assert "http://host" not in worker.lanes._lanes


async def test_nothing_leaves_at_its_instant_while_the_worker_may_count_as_dead(rig: Rig) -> None:
    worker = await rig.worker(concurrency=20)
    sender, held = _hold(rig, worker, [("a", 12_000), ("b", 12_000)])
    sending = asyncio.create_task(worker.deliverer.run_forever())
    await turn()
    # No beat since.
    rig.clock.move_to(from_ms(held[0].due_ms))
    worker.deliverer.hold.ring()
    for _ in range(10):
        await turn()
    assert sender.sent == []
    await worker.presence.run_once()
    async with asyncio.timeout(20):
        # It is read again then, and nobody knows these.
        while any(worker.deliverer.knows(one.execution_id) for one in held):
            rig.clock.move(0.1)
            await turn()
    await end(sending)
    assert sender.sent == []


async def test_what_had_its_turn_before_the_clock_was_set_back_waits_for_its_instant_again(rig: Rig) -> None:
    worker = await rig.worker(concurrency=20)
    sender, held = _hold(rig, worker, [("a", 5), ("b", 5), ("c", 5), ("a", 5)])
    sending = asyncio.create_task(worker.deliverer.run_forever())
    await turn()
    rig.clock.move_to(from_ms(held[0].due_ms))
    worker.deliverer.hold.ring()
    assert len(sender.sent) == 1
    # Three have a place, and senders that were woken for them.
    rig.clock.step_back(5.3)
    for _ in range(10):
        await turn()
    assert len(sender.sent) == 1
    rig.clock.move(5.2)
    for _ in range(10):
        await turn()
    assert len(sender.sent) == 1
    rig.clock.move(0.2)
    async with asyncio.timeout(20):
        while len(sender.sent) < 4:
            await turn()
    await end(sending)
    assert sorted(one.execution_id for one in sender.sent) == [one.execution_id for one in held]


async def test_what_waits_for_its_instant_again_has_left_its_place(rig: Rig) -> None:
    worker = await rig.worker(concurrency=20, target_max_concurrent=1)
    sender, held = _hold(rig, worker, [("a", 5), ("b", 5), ("c", 5)])
    sending = asyncio.create_task(worker.deliverer.run_forever())
    await turn()
    rig.clock.move_to(from_ms(held[0].due_ms))
    worker.deliverer.hold.ring()
    rig.clock.step_back(5.3)
    for _ in range(10):
        await turn()
    assert len(sender.sent) == 1
    rig.clock.move(5.4)
    async with asyncio.timeout(20):
        while len(sender.sent) < 3:
            await turn()
    await end(sending)


async def test_nothing_leaves_at_its_instant_once_the_worker_is_to_stop(rig: Rig) -> None:
    worker = await rig.worker(concurrency=20)
    sending = asyncio.create_task(worker.deliverer.run_forever())
    await turn()
    assert worker.deliverer.stop() == []
    # What a batch that was under way hands over.
    sender, held = _hold(rig, worker, [("a", 0), ("b", 0)])
    worker.deliverer.hold.ring()
    for _ in range(10):
        await turn()
    assert sender.sent == []
    assert sorted(one.execution_id for one in worker.deliverer.stop()) == [one.execution_id for one in held]
    await end(sending)


@pytest.mark.parametrize("crowd", [1, 3])
async def test_one_that_cannot_even_be_begun_keeps_no_other_from_being_sent(rig: Rig, crowd: int) -> None:
    worker = await rig.worker(concurrency=20)
    sender, held = _hold(rig, worker, [*[("broken", 0)] * crowd, ("b", 0)])
    sender.breaks.add("broken")
    await _send(rig, worker, sender, 1, due_ms=held[0].due_ms)
    # Those are not in this worker's hands any more: the keepers release them.
    assert [worker.deliverer.knows(one.execution_id) for one in held] == [*[False] * crowd, True]
    assert await worker.deliverer.drained(0)
    assert "http://broken" not in worker.lanes._lanes


async def test_hosts_that_have_taken_nothing_yet_have_one_turn_together(rig: Rig) -> None:
    worker = await rig.worker(concurrency=20)
    assert await _order(rig, worker, [("good", 5)]) == ["good"]
    strangers = [f"stranger-{number}" for number in range(12)]
    order = await _order(rig, worker, [*[(one, 5) for one in strangers], ("good", 5), (None, 5), ("good", 5)])
    assert order[:5] == ["good", None, "stranger-0", "good", "stranger-1"]
    assert order[5:] == strangers[2:]


async def test_instants_are_those_of_hosts_in_good_repute(rig: Rig) -> None:
    worker = await rig.worker(concurrency=20)
    assert await _order(rig, worker, [("good", 5)]) == ["good"]
    now_ms = rig.clock.now_ms()
    _hold(rig, worker, [("new", 3), ("good", 9), (None, 5), ("good", 9), ("good", 40)])
    assert worker.deliverer.hold.instants(now_ms + 20) == [now_ms + 5, now_ms + 9]


async def test_between_the_instants_of_a_crowd_there_are_no_gaps(rig: Rig) -> None:
    worker = await rig.worker(concurrency=20)
    now_ms = rig.clock.now_ms()
    _hold(rig, worker, [(None, 5)] * 50)
    assert worker.deliverer.hold.instants(now_ms + 20) == [now_ms + 5]
    _hold(rig, worker, [(None, 5)])
    assert worker.deliverer.hold.instants(now_ms + 20) == []


async def test_what_waits_behind_a_host_that_fails_is_seen_to_last(rig: Rig) -> None:
    worker = await rig.worker(concurrency=20)
    lane = worker.lanes._book.make("http://dead", "dead", rig.clock.monotonic())
    for _ in range(FAILURES):
        lane.breaker.failed(lane.breaker.era, rig.clock.monotonic(), 0.0)
    seen: list[str | None] = []
    add = worker.lanes.add

    def noted(assignment: Assignment) -> Due | None:
        seen.append(assignment.host)
        return add(assignment)

    worker.lanes.add = noted  # type: ignore[method-assign]
    sender, held = _hold(rig, worker, [("dead", 0), ("dead", 0), ("new", 0), ("dead", 0), (None, 0)])
    await _send(rig, worker, sender, 2, due_ms=held[0].due_ms)
    assert seen == [None, "new", "dead", "dead", "dead"]


async def test_one_that_cannot_be_given_a_place_keeps_no_other_from_being_sent(rig: Rig) -> None:
    worker = await rig.worker(concurrency=20)
    add = worker.lanes.add

    def breaks(assignment: Assignment) -> Due | None:
        if assignment.host == "broken":
            raise LookupError("nobody knows why")
        return add(assignment)

    worker.lanes.add = breaks  # type: ignore[method-assign]
    sender, held = _hold(rig, worker, [("a", 0), ("broken", 0), ("b", 0)])
    await _send(rig, worker, sender, 2, due_ms=held[0].due_ms)
    # It is not in this worker's hands any more: the keepers release it.
    assert [worker.deliverer.knows(one.execution_id) for one in held] == [True, False, True]
