"""Why a schedule fired, or did not: asked of real records, after a worker, callers and outages made them."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from app.core.errors import InvalidScheduleException, ScheduleNotFoundException
from app.core.explaining import Explanation, FactKind, Overview, Verdict
from app.core.principal import Principal, Role
from app.core.queries import Answer
from app.core.schedule import Completion, Definition, OverlapPolicy, RetryPolicy, Schedule
from app.service.backfilling import BackfillRequest
from app.service.explaining import ExplainingService
from app.workers.loop import Worker
from tests.clocks import START
from tests.integration.definitions import cron, interval, one_time
from tests.integration.workers.rig import Rig, next_of
from tests.integration.workers.stages import delivering, look_again, look_and_send
from tests.receiver import Received

ANNA = Principal(community_id=1, user="anna", role=Role.ADMIN)
MINUTE = timedelta(minutes=1)
MILLISECOND = timedelta(milliseconds=1)

Explain = Callable[[Schedule, datetime], Awaitable[Explanation]]
ExplainSpan = Callable[[Schedule, datetime, datetime], Awaitable[Overview]]


@pytest.fixture
def service(rig: Rig) -> ExplainingService:
    return ExplainingService(rig.database, rig.clock, execution_days=30)


@pytest.fixture
def explain(service: ExplainingService) -> Explain:
    async def explained(schedule: Schedule, at: datetime) -> Explanation:
        found, _ = await service.at(ANNA, schedule.schedule_id, at)
        return found

    return explained


@pytest.fixture
def explain_span(service: ExplainingService) -> ExplainSpan:
    async def explained(schedule: Schedule, start: datetime, end: datetime) -> Overview:
        found, _ = await service.between(ANNA, schedule.schedule_id, start, end)
        return found

    return explained


async def create(rig: Rig, definition: Definition) -> Schedule:
    """A schedule of Anna's."""
    created: list[Schedule] = []

    def keep(schedule: Schedule) -> Answer:
        created.append(schedule)
        return Answer(201, {}, b"")

    await rig.schedules.create(ANNA, definition, answer=keep, idempotency=None)
    return created[-1]


async def fire(rig: Rig, worker: Worker, at: datetime) -> None:
    """Let an instant come, and have the worker record and deliver what is due then."""
    rig.clock.move_to(at)
    await worker.window.run_once()
    await look_and_send(rig, worker)


def kinds(found: Explanation) -> set[FactKind]:
    return {fact.kind for fact in found.facts}


def data_of(found: Explanation, kind: FactKind) -> dict[str, Any]:
    """The data of the first fact of that kind."""
    return dict(next(fact.data for fact in found.facts if fact.kind is kind))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def test_one_that_fired_tells_its_rule_its_lateness_and_the_targets_answer(rig: Rig, explain: Explain) -> None:
    worker = await rig.worker()
    schedule = await create(rig, cron("0 12 * * MON-FRI", timezone="America/New_York"))
    noon = START + timedelta(hours=5)
    async with delivering(worker):
        await fire(rig, worker, noon)
    found = await explain(schedule, noon)
    assert found.verdict is Verdict.FIRED
    assert found.summary == (
        "It fired on Monday 2026-11-23 at 12:00 (America/New_York), as its rule says: at 12:00, Monday to Friday. "
        "The request left 0 milliseconds after it was due, and the target answered 202."
    )
    assert found.execution is not None
    assert (found.previous, found.next) == (noon - timedelta(days=3), noon + timedelta(days=1))
    assert data_of(found, FactKind.ATTEMPT)["status_code"] == 202
    assert data_of(found, FactKind.ZONE)["local_time"] == "2026-11-23T12:00:00"


async def test_an_instant_before_the_creation_says_who_created_it_and_when(rig: Rig, explain: Explain) -> None:
    schedule = await create(rig, interval(60))
    found = await explain(schedule, START - MINUTE)
    assert found.verdict is Verdict.NOT_CREATED_YET
    assert found.summary.endswith("It was created at 12:00 by anna.")
    assert (await explain(schedule, START)).verdict is Verdict.NOT_CREATED_YET
    assert (await explain(schedule, START + MINUTE)).verdict is Verdict.WILL_FIRE


