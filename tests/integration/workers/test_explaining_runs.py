"""What became of an occurrence: on time or late, delivered or not, in the way of others, skipped, made up for."""

from datetime import timedelta

from aiohttp import web

from app.core.explaining import FactKind, Verdict
from app.core.schedule import Completion, OverlapPolicy, RetryPolicy
from app.service.backfilling import BackfillRequest
from tests.clocks import START
from tests.integration.definitions import cron, interval, one_time
from tests.integration.workers.asking import ANNA, BOB, MINUTE, Asking, data_of, kinds, no_answer
from tests.integration.workers.rig import Rig, next_of
from tests.integration.workers.stages import delivering, look_again, look_and_send
from tests.receiver import Received


async def test_one_that_fired_tells_its_rule_its_lateness_and_the_targets_answer(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(cron("0 12 * * MON-FRI", timezone="America/New_York"))
    noon = START + timedelta(hours=5)
    async with delivering(worker):
        await asking.fire(worker, noon)
    found = await asking.at(schedule, noon)
    assert found.verdict is Verdict.FIRED
    assert found.summary.startswith(
        "It fired on Monday 2026-11-23 at 12:00 (America/New_York), as its rule says: at 12:00, Monday to Friday. "
        "The request left "
    )
    assert found.summary.endswith(", and the target answered 202.")
    assert found.execution is not None
    assert (found.previous, found.next) == (noon - timedelta(days=3), noon + timedelta(days=1))
    assert data_of(found, FactKind.ATTEMPT)["status_code"] == 202
    assert data_of(found, FactKind.ZONE)["local_time"] == "2026-11-23T12:00:00-05:00"


async def test_what_is_recorded_ahead_is_about_to_fire(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(interval(60))
    rig.clock.move(59.96)
    await look_again(rig, worker)
    found = await asking.at(schedule, START + MINUTE)
    assert found.verdict is Verdict.PENDING
    assert found.summary.startswith("It is about to fire on Monday 2026-11-23 at 12:01 (UTC), as its rule says")
    assert found.summary.endswith("It is recorded, and is sent when it is due, at 12:01.")


async def test_an_outage_is_told_by_the_run_that_stands_for_it(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(interval(60, grace_period_seconds=120))
    async with delivering(worker):
        await asking.fire(worker, START + timedelta(minutes=10, seconds=30))
    missed, late = await asking.at(schedule, START + 3 * MINUTE), await asking.at(schedule, START + 9 * MINUTE)
    assert missed.verdict is Verdict.MISSED
    assert missed.summary == (
        "It did not fire on Monday 2026-11-23 at 12:03 (UTC): it was missed. No worker looked at it until 12:10:30, "
        "7 minutes and 30 seconds later, which is beyond its grace period of 2 minutes. 8 occurrences, from Monday "
        "2026-11-23 at 12:01 to Monday 2026-11-23 at 12:08, were missed together."
    )
    assert late.verdict is Verdict.COALESCED
    assert late.summary.startswith(
        "It did not fire by itself on Monday 2026-11-23 at 12:09 (UTC): 2 occurrences came late together, and the run "
        "for 12:10 stands for all of them."
    )
    assert late.execution is not None
    assert late.execution.scheduled_for == START + 10 * MINUTE
    fired = await asking.at(schedule, START + 10 * MINUTE)
    assert fired.verdict is Verdict.FIRED
    assert "30 seconds after it was due" in fired.summary
    # Within the run, but none of its occurrences.
    assert (await asking.at(schedule, START + timedelta(seconds=200))).verdict is Verdict.NOT_AN_OCCURRENCE


async def test_what_is_due_and_not_recorded_asks_for_a_worker(rig: Rig, asking: Asking) -> None:
    schedule = await asking.create(interval(60, grace_period_seconds=60))
    rig.clock.move(61)
    found = await asking.at(schedule, START + MINUTE)
    assert found.verdict is Verdict.DUE
    assert found.summary == (
        "It has been due since Monday 2026-11-23 at 12:01 (UTC), for 1 second, and is not recorded yet. "
        "It still fires if a worker looks at it by 12:02."
    )
    rig.clock.move(200)
    late = await asking.at(schedule, START + MINUTE)
    assert late.verdict is Verdict.DUE
    assert "it will be recorded as missed" in late.summary
    assert "look whether one is running" in late.summary


async def test_retries_and_a_dead_letter_are_told_with_every_attempt(rig: Rig, asking: Asking) -> None:
    async def broken(_request: Received) -> web.StreamResponse:
        return web.Response(status=503, text="not today", headers={"Retry-After": "30"})

    rig.receiver.behaviour = broken
    worker = await rig.worker()
    schedule = await asking.create(one_time(START + MINUTE, retry=RetryPolicy(max_retries=1)))
    async with delivering(worker):
        await asking.fire(worker, START + MINUTE)
        retrying = await asking.at(schedule, START + MINUTE)
        rig.clock.move(31)
        await look_and_send(rig, worker)
    assert retrying.verdict is Verdict.RETRYING
    assert (
        "its only attempt failed, as the target answered 503. The next attempt follows in 30 seconds."
        in retrying.summary
    )
    dead = await asking.at(schedule, START + MINUTE)
    assert dead.verdict is Verdict.FAILED_DELIVERY
    assert "both attempts failed, the last one as the target answered 503" in dead.summary
    assert [fact.data["number"] for fact in dead.facts if fact.kind is FactKind.ATTEMPT] == [1, 2]
    assert dead.execution is not None
    rig.clock.move(10)
    await rig.executions.retry(ANNA, dead.execution.execution_id, answer=no_answer, idempotency=None)
    again = await asking.at(schedule, START + MINUTE)
    assert again.verdict is Verdict.PENDING
    assert any("it was asked by anna that it be delivered again" in fact.text for fact in again.facts)


async def test_work_that_runs_ends_or_is_given_up_is_told(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(interval(60, completion=Completion.CALLBACK, timeout_seconds=100))
    async with delivering(worker):
        await asking.fire(worker, START + MINUTE)
        running = await asking.at(schedule, START + MINUTE)
        assert running.execution is not None
        rig.clock.move(42)
        await rig.executions.complete(
            ANNA, running.execution.execution_id, failed=False, result={"rows": 3}, error=None
        )
        await asking.fire(worker, START + 2 * MINUTE)
        await asking.fire(worker, START + 3 * MINUTE)
        failing = await asking.at(schedule, START + 3 * MINUTE)
        assert failing.execution is not None
        await rig.executions.complete(ANNA, failing.execution.execution_id, failed=True, result=None, error="disk full")
        rig.clock.move(41)
        await look_again(rig, worker)
    assert running.verdict is Verdict.RUNNING
    assert "and has not reported the end of the work yet" in running.summary
    ended = await asking.at(schedule, START + MINUTE)
    assert ended.verdict is Verdict.FIRED
    assert "It ended 42 seconds after it began." in ended.summary
    given_up = await asking.at(schedule, START + 2 * MINUTE)
    assert given_up.verdict is Verdict.TIMED_OUT
    assert "it reported no end of the work in time" in given_up.summary
    failed = await asking.at(schedule, START + 3 * MINUTE)
    assert failed.verdict is Verdict.FAILED_DELIVERY
    assert "the target answered 202, but the work failed (disk full)" in failed.summary


async def test_what_is_in_the_way_is_named(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    skipping = await asking.create(interval(60, completion=Completion.CALLBACK, max_instances=1))
    queueing = await asking.create(
        interval(60, completion=Completion.CALLBACK, max_instances=1, overlap_policy=OverlapPolicy.QUEUE)
    )
    async with delivering(worker):
        for number in (1, 2, 3):
            await asking.fire(worker, START + number * MINUTE)
    skipped = await asking.at(skipping, START + 2 * MINUTE)
    assert skipped.verdict is Verdict.SKIPPED
    assert "its run for 12:01 had not ended, and its overlap policy skips what comes meanwhile" in skipped.summary
    assert data_of(skipped, FactKind.OVERLAP)["scheduled_for"] == START + MINUTE
    queued = await asking.at(queueing, START + 2 * MINUTE)
    assert queued.verdict is Verdict.QUEUED
    assert data_of(queued, FactKind.OVERLAP)["scheduled_for"] == START + MINUTE
    full = await asking.at(queueing, START + 3 * MINUTE)
    assert full.verdict is Verdict.SKIPPED
    assert "another run was waiting in the queue already" in full.summary


async def test_a_cancelled_run_says_who_cancelled_it_and_why(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(interval(60, completion=Completion.CALLBACK))
    async with delivering(worker):
        await asking.fire(worker, START + MINUTE)
    running = await asking.at(schedule, START + MINUTE)
    assert running.execution is not None
    rig.clock.move(10)
    await rig.executions.cancel(ANNA, running.execution.execution_id, reason="wrong day")
    found = await asking.at(schedule, START + MINUTE)
    assert found.verdict is Verdict.CANCELLED
    assert 'It was cancelled at 12:01:10 by anna ("wrong day"); it had been sent once.' in found.summary


async def test_a_skipped_next_one_is_told_before_and_after(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(interval(60))
    await rig.schedules.skip_next(ANNA, schedule.schedule_id, reason="fair", expected_revision=None)
    ahead = await asking.at(schedule, START + MINUTE)
    assert ahead.verdict is Verdict.WILL_BE_SKIPPED
    assert ahead.summary == (
        'It will not fire on Monday 2026-11-23 at 12:01 (UTC): it is to be skipped, as asked by anna ("fair").'
    )
    assert (await asking.at(schedule, START + 2 * MINUTE)).verdict is Verdict.WILL_FIRE
    async with delivering(worker):
        await asking.fire(worker, START + MINUTE)
    found = await asking.at(schedule, START + MINUTE)
    assert found.verdict is Verdict.SKIPPED
    assert found.summary.endswith("it was to be skipped, as asked by anna: fair.")


async def test_a_run_by_hand_is_told_at_its_own_instant(rig: Rig, asking: Asking) -> None:
    schedule = await asking.create(interval(60))
    rig.clock.move(30)
    await rig.trigger(schedule, caller=ANNA)
    found = await asking.at(schedule, rig.clock.now())
    assert found.verdict is Verdict.PENDING
    assert found.summary.startswith("A run by hand was asked for on Monday 2026-11-23 at 12:00:30 (UTC) by anna.")


async def test_what_a_backfill_made_up_for_is_told_beside_what_happened_then(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(interval(60, grace_period_seconds=5))
    async with delivering(worker):
        await asking.fire(worker, START + timedelta(seconds=90))
        missed = await asking.at(schedule, START + MINUTE)
        await rig.schedules.backfill(
            BOB,
            schedule.schedule_id,
            BackfillRequest(START + MINUTE, START + timedelta(seconds=61), 1, dry_run=False, context_override=None),
            answer=no_answer,
            idempotency=None,
        )
        await look_and_send(rig, worker)
    assert (missed.verdict, FactKind.BESIDE in kinds(missed)) == (Verdict.MISSED, False)
    found = await asking.at(schedule, START + MINUTE)
    assert found.verdict is Verdict.MISSED
    assert "A backfill made up for Monday 2026-11-23 at 12:01 (UTC), asked for at 12:01:30 by bob." in found.summary
    assert data_of(found, FactKind.BESIDE)["status"] == "succeeded"


async def test_jitter_is_told_as_what_holds_it_back(rig: Rig, asking: Asking) -> None:
    schedule = await asking.create(interval(600, jitter_seconds=300))
    (occurrence,) = next_of(schedule)
    assert schedule.next_due_at is not None
    assert schedule.next_due_at > occurrence + timedelta(seconds=1)
    rig.clock.move_to(occurrence + timedelta(milliseconds=1))
    found = await asking.at(schedule, occurrence)
    assert found.verdict is Verdict.WILL_FIRE
    assert "its jitter holds it back until" in found.summary
    assert data_of(found, FactKind.DUE)["due_at"] == schedule.next_due_at


async def test_the_instants_at_which_a_run_is_due_and_is_sent_are_that_runs(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(interval(600, jitter_seconds=300))
    (occurrence,), due = next_of(schedule), schedule.next_due_at
    assert due is not None
    found = await asking.at(schedule, due)
    assert (found.verdict, found.previous) == (Verdict.WILL_FIRE, occurrence)
    async with delivering(worker):
        await asking.fire(worker, due)
    found = await asking.at(schedule, due)
    assert found.verdict is Verdict.FIRED
    assert found.execution is not None
    assert (found.execution.scheduled_for, found.execution.due_at) == (occurrence, due)
    assert "by its jitter, was due then." in found.summary
    assert found.execution.started_at is not None
    assert (await asking.at(schedule, found.execution.started_at)).execution == found.execution
    before = await asking.at(schedule, due - timedelta(milliseconds=1))
    assert (before.verdict, before.execution) == (Verdict.NOT_AN_OCCURRENCE, None)


async def test_a_run_that_was_held_back_names_those_that_stood_in_its_way(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(
        interval(
            60, jitter_seconds=30, max_instances=1, overlap_policy=OverlapPolicy.SKIP, completion=Completion.CALLBACK
        )
    )
    first = schedule.next_due_at
    assert first is not None
    async with delivering(worker):
        await asking.fire(worker, first)
        second = (await rig.schedules.get(ANNA, schedule.schedule_id)).next_due_at
        assert second is not None
        await asking.fire(worker, second)
    found = await asking.at(schedule, second)
    assert found.verdict is Verdict.SKIPPED
    assert found.summary.startswith("The run for 12:02, held back ")
    assert "its run for 12:01 had not ended, and its overlap policy skips what comes meanwhile." in found.summary


async def test_a_single_instant_that_was_accepted_late_fired_when_it_was_accepted(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(one_time(START - timedelta(seconds=30)))
    assert schedule.next_due_at == START
    async with delivering(worker):
        await asking.fire(worker, START)
    found = await asking.at(schedule, START)
    assert found.verdict is Verdict.FIRED
    assert "the run for 11:59:30, accepted 30 seconds late, was due then." in found.summary
