"""Why there is no run: the schedule was not there yet, paused, changed, over, failed or removed."""

from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp import web

from app.core.errors import ScheduleNotFoundException
from app.core.explaining import FactKind, Verdict
from app.core.principal import Principal, Role
from tests.clocks import START
from tests.integration.definitions import cron, interval, one_time
from tests.integration.workers.asking import ANNA, BOB, MINUTE, Asking, data_of, kinds, utc
from tests.integration.workers.rig import Rig
from tests.integration.workers.stages import delivering
from tests.receiver import Received


async def test_an_instant_before_the_creation_says_who_created_it_and_when(asking: Asking) -> None:
    schedule = await asking.create(interval(60))
    found = await asking.at(schedule, START - MINUTE)
    assert found.verdict is Verdict.NOT_CREATED_YET
    assert found.summary.endswith("It was created at 12:00 by anna.")
    assert (await asking.at(schedule, START)).verdict is Verdict.NOT_CREATED_YET
    assert (await asking.at(schedule, START + MINUTE)).verdict is Verdict.WILL_FIRE


async def test_a_pause_is_told_with_who_and_why_and_both_its_ends(rig: Rig, asking: Asking) -> None:
    schedule = await asking.create(cron("0 * * * *", timezone="Europe/Berlin"))
    rig.clock.move(600)
    await rig.schedules.pause(ANNA, schedule.schedule_id, reason="stock-taking")
    paused = await asking.at(schedule, START + timedelta(hours=3))
    assert paused.verdict is Verdict.PAUSED
    assert paused.summary == (
        "It will not fire on Monday 2026-11-23 at 16:00 (Europe/Berlin) unless it is resumed before: the schedule was "
        'paused on Monday 2026-11-23 at 13:10 by anna ("stock-taking") and has not been resumed since.'
    )
    rig.clock.move(7200)
    await rig.schedules.change(
        ANNA, schedule.schedule_id, lambda found: replace(found.definition, tags=("x",)), expected_revision=None
    )
    await rig.schedules.resume(BOB, schedule.schedule_id, reason=None)
    found = await asking.at(schedule, START + timedelta(hours=1))
    assert found.verdict is Verdict.PAUSED
    assert found.summary == (
        "It did not fire on Monday 2026-11-23 at 14:00 (Europe/Berlin): the schedule was paused on Monday 2026-11-23 "
        'at 13:10 by anna ("stock-taking") and resumed at 15:10 by bob.'
    )
    told = data_of(found, FactKind.PAUSED)
    assert (told["by"], told["ended_by"], told["reason"]) == ("anna", "bob", "stock-taking")
    assert (told["since"], told["until"]) == (START + timedelta(seconds=600), START + timedelta(seconds=7800))
    assert (await asking.at(schedule, START + timedelta(hours=3))).verdict is Verdict.WILL_FIRE


async def test_what_was_due_when_it_was_paused_says_so(rig: Rig, asking: Asking) -> None:
    schedule = await asking.create(interval(60))
    rig.clock.move(150)
    await rig.schedules.pause(ANNA, schedule.schedule_id, reason="maintenance")
    found = await asking.at(schedule, START + MINUTE)
    assert found.verdict is Verdict.SKIPPED
    assert found.summary == (
        "It did not fire on Monday 2026-11-23 at 12:01 (UTC): the schedule was paused at 12:02:30 by anna "
        '("maintenance"), before it was recorded. 2 occurrences, from Monday 2026-11-23 at 12:01 to Monday 2026-11-23 '
        "at 12:02, were skipped together."
    )
    assert (await asking.at(schedule, START + 2 * MINUTE)).verdict is Verdict.SKIPPED
    assert (await asking.at(schedule, START + 3 * MINUTE)).verdict is Verdict.PAUSED


async def test_a_target_that_is_gone_is_why_the_service_paused_it(rig: Rig, asking: Asking) -> None:
    async def gone(_request: Received) -> web.StreamResponse:
        return web.Response(status=410, text="moved away")

    rig.receiver.behaviour = gone
    worker = await rig.worker()
    schedule = await asking.create(interval(60))
    async with delivering(worker):
        await asking.fire(worker, START + MINUTE)
    rig.clock.move(90)
    first, second = await asking.at(schedule, START + MINUTE), await asking.at(schedule, START + 2 * MINUTE)
    assert first.verdict is Verdict.FAILED_DELIVERY
    assert "the target answered 410" in first.summary
    assert second.verdict is Verdict.PAUSED
    assert 'by the service itself ("the target answered HTTP 410: moved away")' in second.summary
    assert data_of(second, FactKind.PAUSED)["automatic"] is True