async def test_a_pause_is_told_with_who_and_why_and_both_its_ends(rig: Rig, explain: Explain) -> None:
    schedule = await create(rig, cron("0 * * * *", timezone="Europe/Berlin"))
    rig.clock.move(600)
    await rig.schedules.pause(ANNA, schedule.schedule_id, reason="stock-taking")
    paused = await explain(schedule, START + timedelta(hours=3))
    assert paused.verdict is Verdict.PAUSED
    assert paused.summary == (
        "It will not fire on Monday 2026-11-23 at 16:00 (Europe/Berlin) unless it is resumed before: the schedule was "
        'paused on Monday 2026-11-23 at 13:10 by anna ("stock-taking") and has not been resumed since.'
    )
    rig.clock.move(7200)
    await rig.schedules.change(
        ANNA, schedule.schedule_id, lambda found: replace(found.definition, tags=("x",)), expected_revision=None
    )
    await rig.schedules.resume(replace(ANNA, user="bob"), schedule.schedule_id, reason=None)
    found = await explain(schedule, START + timedelta(hours=1))
    assert found.verdict is Verdict.PAUSED
    assert found.summary == (
        "It did not fire on Monday 2026-11-23 at 14:00 (Europe/Berlin): the schedule was paused on Monday 2026-11-23 "
        'at 13:10 by anna ("stock-taking") and resumed at 15:10 by bob.'
    )
    told = data_of(found, FactKind.PAUSED)
    assert (told["by"], told["ended_by"], told["reason"]) == ("anna", "bob", "stock-taking")
    assert (told["since"], told["until"]) == (START + timedelta(seconds=600), START + timedelta(seconds=7800))
    assert (await explain(schedule, START + timedelta(hours=3))).verdict is Verdict.WILL_FIRE


async def test_what_was_due_when_it_was_paused_says_so(rig: Rig, explain: Explain) -> None:
    schedule = await create(rig, interval(60))
    rig.clock.move(150)
    await rig.schedules.pause(ANNA, schedule.schedule_id, reason="maintenance")
    found = await explain(schedule, START + MINUTE)
    assert found.verdict is Verdict.SKIPPED
    assert found.summary == (
        "It did not fire on Monday 2026-11-23 at 12:01 (UTC): the schedule was paused at 12:02:30 by anna "
        '("maintenance"), before it was recorded. 2 occurrences, from Monday 2026-11-23 at 12:01 to Monday 2026-11-23 '
        "at 12:02, were skipped together."
    )
    assert (await explain(schedule, START + 2 * MINUTE)).verdict is Verdict.SKIPPED
    assert (await explain(schedule, START + 3 * MINUTE)).verdict is Verdict.PAUSED


async def test_a_target_that_is_gone_is_why_the_service_paused_it(rig: Rig, explain: Explain) -> None:
    async def gone(_request: Received) -> web.StreamResponse:
        return web.Response(status=410, text="moved away")

    rig.receiver.behaviour = gone
    worker = await rig.worker()
    schedule = await create(rig, interval(60))
    async with delivering(worker):
        await fire(rig, worker, START + MINUTE)
    rig.clock.move(90)
    first, second = await explain(schedule, START + MINUTE), await explain(schedule, START + 2 * MINUTE)
    assert first.verdict is Verdict.FAILED_DELIVERY
    assert "the target answered 410" in first.summary
    assert second.verdict is Verdict.PAUSED
    assert 'by the service itself ("the target answered HTTP 410: moved away")' in second.summary
    assert data_of(second, FactKind.PAUSED)["automatic"] is True


async def test_an_outage_is_told_by_the_run_that_stands_for_it(rig: Rig, explain: Explain) -> None:
    worker = await rig.worker()
    schedule = await create(rig, interval(60, grace_period_seconds=120))
    async with delivering(worker):
        await fire(rig, worker, START + timedelta(minutes=10, seconds=30))
    missed, late = await explain(schedule, START + 3 * MINUTE), await explain(schedule, START + 9 * MINUTE)
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
    fired = await explain(schedule, START + 10 * MINUTE)
    assert fired.verdict is Verdict.FIRED
    assert "30 seconds after it was due" in fired.summary
    # Within the run, but none of its occurrences.
    assert (await explain(schedule, START + timedelta(seconds=200))).verdict is Verdict.NOT_AN_OCCURRENCE


