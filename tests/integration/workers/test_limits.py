"""Limits per target host: one that hangs, fails or is slow costs the others nothing, and loses nothing itself."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from aiohttp import web

from app.core.execution import ExecutionStatus
from app.core.target import Target
from app.core.tasks import end
from app.delivery.reply import BODY_LIMIT_BYTES
from app.store import targets
from app.store.target_columns import target_text
from app.wheel.connection import connect
from app.wheel.rate import Rates, Sharing
from app.wheel.wheel import Wheel
from app.workers import giving
from app.workers.later import Behind, Later
from app.workers.loop import Worker
from app.workers.room import HELD_AT_MOST
from tests.integration.delivery.hostile import hangs, resets, target
from tests.integration.store.rows import add_execution
from tests.integration.workers.hosts import Hosts, sent_by, value
from tests.integration.workers.rig import CALLER, Rig
from tests.integration.workers.stages import turn
from tests.receiver import Received, Receiver
from tests.unit.delivery.assignments import assignment

_PATIENT = '{"max_retries": 50, "initial_backoff_seconds": 1, "max_backoff_seconds": 2}'
_TERMINATE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
def hosts(rig: Rig) -> Hosts:
    """Executions by host."""
    return Hosts(rig)


@pytest.fixture
async def other() -> AsyncIterator[Receiver]:
    """A second host."""
    async with Receiver() as receiver:
        yield receiver


async def broken(_received: Received) -> web.StreamResponse:
    """A host that does not work."""
    return web.Response(status=503, text="not today")


def host_of(receiver: Receiver) -> str:
    return receiver.url.removeprefix("http://")


@pytest.mark.fault("17")
async def test_a_host_that_hangs_with_thousands_due_holds_its_places_and_delays_nobody(
    rig: Rig, hosts: Hosts, other: Receiver
) -> None:
    worker = await hosts.worker(concurrency=30, target_max_concurrent=4, timeout_seconds=300)
    most_known = 0

    def all_healthy_came() -> bool:
        nonlocal most_known
        most_known = max(most_known, len(worker.deliverer.hold._known))
        return len(other.received) + len(rig.receiver.received) >= 300

    async with target(hangs) as hanging, hosts.working(worker):
        stuck = await hosts.due(hanging.url, 2_000)
        await hosts.due(other.url, 200)
        await hosts.due(None, 100)
        began = rig.clock.monotonic()
        await hosts.go_on([worker], all_healthy_came)
        assert hanging.connections == 4
        assert value(worker, "in_flight") <= 4 + 26
        # Taken and given back by the batch, in this worker's hands are few of them.
        assert most_known < 1_500
        assert value(worker, "given_back_total", reason="concurrency") > 0
        # No round of time passed for each of the thousands: what is behind the host is not waited for.
        assert rig.clock.monotonic() - began < 20
        rows = await hosts.rows(stuck)
        assert {row["status"] for row in rows} == {"pending"}
        assert {row["attempts"] for row in rows} == {"[]"}
        assert all((row["owner"] is None) != (row["wake_at"] is None) for row in rows)
    assert set(other.deliveries().values()) == {1}


@pytest.mark.fault("17")
async def test_a_host_that_fails_gets_probes_alone_until_it_is_back_and_then_everything(
    rig: Rig, hosts: Hosts, other: Receiver
) -> None:
    other.behaviour = broken
    worker = await hosts.worker(concurrency=20, target_max_concurrent=5)
    async with hosts.working(worker):
        wanted = await hosts.due(other.url, 60, retry=_PATIENT)
        await hosts.pass_time([worker], 14, step=0.1)
        # Ten to open it and what was under way then; probes after 1, 2, 4 and 8 seconds.
        assert 10 <= len(other.received) <= 14 + 4
        assert value(worker, "target_circuit_opened_total") == 1
        tried = other.deliveries()
        waiting = [one for one in wanted if str(one) not in tried]
        assert len(waiting) >= 40
        for row in await hosts.rows(waiting):
            assert (row["status"], row["attempts"], row["failures"]) == ("pending", "[]", 0)
        other.behaviour = None
        # By the outcomes: what is tried again may have been given back, and be in nobody's hands for a while.
        await hosts.go_on([worker], lambda: value(worker, "executions_total", outcome="succeeded") == 60, step=0.1)
    rows = await hosts.rows(wanted)
    assert {row["status"] for row in rows} == {"succeeded"}
    for one in waiting[:5]:
        assert [attempt.status_code for attempt in (await hosts.get(one)).attempts] == [202]
    assert worker.presence.targets() == []


@pytest.mark.fault("17")
async def test_connections_that_are_cut_open_a_circuit_too(rig: Rig, hosts: Hosts) -> None:
    worker = await hosts.worker(concurrency=20, target_max_concurrent=1)
    async with target(resets) as cutting, hosts.working(worker):
        await hosts.due(cutting.url, 30)
        await hosts.go_on([worker], lambda: value(worker, "target_circuits", state="open") == 1)
        sent = len(sent_by(worker))
        assert sent == 10
        (state,) = worker.presence.targets()
        assert state["last_error"]


async def test_an_engine_that_fails_is_left_alone_as_well(rig: Rig, hosts: Hosts) -> None:
    rig.receiver.behaviour = broken
    worker = await hosts.worker(concurrency=10)
    async with hosts.working(worker):
        await hosts.due(None, 200, retry=_PATIENT)
        await hosts.pass_time([worker], 3, step=0.1)
        assert len(rig.receiver.received) <= 20 + 2
        rig.receiver.behaviour = None
        await hosts.go_on([worker], lambda: len(rig.receiver.deliveries()) == 200, step=0.1)


async def test_what_one_worker_gives_back_another_takes_up(rig: Rig, hosts: Hosts, other: Receiver) -> None:
    other.behaviour = broken
    first, second = await hosts.worker(concurrency=20), await hosts.worker(concurrency=20)
    async with hosts.working(first, second):
        wanted = await hosts.due(other.url, 40, retry=_PATIENT)
        await hosts.go_on([first], lambda: value(first, "given_back_total", reason="circuit") >= 20)
        await hosts.go_on([], lambda: len(first.giving) == 0)
        given = [row for row in await hosts.rows(wanted) if row["owner"] is None and row["status"] == "pending"]
        assert all(rig.clock.now() < row["wake_at"] < rig.clock.now() + timedelta(seconds=10) for row in given)
        assert given
        assert not any(first.deliverer.knows(row["execution_id"]) for row in given)
        other.behaviour = None
        other.received.clear()
        names = {str(row["execution_id"]) for row in given}
        await hosts.go_on([second], lambda: names <= set(other.deliveries()))
        await hosts.pass_time([second], 0.1)
    rows = await hosts.rows([row["execution_id"] for row in given])
    assert {(row["status"], row["attempt"]) for row in rows} <= {("succeeded", number) for number in (2, 3, 4)}
    assert {one.owner for one in sent_by(second)} == {second.presence.worker_id}


async def test_what_is_given_back_is_written_after_what_is_about_to_be_sent(rig: Rig) -> None:
    worker = await rig.worker()
    owner, now_ms = worker.presence.worker_id, rig.clock.now_ms()
    worker.deliverer.hold.add([assignment(due_ms=now_ms + giving._GATHER_MS + 3, owner=owner)])
    writing = asyncio.create_task(worker.giving.run_forever())
    worker.giving.add(Later(assignment(owner=owner), rig.clock.now() + timedelta(seconds=1), Behind.CIRCUIT, None))
    for move_seconds in (0, giving._GATHER_MS / 1000 + 0.002):
        rig.clock.move(move_seconds)
        for _ in range(20):
            await turn()
    assert not worker.giving.underway
    assert len(worker.giving) == 1
    rig.clock.move(0.003)
    async with asyncio.timeout(20):
        while worker.giving:
            await turn()
    await end(writing)


def _given_back(rig: Rig, worker: Worker, number: int) -> None:
    for _ in range(number):
        one = assignment(owner=worker.presence.worker_id)
        worker.giving.add(Later(one, rig.clock.now() + timedelta(seconds=1), Behind.CIRCUIT, None))


async def test_when_a_whole_batch_is_given_back_nothing_more_is_waited_for(rig: Rig) -> None:
    worker = await rig.worker()
    writing = asyncio.create_task(worker.giving.run_forever())
    _given_back(rig, worker, 1)
    for _ in range(20):
        await turn()
    assert not worker.giving.underway
    # A circuit opens, and all who wait behind it are given back: while there are so many, nothing is claimed.
    _given_back(rig, worker, giving.BATCH)
    async with asyncio.timeout(20):
        while len(worker.giving) > 1:
            await turn()
    await end(writing)


async def test_who_waits_until_less_is_to_be_given_back_is_woken_then(rig: Rig) -> None:
    worker = await rig.worker()
    _given_back(rig, worker, HELD_AT_MOST + 1)
    assert worker.claimer.waits_for_room()
    worker.claimer.woken.clear()
    await worker.giving.run_once()
    assert worker.claimer.woken.is_set()
    assert worker.claimer.room() > 0


async def test_a_host_that_answers_with_more_than_is_read_loses_its_good_repute(
    rig: Rig, hosts: Hosts, other: Receiver
) -> None:
    worker = await hosts.worker(concurrency=20)
    one, found = assignment(host=host_of(other)), []
    async with hosts.working(worker):
        for size in (10, BODY_LIMIT_BYTES + 1, 10):

            async def answers(_received: Received, size: int = size) -> web.StreamResponse:
                return web.Response(text="x" * size)

            other.behaviour = answers
            other.received.clear()
            await hosts.due(other.url, 1)
            await hosts.go_on([worker], lambda: bool(other.received) and not worker.deliverer.senders.in_flight)
            found.append(worker.lanes.in_good_repute(one))
    assert found == [True, False, True]


async def test_who_would_wait_for_too_long_behind_a_circuit_ends_and_lets_a_queued_run_start(
    rig: Rig, hosts: Hosts, other: Receiver
) -> None:
    other.behaviour = broken
    worker = await hosts.worker(concurrency=20)
    async with hosts.working(worker):
        await hosts.due(other.url, 10, retry='{"max_retries": 0}')
        await hosts.go_on([worker], lambda: value(worker, "target_circuits", state="open") == 1)
        (old,) = await hosts.due(other.url, 1, retry='{"max_retries": 3, "max_age_seconds": 0}')
        (row,) = await hosts.rows([old])
        far = rig.clock.now() + timedelta(seconds=60)
        async with rig.database.transaction() as connection:
            await connection.execute("UPDATE executions SET awaited = true WHERE execution_id = $1", old)
            queued = await add_execution(
                connection, at=far, schedule_id=row["schedule_id"], status="queued", wake_at=far
            )
        (ended, waiting) = await hosts.rows([old, queued])
        while ended["status"] == "pending":
            await hosts.pass_time([worker], 0.05)
            (ended, waiting) = await hosts.rows([old, queued])
    assert (ended["status"], ended["attempts"], ended["owner"]) == ("failed", "[]", None)
    assert ended["error"] == (
        f"it waited behind the open circuit of {host_of(other)} and was never answered within max_age_seconds (0); "
        "the last that was tried there: HTTP 503"
    )
    assert waiting["wake_at"] is None or waiting["wake_at"] < far
    assert value(worker, "executions_total", outcome="failed") >= 11


async def test_who_waited_for_too_long_ends_only_while_it_is_this_workers_and_is_told_of(
    rig: Rig, hosts: Hosts, other: Receiver
) -> None:
    worker, another = await hosts.worker(), await hosts.worker()
    ours, taken = await hosts.due(
        other.url, 2, failure_target=target_text("failure_target", Target(f"{other.url}/failed"))
    )
    for one in (await rig.fire(worker)).assignments:
        worker.giving.add(Later(one, rig.clock.now(), Behind.CIRCUIT, "it waited for too long"))
    # It was taken for dead, and the other has one of them.
    await rig.execute(
        "UPDATE executions SET owner = $1, attempt = attempt + 1 WHERE execution_id = $2",
        another.presence.worker_id,
        taken,
    )
    await worker.giving.run_once()
    (ended, goes_on) = await hosts.rows([ours, taken])
    assert (ended["status"], ended["error"], ended["owner"]) == ("failed", "it waited for too long", None)
    assert (goes_on["status"], goes_on["owner"], goes_on["finished_at"]) == (
        "pending",
        another.presence.worker_id,
        None,
    )
    assert value(worker, "executions_total", outcome="failed") == 1
    (notice,) = await rig.execute("SELECT context_override FROM executions WHERE trigger = 'failure'")
    assert str(ours) in notice["context_override"]
    # It is put for now, too.
    look = await rig.fire(another)
    assert [one.trigger for one in look.assignments] == ["failure"]


async def test_what_cannot_be_put_together_says_nothing_of_a_host_that_is_others_too(
    rig: Rig, hosts: Hosts, other: Receiver
) -> None:
    worker = await hosts.worker(concurrency=20)
    async with hosts.working(worker):
        for url in (other.url + "/{{ gone }}", "http://:80"):
            broken_ones = await hosts.due(url, 12, retry='{"max_retries": 0}', community_id=1)
            async with asyncio.timeout(20):
                while {row["status"] for row in await hosts.rows(broken_ones)} != {"failed"}:
                    await hosts.pass_time([worker], 0.05)
        assert other.received == []
        assert worker.presence.targets() == []
        assert value(worker, "target_circuit_opened_total") == 0
        theirs = await hosts.due(other.url, 1, community_id=2)
        await hosts.go_on([worker], lambda: str(theirs[0]) in other.deliveries())


async def test_a_worker_that_stops_returns_what_waits(rig: Rig, hosts: Hosts, other: Receiver) -> None:
    answer = asyncio.Event()

    async def slow(_received: Received) -> web.StreamResponse:
        await answer.wait()
        return web.Response(status=202)

    other.behaviour = slow
    worker = await hosts.worker(concurrency=20, target_max_concurrent=2)
    async with hosts.working(worker):
        wanted = await hosts.due(other.url, 12)
        await hosts.go_on([worker], lambda: len(other.received) == 2 and value(worker, "waiting_behind_limits") == 10)
        unsent = worker.deliverer.stop()
        assert len(unsent) == 10
        await worker._release(unsent)
        assert value(worker, "waiting_behind_limits") == 0
        answer.set()
        await hosts.go_on([], lambda: not worker.deliverer.senders.in_flight and not worker.settler.busy)
        assert len(other.received) == 2
    rows = await hosts.rows(wanted)
    assert Counter(row["status"] for row in rows) == {"succeeded": 2, "pending": 10}
    assert all(row["owner"] is None for row in rows)
    assert all(row["wake_at"] <= rig.clock.now() for row in rows if row["status"] == "pending")


@pytest.mark.fault("19a")
async def test_what_is_cancelled_while_it_waits_in_a_lane_is_not_sent_and_gives_up_its_place(
    rig: Rig, hosts: Hosts, other: Receiver
) -> None:
    answer = asyncio.Event()

    async def slow(_received: Received) -> web.StreamResponse:
        await answer.wait()
        return web.Response(status=202)

    other.behaviour = slow
    worker = await hosts.worker(concurrency=20, target_max_concurrent=1)
    async with hosts.working(worker):
        wanted = await hosts.due(other.url, 3)
        await hosts.go_on([worker], lambda: len(other.received) == 1 and value(worker, "waiting_behind_limits") == 2)
        sent = UUID(other.received[0].headers["Idempotency-Key"])
        cancelled, left = [one for one in wanted if one != sent]
        await rig.executions.cancel(CALLER, cancelled, reason=None)
        await hosts.pass_time([], 1.5)
        answer.set()
        await hosts.go_on([], lambda: not worker.deliverer.hold._known)
    assert set(other.deliveries()) == {str(sent), str(left)}
    assert [row["status"] for row in await hosts.rows([cancelled, left])] == ["cancelled", "succeeded"]
    assert worker.lanes._book.lanes == {}


@pytest.mark.fault("14a")
async def test_what_cannot_be_given_back_because_postgres_is_away_stays_in_hand_until_it_is(
    rig: Rig, hosts: Hosts, other: Receiver
) -> None:
    other.behaviour = broken
    worker = await hosts.worker(concurrency=20)
    async with hosts.working(worker):
        await hosts.due(other.url, 20, retry='{"max_retries": 0}')
        await hosts.go_on([worker], lambda: value(worker, "target_circuits", state="open") == 1)
        await hosts.pass_time([worker], 0.5)
    wanted = await hosts.due(other.url, 8)
    await hosts.go_on([worker], lambda: len(worker.deliverer.hold) == 8)
    async with hosts.working(worker):
        for _ in range(2):
            async with rig.database.transaction() as connection:
                await connection.execute("LOCK TABLE executions IN ACCESS EXCLUSIVE MODE")
                async with asyncio.timeout(20):
                    while not await rig.execute(_TERMINATE):
                        await turn()
                        rig.clock.move(0.005)
                assert all(worker.deliverer.knows(one) for one in wanted)
        await hosts.go_on([], lambda: not worker.deliverer.hold._known)
    rows = await hosts.rows(wanted)
    # One of them was the next probe.
    assert Counter((row["status"], row["owner"]) for row in rows) == {("pending", None): 7, ("retrying", None): 1}
    assert all(row["wake_at"] is not None for row in rows)


@pytest.mark.fault("4")
async def test_what_another_has_taken_meanwhile_is_not_given_back_again(rig: Rig, hosts: Hosts) -> None:
    worker, other = await hosts.worker(concurrency=20, target_max_concurrent=1), await hosts.worker()
    async with target(hangs) as hanging:
        wanted = await hosts.due(hanging.url, 5)
        await hosts.go_on([worker], lambda: len(worker.deliverer.hold) == 5)
        # It was taken for dead, and the other has them.
        await rig.execute(
            "UPDATE executions SET owner = $1, attempt = attempt + 1 WHERE execution_id = ANY($2::uuid[])",
            other.presence.worker_id,
            wanted,
        )
        async with hosts.working(worker):
            await hosts.go_on([], lambda: value(worker, "given_back_total", reason="concurrency") == 4)
            await hosts.go_on([], lambda: len(worker.giving) == 0)
        rows = await hosts.rows(wanted)
    assert {(row["owner"], row["attempt"]) for row in rows} == {(other.presence.worker_id, 2)}


async def test_more_than_a_batch_is_given_back_although_nothing_comes_after_it(
    rig: Rig, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving, "BATCH", 1)
    worker = await hosts.worker(concurrency=20, target_max_concurrent=1)
    async with target(hangs) as hanging:
        wanted = await hosts.due(hanging.url, 5)
        await hosts.go_on([worker], lambda: len(worker.deliverer.hold) == 5)
        async with hosts.working(worker):
            await hosts.go_on([], lambda: value(worker, "given_back_total", reason="concurrency") == 4)
            await hosts.go_on([], lambda: len(worker.giving) == 0)
        rows = await hosts.rows(wanted)
    assert Counter(row["owner"] for row in rows) == {None: 4, worker.presence.worker_id: 1}


async def test_one_that_cannot_be_given_back_does_not_hold_up_the_others(rig: Rig, hosts: Hosts) -> None:
    worker = await hosts.worker(concurrency=20, target_max_concurrent=1)
    async with target(hangs) as hanging:
        wanted = await hosts.due(hanging.url, 5)
        await hosts.go_on([worker], lambda: len(worker.deliverer.hold) == 5)
        await rig.refuse_updates("executions", f"OLD.execution_id = '{wanted[2]}' AND NEW.owner IS NULL")
        async with hosts.working(worker):
            await hosts.go_on([], lambda: value(worker, "given_back_total", reason="concurrency") == 4)
            await hosts.go_on([], lambda: len(worker.giving) == 0)
        (cursed,) = await hosts.rows([wanted[2]])
        others = await hosts.rows([one for one in wanted if one != wanted[2]])
    assert not worker.deliverer.knows(wanted[2]), "it is released as what its owner does not know"
    assert cursed["owner"] == worker.presence.worker_id
    assert Counter(row["owner"] is None for row in others)[True] >= 3


async def test_a_rate_is_kept_over_all_workers(rig: Rig, hosts: Hosts, other: Receiver) -> None:
    limits = f"{host_of(other)}=4"
    workers = [await hosts.worker(concurrency=20, target_rate_limits=limits) for _ in range(2)]
    async with hosts.working(*workers):
        wanted = await hosts.due(other.url, 14)
        await hosts.due(None, 50)
        # By Redis's own clock, and so for as long as it takes.
        began = await rig.wheel.client.time()
        await hosts.go_on(workers, lambda: len(other.received) == 14)
        ended = await rig.wheel.client.time()
        await hosts.pass_time(workers, 0.1)
    elapsed = (ended[0] - began[0]) + (ended[1] - began[1]) / 1_000_000
    assert 4 + 4 * elapsed + 1e-6 >= 14
    assert len(rig.receiver.received) == 50
    assert sum(value(one, "given_back_total", reason="rate") for one in workers) > 0
    rows = await hosts.rows(wanted)
    assert {row["status"] for row in rows} == {"succeeded"}
    assert set(other.deliveries().values()) == {1}


@pytest.mark.fault("8")
async def test_without_redis_each_worker_keeps_its_share_of_a_rate(rig: Rig, hosts: Hosts, other: Receiver) -> None:
    away = Wheel(connect("redis://127.0.0.1:1/0"), rig.clock, shards=4, window_seconds=3600, claim_ahead_ms=50)
    workers = [await hosts.worker(concurrency=20, target_rate_limits="*=10") for _ in range(2)]
    for worker in workers:
        worker.lanes._rates = Rates(away, rig.clock, lambda presence=worker.presence: presence.sharing)  # type: ignore[misc]
        await worker.presence.run_once()
    assert [one.presence.sharing.workers for one in workers] == [2, 2]
    assert {one.presence.sharing.place for one in workers} == {0, 1}
    # The clock stands still where Postgres's runs, by which the beats count.
    sent_at: list[float] = []

    async def note(_received: Received) -> web.StreamResponse:
        sent_at.append(rig.clock.monotonic())
        return web.Response(status=202)

    other.behaviour = note
    try:
        async with hosts.working(*workers):
            await hosts.due(other.url, 60)
            await hosts.pass_time(workers, 4)
    finally:
        await away.close()
    for first in sent_at:
        assert sum(first <= at < first + 1 for at in sent_at) <= 10 + 10
    assert 20 <= len(sent_at) <= 4 * 10 + 2


async def test_a_rate_for_the_engine(rig: Rig, hosts: Hosts) -> None:
    worker = await hosts.worker(concurrency=20, target_rate_limits="engine=0.01")
    async with hosts.working(worker):
        wanted = await hosts.due(None, 6)
        await hosts.go_on([worker], lambda: value(worker, "given_back_total", reason="rate") == 5)
        await hosts.go_on([], lambda: not worker.deliverer.hold._known)
    assert len(rig.receiver.received) == 1
    waiting = [row["wake_at"] for row in await hosts.rows(wanted) if row["status"] == "pending"]
    assert all(row > rig.clock.now() + timedelta(seconds=60) for row in waiting)


async def test_others_read_what_is_the_matter_and_what_is_not_any_more(rig: Rig, hosts: Hosts, other: Receiver) -> None:
    other.behaviour = broken
    worker, idle = await hosts.worker(concurrency=20), await hosts.worker()
    await idle.presence.run_once()
    async with hosts.working(worker):
        beating = asyncio.create_task(worker.presence.run_forever())
        await hosts.due(other.url, 12, retry='{"max_retries": 0}')
        beats = await rig.execute("SELECT beat FROM workers WHERE worker_id = $1", worker.presence.worker_id)
        look = await rig.fire(worker)
        assert len(look.assignments) == 12
        rig.clock.move(0.05)
        # No time passes for a beat: that it opens is told at once.
        async with asyncio.timeout(20):
            while not (states := await _states(rig)) or states[0].circuit != "open":
                await turn()
        (state,) = states
        assert (state.host, state.failures, state.workers, state.workers_open) == (host_of(other), 10, 1, 1)
        assert state.open_until is not None
        assert rig.clock.now() < state.open_until <= rig.clock.now() + timedelta(seconds=1)
        assert state.last_error == "HTTP 503"
        assert beats
        other.behaviour = None
        await hosts.due(other.url, 1)
        await hosts.go_on([worker], lambda: value(worker, "target_circuits", state="open") == 0, step=0.1)
        await hosts.go_on([worker], lambda: worker.presence.targets() == [], step=0.1)
        # First: a beat that is under way may tell of what was a moment ago.
        await end(beating)
        await worker.presence.run_once()
        assert await _states(rig) == []


async def _states(rig: Rig) -> list[targets.TargetState]:
    async with rig.database.connection() as connection:
        return await targets.states(connection)


async def test_the_status_of_what_waits_is_pending(rig: Rig, hosts: Hosts, other: Receiver) -> None:
    other.behaviour = broken
    worker = await hosts.worker(concurrency=20)
    async with hosts.working(worker):
        wanted = await hosts.due(other.url, 30)
        await hosts.go_on([worker], lambda: value(worker, "target_circuits", state="open") == 1)
        await hosts.pass_time([worker], 0.2)
        tried = other.deliveries()
        waiting = await hosts.get(next(one for one in wanted if str(one) not in tried))
    assert (waiting.status, waiting.attempts) == (ExecutionStatus.PENDING, ())
    assert Sharing(1, 0) == worker.presence.sharing