async def test_the_limit_is_told_before_it_is_reached_and_after(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(interval(60, max_executions=2))
    ahead = await asking.at(schedule, START + 3 * MINUTE)
    assert ahead.verdict is Verdict.LIMIT_REACHED
    assert ahead.summary == (
        "It will not fire on Monday 2026-11-23 at 12:03 (UTC): it may run twice in all, 0 are used, and the "
        "occurrences before this one use up the rest."
    )
    assert (await asking.at(schedule, START + 2 * MINUTE)).verdict is Verdict.WILL_FIRE
    async with delivering(worker):
        await asking.fire(worker, START + MINUTE)
        await asking.fire(worker, START + 2 * MINUTE)
    rig.clock.move(300)
    after = await asking.at(schedule, START + 3 * MINUTE)
    assert after.verdict is Verdict.LIMIT_REACHED
    assert after.summary == (
        "It did not fire on Monday 2026-11-23 at 12:03 (UTC): the schedule had completed on Monday 2026-11-23 at "
        "12:02, when all of its 2 runs were used (max_executions)."
    )
    assert data_of(after, FactKind.LIMIT)["max_executions"] == 2


async def test_after_its_end_it_has_completed(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(interval(60, end_at=START + MINUTE))
    async with delivering(worker):
        await asking.fire(worker, START + MINUTE)
    rig.clock.move(300)
    found = await asking.at(schedule, START + 2 * MINUTE)
    assert found.verdict is Verdict.COMPLETED
    assert "no occurrence was left" in found.summary
    assert FactKind.BOUNDS in kinds(found)


async def test_a_change_in_between_says_what_the_other_rule_would_have_done(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(cron("0 * * * *"))
    async with delivering(worker):
        await asking.fire(worker, START + timedelta(hours=1))
        rig.clock.move(600)
        await asking.change(schedule, cron("30 * * * *"))
        await asking.fire(worker, START + timedelta(hours=1, minutes=30))
    before = await asking.at(schedule, START + timedelta(hours=1))
    assert before.verdict is Verdict.FIRED
    assert "as its rule says: every hour" in before.summary or "at 0 minutes" in before.summary
    after = await asking.at(schedule, START + timedelta(hours=2))
    assert after.verdict is Verdict.NOT_AN_OCCURRENCE
    assert "On Monday 2026-11-23 at 13:10 (UTC) its rule was changed by anna: from " in after.summary
    assert after.summary.endswith("By the rule before, that would have been an occurrence.")
    early = await asking.at(schedule, START + timedelta(minutes=30))
    assert early.verdict is Verdict.NOT_AN_OCCURRENCE
    assert early.summary.endswith("By the rule after, that would be an occurrence, but it was not in force yet.")
    assert data_of(early, FactKind.RULE)["revision"] == 1
    assert data_of(after, FactKind.RULE)["revision"] == 2


async def test_what_was_due_when_its_rule_was_replaced_says_so(rig: Rig, asking: Asking) -> None:
    schedule = await asking.create(interval(60))
    rig.clock.move(90)
    await asking.change(schedule, interval(3600))
    found = await asking.at(schedule, START + MINUTE)
    assert found.verdict is Verdict.SKIPPED
    assert "the schedule was changed at 12:01:30 by anna, before it was recorded" in found.summary


async def test_a_removed_schedule_still_answers(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(interval(60))
    async with delivering(worker):
        await asking.fire(worker, START + MINUTE)
    rig.clock.move(30)
    await rig.schedules.remove(BOB, schedule.schedule_id)
    rig.clock.move(300)
    assert (await asking.at(schedule, START + MINUTE)).verdict is Verdict.FIRED
    gone = await asking.at(schedule, START + 2 * MINUTE)
    assert gone.verdict is Verdict.REMOVED
    assert gone.summary == (
        "It did not fire on Monday 2026-11-23 at 12:02 (UTC): the schedule was removed on Monday 2026-11-23 at "
        "12:01:30 by bob."
    )
    assert (await asking.at(schedule, START)).summary.endswith("It was created at 12:00 by anna.")
    span = await asking.between(schedule, START - MINUTE, START + 10 * MINUTE)
    assert span.counts == {Verdict.FIRED: 1}
    assert span.summary.endswith("It was removed on Monday 2026-11-23 at 12:01 by bob.") or "12:01:30" in span.summary


async def test_a_completed_schedule_that_was_let_go_says_so(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(one_time(START + MINUTE))
    async with delivering(worker):
        await asking.fire(worker, START + MINUTE)
    await rig.execute("UPDATE workflow_schedules SET after_completion = 'delete'")
    await worker.keepers.retention.run_once()
    rig.clock.move(3600)
    assert (await asking.at(schedule, START + MINUTE)).verdict is Verdict.FIRED
    gone = await asking.at(schedule, START + timedelta(minutes=30))
    assert gone.verdict is Verdict.REMOVED
    assert "by the service itself, after it had completed" in gone.summary


async def test_one_that_failed_says_what_cannot_be_computed(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(cron("0 * * * *", timezone="Europe/Berlin"))
    async with delivering(worker):
        await asking.fire(worker, START + timedelta(hours=1))
        await rig.execute("UPDATE workflow_schedules SET timezone = 'Mars/Base'")
        await asking.fire(worker, START + timedelta(hours=2))
    assert (await asking.at(schedule, START + timedelta(hours=1))).verdict is Verdict.FIRED
    found = await asking.at(schedule, START + timedelta(hours=2))
    assert found.verdict is Verdict.SKIPPED
    assert ": the schedule could not be computed when it was due, and failed (" in found.summary
    assert "Mars/Base" in found.summary
    later = await asking.at(schedule, START + timedelta(hours=3))
    assert later.verdict is Verdict.FAILED
    assert "it cannot be computed any more" in later.summary
    ahead = await asking.at(schedule, START + timedelta(days=2))
    assert ahead.verdict is Verdict.FAILED
    assert ahead.summary.startswith("It will not fire on Wednesday 2026-11-25 at 12:00 (UTC)")


async def test_a_zone_that_is_gone_is_told_before_any_worker_finds_out(rig: Rig, asking: Asking) -> None:
    schedule = await asking.create(cron("0 * * * *", timezone="Europe/Berlin"))
    await rig.execute("UPDATE workflow_schedules SET timezone = 'Mars/Base'")
    waiting, later = START + timedelta(hours=1), START + timedelta(days=1)
    for at in (waiting, later):
        found = await asking.at(schedule, at)
        assert found.verdict is Verdict.FAILED
        assert "cannot be said: its rule cannot be computed: timezone 'Mars/Base': no such IANA" in found.summary
    span = await asking.between(schedule, START, later)
    assert span.counts == {Verdict.FAILED: 1}


async def test_what_a_late_worker_did_not_get_to_any_more_is_told_by_the_limit(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(interval(60, max_executions=2, coalesce=False))
    async with delivering(worker):
        await asking.fire(worker, START + timedelta(minutes=5, seconds=30))
    assert await asking.verdicts(schedule, [START + MINUTE, START + 2 * MINUTE]) == [Verdict.FIRED, Verdict.FIRED]
    found = await asking.at(schedule, START + 3 * MINUTE)
    assert found.verdict is Verdict.LIMIT_REACHED
    assert "the schedule completed on Monday 2026-11-23 at 12:05:30, when all of its 2 runs were used" in found.summary


async def test_long_ago_the_record_is_not_kept_any_more(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(cron("0 0 * * *"))
    midnight = utc("2026-11-24T00:00:00")
    async with delivering(worker):
        await asking.fire(worker, midnight)
        await asking.fire(worker, midnight + timedelta(days=40))
    await rig.execute("DELETE FROM executions WHERE recorded_for = $1", midnight)
    found = await asking.at(schedule, midnight)
    assert found.verdict is Verdict.RECORD_EXPIRED
    assert found.summary == (
        "By its rule it should have fired on Tuesday 2026-11-24 at 00:00 (UTC); its record is not kept any more."
    )
    assert any(fact.text.startswith("Records are kept for 30 days") for fact in found.facts)


async def test_a_lost_record_is_not_explained_away(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(interval(60))
    async with delivering(worker):
        await asking.fire(worker, START + MINUTE)
    await rig.execute("DELETE FROM executions")
    assert (await asking.at(schedule, START + MINUTE)).verdict is Verdict.UNEXPLAINED


async def test_nobody_else_is_told_anything(rig: Rig, asking: Asking) -> None:
    schedule = await asking.create(interval(60))
    stranger = Principal(community_id=2, user="eve", role=Role.ADMIN)
    with pytest.raises(ScheduleNotFoundException):
        await asking.service.at(stranger, schedule.schedule_id, START)
    with pytest.raises(ScheduleNotFoundException):
        await asking.service.between(stranger, schedule.schedule_id, START, START + MINUTE)
    await rig.schedules.remove(ANNA, schedule.schedule_id)
    with pytest.raises(ScheduleNotFoundException):
        await asking.service.at(stranger, schedule.schedule_id, START)
    assert (await asking.service.at(ANNA, schedule.schedule_id, START))[0].verdict is Verdict.NOT_CREATED_YET