async def test_what_is_due_and_not_recorded_asks_for_a_worker(rig: Rig, explain: Explain) -> None:
    schedule = await create(rig, interval(60, grace_period_seconds=60))
    rig.clock.move(61)
    found = await explain(schedule, START + MINUTE)
    assert found.verdict is Verdict.DUE
    assert found.summary == (
        "It has been due since Monday 2026-11-23 at 12:01 (UTC), for 1 second, and is not recorded yet. "
        "It still fires if a worker looks at it by 12:02."
    )
    rig.clock.move(200)
    late = await explain(schedule, START + MINUTE)
    assert late.verdict is Verdict.DUE
    assert "it will be recorded as missed" in late.summary
    assert "look whether one is running" in late.summary


async def test_the_limit_is_told_before_it_is_reached_and_after(rig: Rig, explain: Explain) -> None:
    worker = await rig.worker()
    schedule = await create(rig, interval(60, max_executions=2))
    ahead = await explain(schedule, START + 3 * MINUTE)
    assert ahead.verdict is Verdict.LIMIT_REACHED
    assert ahead.summary == (
        "It will not fire on Monday 2026-11-23 at 12:03 (UTC): it may run twice in all, 0 are used, and the "
        "occurrences before this one use up the rest."
    )
    assert (await explain(schedule, START + 2 * MINUTE)).verdict is Verdict.WILL_FIRE
    async with delivering(worker):
        await fire(rig, worker, START + MINUTE)
        await fire(rig, worker, START + 2 * MINUTE)
    rig.clock.move(300)
    after = await explain(schedule, START + 3 * MINUTE)
    assert after.verdict is Verdict.LIMIT_REACHED
    assert after.summary == (
        "It did not fire on Monday 2026-11-23 at 12:03 (UTC): the schedule had completed on Monday 2026-11-23 at "
        "12:02, when all of its 2 runs were used (max_executions)."
    )
    assert data_of(after, FactKind.LIMIT)["max_executions"] == 2


async def test_after_its_end_it_has_completed(rig: Rig, explain: Explain) -> None:
    worker = await rig.worker()
    schedule = await create(rig, interval(60, end_at=START + MINUTE))
    async with delivering(worker):
        await fire(rig, worker, START + MINUTE)
    rig.clock.move(300)
    found = await explain(schedule, START + 2 * MINUTE)
    assert found.verdict is Verdict.COMPLETED
    assert "no occurrence was left" in found.summary
    assert FactKind.BOUNDS in kinds(found)


async def test_a_change_in_between_says_what_the_other_rule_would_have_done(rig: Rig, explain: Explain) -> None:
    worker = await rig.worker()
    schedule = await create(rig, cron("0 * * * *"))
    async with delivering(worker):
        await fire(rig, worker, START + timedelta(hours=1))
        rig.clock.move(600)
        await rig.schedules.change(ANNA, schedule.schedule_id, lambda _: cron("30 * * * *"), expected_revision=None)
        await fire(rig, worker, START + timedelta(hours=1, minutes=30))
    before = await explain(schedule, START + timedelta(hours=1))
    assert before.verdict is Verdict.FIRED
    assert "as its rule says: every hour" in before.summary or "at 0 minutes" in before.summary
    after = await explain(schedule, START + timedelta(hours=2))
    assert after.verdict is Verdict.NOT_AN_OCCURRENCE
    assert "On Monday 2026-11-23 at 13:10 (UTC) its rule was changed by anna, from " in after.summary
    assert after.summary.endswith("By the rule before, that would have been an occurrence.")
    early = await explain(schedule, START + timedelta(minutes=30))
    assert early.verdict is Verdict.NOT_AN_OCCURRENCE
    assert early.summary.endswith("By the rule after, that would be an occurrence, but it was not in force yet.")
    assert data_of(early, FactKind.RULE)["revision"] == 1
    assert data_of(after, FactKind.RULE)["revision"] == 2


async def test_what_was_due_when_its_rule_was_replaced_says_so(rig: Rig, explain: Explain) -> None:
    schedule = await create(rig, interval(60))
    rig.clock.move(90)
    await rig.schedules.change(ANNA, schedule.schedule_id, lambda _: interval(3600), expected_revision=None)
    found = await explain(schedule, START + MINUTE)
    assert found.verdict is Verdict.SKIPPED
    assert "the schedule was changed at 12:01:30 by anna, before it was recorded" in found.summary


async def test_a_removed_schedule_still_answers(rig: Rig, explain: Explain, explain_span: ExplainSpan) -> None:
    worker = await rig.worker()
    schedule = await create(rig, interval(60))
    async with delivering(worker):
        await fire(rig, worker, START + MINUTE)
    rig.clock.move(30)
    await rig.schedules.remove(replace(ANNA, user="bob"), schedule.schedule_id)
    rig.clock.move(300)
    assert (await explain(schedule, START + MINUTE)).verdict is Verdict.FIRED
    gone = await explain(schedule, START + 2 * MINUTE)
    assert gone.verdict is Verdict.REMOVED
    assert gone.summary == (
        "It did not fire on Monday 2026-11-23 at 12:02 (UTC): the schedule was removed on Monday 2026-11-23 at "
        "12:01:30 by bob."
    )
    assert (await explain(schedule, START)).summary.endswith("It was created at 12:00 by anna.")
    span = await explain_span(schedule, START - MINUTE, START + 10 * MINUTE)
    assert span.counts == {Verdict.FIRED: 1}
    assert span.summary.endswith("It was removed on Monday 2026-11-23 at 12:01 by bob.") or "12:01:30" in span.summary


async def test_a_completed_schedule_that_was_let_go_says_so(rig: Rig, explain: Explain) -> None:
    worker = await rig.worker()
    schedule = await create(rig, one_time(START + MINUTE))
    async with delivering(worker):
        await fire(rig, worker, START + MINUTE)
    await rig.execute("UPDATE workflow_schedules SET after_completion = 'delete'")
    await worker.retention.run_once()
    rig.clock.move(3600)
    assert (await explain(schedule, START + MINUTE)).verdict is Verdict.FIRED
    gone = await explain(schedule, START + timedelta(minutes=30))
    assert gone.verdict is Verdict.REMOVED
    assert "by the service itself, after it had completed" in gone.summary


async def test_one_that_failed_says_what_cannot_be_computed(rig: Rig, explain: Explain) -> None:
    worker = await rig.worker()
    schedule = await create(rig, cron("0 * * * *", timezone="Europe/Berlin"))
    async with delivering(worker):
        await fire(rig, worker, START + timedelta(hours=1))
        await rig.execute("UPDATE workflow_schedules SET timezone = 'Mars/Base'")
        await fire(rig, worker, START + timedelta(hours=2))
    assert (await explain(schedule, START + timedelta(hours=1))).verdict is Verdict.FIRED
    found = await explain(schedule, START + timedelta(hours=2))
    assert found.verdict is Verdict.FAILED
    assert "it cannot be computed any more" in found.summary
    assert "Mars/Base" in found.summary
    ahead = await explain(schedule, START + timedelta(days=2))
    assert ahead.verdict is Verdict.FAILED
    assert ahead.summary.startswith("It will not fire on Wednesday 2026-11-25 at 12:00 (UTC)")


async def test_retries_and_a_dead_letter_are_told_with_every_attempt(rig: Rig, explain: Explain) -> None:
    async def broken(_request: Received) -> web.StreamResponse:
        return web.Response(status=503, text="not today", headers={"Retry-After": "30"})

    rig.receiver.behaviour = broken
    worker = await rig.worker()
    schedule = await create(rig, one_time(START + MINUTE, retry=RetryPolicy(max_retries=1)))
    async with delivering(worker):
        await fire(rig, worker, START + MINUTE)
        retrying = await explain(schedule, START + MINUTE)
        rig.clock.move(31)
        await look_and_send(rig, worker)
    assert retrying.verdict is Verdict.RETRYING
    assert "its only attempt failed, as the target answered 503. The next attempt follows in 30 seconds." in retrying.summary
    dead = await explain(schedule, START + MINUTE)
    assert dead.verdict is Verdict.FAILED_DELIVERY
    assert "both attempts failed, the last one as the target answered 503" in dead.summary
    assert [fact.data["number"] for fact in dead.facts if fact.kind is FactKind.ATTEMPT] == [1, 2]
    assert dead.execution is not None
    rig.clock.move(10)
    await rig.executions.retry(
        ANNA, dead.execution.execution_id, answer=lambda _: Answer(202, {}, b""), idempotency=None
    )
    again = await explain(schedule, START + MINUTE)
    assert again.verdict is Verdict.PENDING
    assert any("it was asked by anna that it be delivered again" in fact.text for fact in again.facts)


async def test_work_that_runs_ends_or_is_given_up_is_told(rig: Rig, explain: Explain) -> None:
    worker = await rig.worker()
    schedule = await create(rig, interval(60, completion=Completion.CALLBACK, timeout_seconds=100))
    async with delivering(worker):
        await fire(rig, worker, START + MINUTE)
        running = await explain(schedule, START + MINUTE)
        assert running.execution is not None
        rig.clock.move(42)
        await rig.executions.complete(
            ANNA, running.execution.execution_id, failed=False, result={"rows": 3}, error=None
        )
        await fire(rig, worker, START + 2 * MINUTE)
        await fire(rig, worker, START + 3 * MINUTE)
        failing = await explain(schedule, START + 3 * MINUTE)
        assert failing.execution is not None
        await rig.executions.complete(ANNA, failing.execution.execution_id, failed=True, result=None, error="disk full")
        rig.clock.move(41)
        await look_again(rig, worker)
    assert running.verdict is Verdict.RUNNING
    assert "and has not reported the end of the work yet" in running.summary
    ended = await explain(schedule, START + MINUTE)
    assert ended.verdict is Verdict.FIRED
    assert "It ended 42 seconds after it began." in ended.summary
    given_up = await explain(schedule, START + 2 * MINUTE)
    assert given_up.verdict is Verdict.TIMED_OUT
    assert "it reported no end of the work in time" in given_up.summary
    failed = await explain(schedule, START + 3 * MINUTE)
    assert failed.verdict is Verdict.FAILED_DELIVERY
    assert "the target answered 202, but the work failed (disk full)" in failed.summary


async def test_what_is_in_the_way_is_named(rig: Rig, explain: Explain) -> None:
    worker = await rig.worker()
    skipping = await create(rig, interval(60, completion=Completion.CALLBACK, max_instances=1))
    queueing = await create(
        rig, interval(60, completion=Completion.CALLBACK, max_instances=1, overlap_policy=OverlapPolicy.QUEUE)
    )
    async with delivering(worker):
        for number in (1, 2, 3):
            await fire(rig, worker, START + number * MINUTE)
    skipped = await explain(skipping, START + 2 * MINUTE)
    assert skipped.verdict is Verdict.SKIPPED
    assert "its run for 12:01 had not ended, and its overlap policy skips what comes meanwhile" in skipped.summary
    assert data_of(skipped, FactKind.OVERLAP)["scheduled_for"] == START + MINUTE
    queued = await explain(queueing, START + 2 * MINUTE)
    assert queued.verdict is Verdict.QUEUED
    assert data_of(queued, FactKind.OVERLAP)["scheduled_for"] == START + MINUTE
    full = await explain(queueing, START + 3 * MINUTE)
    assert full.verdict is Verdict.SKIPPED
    assert "another run was waiting in the queue already" in full.summary


async def test_a_cancelled_run_says_who_cancelled_it_and_why(rig: Rig, explain: Explain) -> None:
    worker = await rig.worker()
    schedule = await create(rig, interval(60, completion=Completion.CALLBACK))
    async with delivering(worker):
        await fire(rig, worker, START + MINUTE)
    running = await explain(schedule, START + MINUTE)
    assert running.execution is not None
    rig.clock.move(10)
    await rig.executions.cancel(ANNA, running.execution.execution_id, reason="wrong day")
    found = await explain(schedule, START + MINUTE)
    assert found.verdict is Verdict.CANCELLED
    assert 'It was cancelled at 12:01:10 by anna ("wrong day"); it had been sent once.' in found.summary


async def test_a_skipped_next_one_is_told_before_and_after(rig: Rig, explain: Explain) -> None:
    worker = await rig.worker()
    schedule = await create(rig, interval(60))
    await rig.schedules.skip_next(ANNA, schedule.schedule_id, reason="fair", expected_revision=None)
    ahead = await explain(schedule, START + MINUTE)
    assert ahead.verdict is Verdict.WILL_BE_SKIPPED
    assert ahead.summary == (
        'It will not fire on Monday 2026-11-23 at 12:01 (UTC): it is to be skipped, as asked by anna ("fair").'
    )
    assert (await explain(schedule, START + 2 * MINUTE)).verdict is Verdict.WILL_FIRE
    async with delivering(worker):
        await fire(rig, worker, START + MINUTE)
    found = await explain(schedule, START + MINUTE)
    assert found.verdict is Verdict.SKIPPED
    assert found.summary.endswith("it was to be skipped, as asked by anna: fair.")


async def test_a_run_by_hand_is_told_at_its_own_instant(rig: Rig, explain: Explain) -> None:
    schedule = await create(rig, interval(60))
    rig.clock.move(30)
    await rig.schedules.trigger(
        ANNA,
        schedule.schedule_id,
        context_override=None,
        overlap_policy=None,
        answer=lambda _: Answer(202, {}, b""),
        idempotency=None,
    )
    found = await explain(schedule, rig.clock.now())
    assert found.verdict is Verdict.PENDING
    assert found.summary.startswith(
        "A caller ran it by hand on Monday 2026-11-23 at 12:00:30 (UTC), asked for by anna."
    )


async def test_what_a_backfill_made_up_for_is_told_beside_what_happened_then(rig: Rig, explain: Explain) -> None:
    worker = await rig.worker()
    schedule = await create(rig, interval(60, grace_period_seconds=5))
    async with delivering(worker):
        await fire(rig, worker, START + timedelta(seconds=90))
        missed = await explain(schedule, START + MINUTE)
        await rig.schedules.backfill(
            replace(ANNA, user="bob"),
            schedule.schedule_id,
            BackfillRequest(START + MINUTE, START + timedelta(seconds=61), 1, dry_run=False, context_override=None),
            answer=lambda _: Answer(202, {}, b""),
            idempotency=None,
        )
        await look_and_send(rig, worker)
    assert (missed.verdict, FactKind.BESIDE in kinds(missed)) == (Verdict.MISSED, False)
    found = await explain(schedule, START + MINUTE)
    assert found.verdict is Verdict.MISSED
    assert "A backfill made up for Monday 2026-11-23 at 12:01 (UTC), asked for at 12:01:30 by bob." in found.summary
    assert data_of(found, FactKind.BESIDE)["status"] == "succeeded"


async def test_jitter_is_told_as_what_holds_it_back(rig: Rig, explain: Explain) -> None:
    schedule = await create(rig, interval(600, jitter_seconds=300))
    (occurrence,) = next_of(schedule)
    assert schedule.next_due_at is not None
    assert schedule.next_due_at > occurrence + timedelta(seconds=1)
    rig.clock.move_to(occurrence + MILLISECOND)
    found = await explain(schedule, occurrence)
    assert found.verdict is Verdict.WILL_FIRE
    assert "its jitter holds it back until" in found.summary
    assert data_of(found, FactKind.DUE)["due_at"] == schedule.next_due_at


async def test_long_ago_the_record_is_not_kept_any_more(rig: Rig, explain: Explain) -> None:
    worker = await rig.worker()
    schedule = await create(rig, cron("0 0 * * *"))
    midnight = utc("2026-11-24T00:00:00")
    async with delivering(worker):
        await fire(rig, worker, midnight)
        await fire(rig, worker, midnight + timedelta(days=40))
    await rig.execute("DELETE FROM executions WHERE recorded_for = $1", midnight)
    found = await explain(schedule, midnight)
    assert found.verdict is Verdict.RECORD_EXPIRED
    assert found.summary == (
        "By its rule it should have fired on Tuesday 2026-11-24 at 00:00 (UTC); its record is not kept any more."
    )
    assert any(fact.text.startswith("Records are kept for 30 days") for fact in found.facts)


async def test_a_lost_record_is_not_explained_away(rig: Rig, explain: Explain) -> None:
    worker = await rig.worker()
    schedule = await create(rig, interval(60))
    async with delivering(worker):
        await fire(rig, worker, START + MINUTE)
    await rig.execute("DELETE FROM executions")
    assert (await explain(schedule, START + MINUTE)).verdict is Verdict.UNEXPLAINED


async def test_nobody_else_is_told_anything(rig: Rig, service: ExplainingService) -> None:
    schedule = await create(rig, interval(60))
    stranger = Principal(community_id=2, user="eve", role=Role.ADMIN)
    with pytest.raises(ScheduleNotFoundException):
        await service.at(stranger, schedule.schedule_id, START)
    with pytest.raises(ScheduleNotFoundException):
        await service.between(stranger, schedule.schedule_id, START, START + MINUTE)
    await rig.schedules.remove(ANNA, schedule.schedule_id)
    with pytest.raises(ScheduleNotFoundException):
        await service.at(stranger, schedule.schedule_id, START)
    assert (await service.at(ANNA, schedule.schedule_id, START))[0].verdict is Verdict.NOT_CREATED_YET


async def test_a_time_span_counts_what_became_of_each_occurrence(rig: Rig, explain_span: ExplainSpan) -> None:
    worker = await rig.worker()
    schedule = await create(rig, interval(60, grace_period_seconds=5))
    async with delivering(worker):
        for number in (1, 2):
            await fire(rig, worker, START + number * MINUTE)
        await fire(rig, worker, START + timedelta(minutes=5, seconds=1))
        await rig.schedules.pause(ANNA, schedule.schedule_id, reason="lunch")
        rig.clock.move(120)
        await rig.schedules.resume(ANNA, schedule.schedule_id, reason=None)
    span = await explain_span(schedule, START, START + 10 * MINUTE)
    assert [one.verdict.value for one in span.occurrences] == [
        *("fired", "fired", "missed", "missed", "fired", "paused", "paused", "will_fire", "will_fire"),
    ]
    assert [one.at for one in span.occurrences] == [START + number * MINUTE for number in range(1, 10)]
    assert span.summary == (
        "9 occurrences from Monday 2026-11-23 at 12:00 to Monday 2026-11-23 at 12:10 (UTC): 3 fired, 2 missed (grace), "
        "2 to come and 2 during a pause. The schedule was created on Monday 2026-11-23 at 12:00 by anna. The schedule "
        'was paused on Monday 2026-11-23 at 12:05:01 by anna ("lunch") and resumed at 12:07:01 by anna.'
    )
    assert span.counts == {Verdict.FIRED: 3, Verdict.MISSED: 2, Verdict.PAUSED: 2, Verdict.WILL_FIRE: 2}
    assert span.next_from is None


async def test_a_long_time_span_goes_on_where_it_stopped(rig: Rig, explain_span: ExplainSpan) -> None:
    worker = await rig.worker()
    schedule = await create(rig, interval(1, grace_period_seconds=100))
    async with delivering(worker):
        await fire(rig, worker, START + timedelta(seconds=250))
    start, end = START, START + timedelta(seconds=300)
    told: list[datetime] = []
    pages = 0
    while True:
        span = await explain_span(schedule, start, end)
        told += [one.at for one in span.occurrences]
        pages += 1
        if span.next_from is None:
            break
        assert len(span.occurrences) == 100
        assert span.summary.startswith("The first 100 occurrences")
        start = span.next_from
    assert pages == 3
    assert told == [START + timedelta(seconds=number) for number in range(1, 300)]


async def test_a_time_span_has_a_beginning_an_end_and_a_length(rig: Rig, explain_span: ExplainSpan) -> None:
    schedule = await create(rig, cron("0 0 1 1 *"))
    for start, end in ((START, START), (START, START - MINUTE), (START, START + timedelta(days=366, milliseconds=1))):
        with pytest.raises(InvalidScheduleException):
            await explain_span(schedule, start, end)
    span = await explain_span(schedule, START, START + timedelta(days=366))
    assert span.counts == {Verdict.WILL_FIRE: 1}
    none = await explain_span(schedule, START, START + timedelta(days=1))
    assert none.summary.startswith(
        "No occurrence from Monday 2026-11-23 at 12:00 to Tuesday 2026-11-24 at 12:00 (UTC)."
    )
