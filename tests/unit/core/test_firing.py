"""What is recorded for a schedule that is due, by tables: lateness, coalescing, limits, overlap."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.core.execution import ExecutionStatus, Reason
from app.core.firing import (
    CATCH_UP_LIMIT,
    RECORDED_IN_ONE_LOOK,
    Standing,
    Waiting,
    counts_unfinished,
    decide,
    first_waiting,
    left_on_days_off,
    superseded,
)
from app.core.occurrences import BusinessDays, OnDayOff, due_at, occurrences_after
from app.core.schedule import OverlapPolicy, ScheduleStatus, SkipNext
from tests.unit.core.late import MS, NOON, SCHEDULE, after, at, cron, due, every, once, told

PENDING, MISSED, SKIPPED = ExecutionStatus.PENDING, ExecutionStatus.MISSED, ExecutionStatus.SKIPPED
ASKED = SkipNext("ada", "stock-taking", NOON)


def test_what_is_on_time_is_recorded_alone_and_the_next_one_waits() -> None:
    decision = decide(due(every(60)), now=at(60))
    assert told(decision.recordings) == [(at(60), 1, PENDING, None)]
    assert decision.recordings[0].covers_from is None
    assert decision.recordings[0].due_at == at(60)
    assert (decision.searched_to, decision.waiting) == (at(60), Waiting(at(120), at(120)))
    assert decision.status is ScheduleStatus.ACTIVE


def test_what_is_claimed_ahead_is_recorded_as_on_time_and_never_found_again() -> None:
    schedule = due(every(60))
    decision = decide(schedule, now=at(59.950))
    assert told(decision.recordings) == [(at(60), 1, PENDING, None)]
    assert decision.waiting == Waiting(at(120), at(120))
    again = decide(after(schedule, decision), now=at(119.950))
    assert told(again.recordings) == [(at(120), 1, PENDING, None)]


@pytest.mark.parametrize("coalesce", [True, False])
@pytest.mark.parametrize("grace", [5, 900])
def test_grace_ends_to_the_millisecond(coalesce: bool, grace: int) -> None:
    schedule = due(cron("0 0 * * *"), grace_period_seconds=grace, coalesce=coalesce)
    midnight = schedule.waiting.occurrence
    last_moment = midnight + timedelta(seconds=grace)
    assert told(decide(schedule, now=last_moment).recordings) == [(midnight, 1, PENDING, None)]
    decision = decide(schedule, now=last_moment + MS)
    assert told(decision.recordings) == [(midnight, 1, MISSED, Reason.GRACE)]
    assert decision.waiting is not None
    assert decision.waiting.occurrence == midnight + timedelta(days=1)


def test_grace_counts_from_the_due_time_and_not_from_the_nominal_instant() -> None:
    schedule = due(cron("0 0 * * *", jitter_seconds=3600), grace_period_seconds=60)
    assert schedule.waiting.due_at > schedule.waiting.occurrence
    last_moment = schedule.waiting.due_at + timedelta(seconds=60)
    assert decide(schedule, now=last_moment).recordings[0].status is PENDING
    assert decide(schedule, now=last_moment + MS).recordings[0].status is MISSED


def test_a_late_run_within_the_grace_is_one_record_that_says_what_it_covers() -> None:
    decision = decide(due(every(60)), now=at(310))
    (recording,) = decision.recordings
    assert (recording.scheduled_for, recording.covers_from, recording.coalesced_count) == (at(300), at(60), 5)
    assert decision.waiting == Waiting(at(360), at(360))


@pytest.mark.fault("15")
def test_an_outage_longer_than_the_grace_is_one_missed_run_and_one_coalesced_run() -> None:
    decision = decide(due(every(60), grace_period_seconds=120), now=at(600))
    assert told(decision.recordings) == [(at(420), 7, MISSED, Reason.GRACE), (at(600), 3, PENDING, None)]
    assert [one.covers_from for one in decision.recordings] == [at(60), at(480)]
    assert decision.searched_to == at(600)


def test_a_run_that_is_late_as_a_whole_is_missed_and_nothing_is_triggered() -> None:
    decision = decide(due(cron("0 0,12 * * *"), grace_period_seconds=60), now=NOON + timedelta(days=3, hours=6))
    assert told(decision.recordings) == [(NOON + timedelta(days=3), 6, MISSED, Reason.GRACE)]
    assert decision.waiting is not None
    assert decision.waiting.occurrence == NOON + timedelta(days=3, hours=12)


@pytest.mark.fault("15")
def test_without_coalescing_ten_are_recorded_in_a_look_and_the_rest_is_due_at_once() -> None:
    schedule = due(every(60), coalesce=False)
    decision = decide(schedule, now=at(60 * 25))
    # Sixteen are within the grace of a quarter of an hour, to the millisecond.
    assert told(decision.recordings) == [
        (at(540), 9, MISSED, Reason.GRACE),
        *[(at(60 * n), 1, PENDING, None) for n in range(10, 20)],
    ]
    assert decision.waiting == Waiting(at(60 * 20), at(60 * 20))
    assert decision.searched_to == at(60 * 19)
    rest = decide(after(schedule, decision), now=at(60 * 25))
    assert told(rest.recordings) == [(at(60 * n), 1, PENDING, None) for n in range(20, 26)]
    assert rest.waiting == Waiting(at(60 * 26), at(60 * 26))


@pytest.mark.parametrize("late", [RECORDED_IN_ONE_LOOK - 1, RECORDED_IN_ONE_LOOK, RECORDED_IN_ONE_LOOK + 1])
def test_a_look_ends_at_ten_occurrences_and_not_before(late: int) -> None:
    decision = decide(due(every(1), coalesce=False), now=at(late))
    assert len(decision.recordings) == min(late, RECORDED_IN_ONE_LOOK)
    assert decision.waiting is not None
    assert decision.waiting.occurrence == at(min(late, RECORDED_IN_ONE_LOOK) + 1)


@pytest.mark.parametrize("late", [CATCH_UP_LIMIT, CATCH_UP_LIMIT + 1, CATCH_UP_LIMIT + 2, 5 * CATCH_UP_LIMIT])
@pytest.mark.parametrize("zone_of_cron", [None, "UTC", "America/New_York"])
@pytest.mark.fault("15")
def test_the_newest_thousand_are_triggered_and_older_ones_are_missed_in_one_record(
    late: int, zone_of_cron: str | None
) -> None:
    timing = every(1) if zone_of_cron is None else cron("* * * * * *", zone_of_cron)
    decision = decide(due(timing, coalesce=False, grace_period_seconds=86_400), now=at(late))
    over = late - CATCH_UP_LIMIT
    missed = [(at(over), over, MISSED, Reason.CATCH_UP_LIMIT)] if over else []
    assert told(decision.recordings) == [*missed, *[(at(over + n), 1, PENDING, None) for n in range(1, 11)]]
    assert decision.waiting is not None
    assert decision.waiting.occurrence == at(over + 11)


def test_what_is_beyond_the_grace_and_what_is_beyond_the_limit_is_one_record() -> None:
    schedule = due(every(1), coalesce=False, grace_period_seconds=3000)
    decision = decide(schedule, now=at(10_000))
    assert told(decision.recordings)[0] == (at(9_000), 9_000, MISSED, Reason.CATCH_UP_LIMIT)
    shorter = due(every(1), coalesce=False, grace_period_seconds=100)
    decision = decide(shorter, now=at(10_000))
    assert told(decision.recordings)[0] == (at(9_899), 9_899, MISSED, Reason.GRACE)
    assert told(decision.recordings)[1:] == [(at(9_900 + n), 1, PENDING, None) for n in range(10)]


def test_what_is_beyond_both_at_once_is_missed_for_its_lateness() -> None:
    decision = decide(
        due(every(1), coalesce=False, grace_period_seconds=CATCH_UP_LIMIT - 1), now=at(CATCH_UP_LIMIT + 7)
    )
    assert told(decision.recordings)[0] == (at(7), 7, MISSED, Reason.GRACE)


def test_of_what_is_beyond_the_limit_the_first_is_missed_as_it_was_stored() -> None:
    # By older zone rules: it is not one of the timing's own any more, and lies between two of them.
    stored = Waiting(at(90), at(90))
    schedule = due(every(60), coalesce=False, grace_period_seconds=10**6, waiting=stored)
    decision = decide(schedule, now=at(60 + 60 * CATCH_UP_LIMIT))
    assert told(decision.recordings)[:2] == [(at(90), 1, MISSED, Reason.CATCH_UP_LIMIT), (at(120), 1, PENDING, None)]


def test_the_limit_finds_its_occurrence_among_unevenly_spaced_ones() -> None:
    # Bursts of ten seconds an hour: the thousandth from the end lies within a burst, between long gaps.
    timing = cron("0-9 0 * * * *")
    schedule = due(timing, coalesce=False, grace_period_seconds=604_800)
    now = NOON + timedelta(hours=120, minutes=30, seconds=0.5)
    instants = occurrences_after(timing, NOON, 5000)
    late = [instant for instant in instants if instant <= now]
    decision = decide(schedule, now=now)
    assert told(decision.recordings)[0] == (
        late[-CATCH_UP_LIMIT - 1],
        len(late) - CATCH_UP_LIMIT,
        MISSED,
        Reason.CATCH_UP_LIMIT,
    )
    assert decision.recordings[1].scheduled_for == late[-CATCH_UP_LIMIT]


def test_max_executions_ends_a_schedule_within_a_look() -> None:
    schedule = due(every(60), coalesce=False, max_executions=5, execution_count=2)
    decision = decide(schedule, now=at(600))
    assert [one.scheduled_for for one in decision.recordings] == [at(60), at(120), at(180)]
    assert (decision.waiting, decision.status) == (None, ScheduleStatus.COMPLETED)


def test_a_coalesced_run_counts_once_towards_max_executions() -> None:
    decision = decide(due(every(60), max_executions=2), now=at(600))
    assert told(decision.recordings) == [(at(600), 10, PENDING, None)]
    assert decision.status is ScheduleStatus.ACTIVE


def test_missed_and_skipped_ones_do_not_count_towards_max_executions() -> None:
    schedule = due(every(60), max_executions=1, grace_period_seconds=30)
    decision = decide(schedule, now=at(95))
    assert [one.status for one in decision.recordings] == [MISSED]
    assert decision.status is ScheduleStatus.ACTIVE
    skipping = due(every(60), max_executions=1, overlap_policy=OverlapPolicy.SKIP, max_instances=1)
    decision = decide(skipping, standing=Standing(1), now=at(60))
    assert told(decision.recordings) == [(at(60), 1, SKIPPED, Reason.OVERLAP)]
    assert decision.status is ScheduleStatus.ACTIVE


@pytest.mark.parametrize("count", [3, 4])
def test_nothing_fires_once_max_executions_are_reached(count: int) -> None:
    decision = decide(due(every(60), max_executions=3, execution_count=count), now=at(60))
    assert not any(one.fires for one in decision.recordings)
    assert decision.status is ScheduleStatus.COMPLETED


@pytest.mark.parametrize(
    ("policy", "unfinished", "expected"),
    [
        (OverlapPolicy.SKIP, 0, [PENDING, PENDING, SKIPPED, SKIPPED]),
        (OverlapPolicy.SKIP, 1, [PENDING, SKIPPED, SKIPPED, SKIPPED]),
        (OverlapPolicy.SKIP, 2, [SKIPPED] * 4),
        (OverlapPolicy.SKIP, 5, [SKIPPED] * 4),
        (OverlapPolicy.ALLOW, 5, [PENDING] * 4),
    ],
)
def test_overlap_counts_what_is_recorded_in_the_same_look(
    policy: OverlapPolicy, unfinished: int, expected: list[ExecutionStatus]
) -> None:
    schedule = due(every(60), coalesce=False, overlap_policy=policy, max_instances=2)
    decision = decide(schedule, standing=Standing(unfinished), now=at(240))
    assert [one.status for one in decision.recordings] == expected
    assert all(one.reason is Reason.OVERLAP for one in decision.recordings if one.status is SKIPPED)


def test_a_coalesced_run_that_is_skipped_keeps_what_it_covers() -> None:
    schedule = due(every(60), overlap_policy=OverlapPolicy.SKIP, max_instances=1)
    (recording,) = decide(schedule, standing=Standing(1), now=at(300)).recordings
    assert (recording.status, recording.coalesced_count, recording.covers_from) == (SKIPPED, 5, at(60))


@pytest.mark.parametrize("policy", list(OverlapPolicy))
def test_only_a_policy_that_allows_overlap_needs_no_count(policy: OverlapPolicy) -> None:
    assert counts_unfinished(due(every(60), overlap_policy=policy)) is (policy is not OverlapPolicy.ALLOW)


def test_an_occurrence_whose_jitter_is_not_over_is_left_for_its_own_look() -> None:
    timing = every(60, jitter_seconds=60)
    schedule = due(timing)
    # Somewhere in the next few hours the jitter is long enough for a moment between an occurrence and its due time.
    for number in range(1, 200):
        occurrence, following = at(60 * number), at(60 * (number + 1))
        moment = due_at(timing, SCHEDULE, following) - MS
        if moment > following:
            break
    decision = decide(schedule, now=moment)
    assert decision.recordings[-1].scheduled_for == occurrence
    assert decision.waiting == Waiting(following, moment + MS)


def test_a_due_time_between_nominal_instants_comes_back_as_it_was_stored() -> None:
    timing = cron("*/10 * * * *", jitter_seconds=300)
    schedule = due(timing)
    decision = decide(schedule, now=schedule.waiting.due_at)
    assert decision.recordings[0].due_at == schedule.waiting.due_at
    assert decision.recordings[0].scheduled_for == schedule.waiting.occurrence == at(600)


def test_a_one_time_that_was_accepted_late_is_on_time_by_its_stored_due_time() -> None:
    accepted = at(50)
    schedule = due(once(NOON), searched_to=accepted, waiting=Waiting(NOON, accepted), grace_period_seconds=5)
    for now in (accepted, accepted + timedelta(seconds=5)):
        decision = decide(schedule, now=now)
        assert told(decision.recordings) == [(NOON, 1, PENDING, None)]
        assert decision.recordings[0].due_at == accepted
    late = decide(schedule, now=accepted + timedelta(seconds=5) + MS)
    assert told(late.recordings) == [(NOON, 1, MISSED, Reason.GRACE)]
    assert late.searched_to == accepted


@pytest.mark.parametrize("now", [NOON - 50 * MS, NOON, NOON + timedelta(days=400)])
def test_a_one_time_is_completed_by_its_only_record(now: datetime) -> None:
    schedule = due(once(NOON), searched_to=NOON - timedelta(days=1), coalesce=False)
    decision = decide(schedule, now=now)
    assert len(decision.recordings) == 1
    assert (decision.waiting, decision.status) == (None, ScheduleStatus.COMPLETED)


def test_a_one_time_that_overlap_skips_is_completed_too() -> None:
    schedule = due(once(at(60)), overlap_policy=OverlapPolicy.SKIP, max_instances=1)
    decision = decide(schedule, standing=Standing(1), now=at(60))
    assert told(decision.recordings) == [(at(60), 1, SKIPPED, Reason.OVERLAP)]
    assert decision.status is ScheduleStatus.COMPLETED


@pytest.mark.parametrize("coalesce", [True, False])
@pytest.mark.parametrize("late_by", [0, 4, 3600])
def test_the_last_occurrence_before_the_end_completes_a_schedule(coalesce: bool, late_by: int) -> None:
    schedule = due(every(60, end_at=at(180)), searched_to=at(120), coalesce=coalesce)
    decision = decide(schedule, now=at(180 + late_by))
    assert [one.scheduled_for for one in decision.recordings] == [at(180)]
    assert decision.status is ScheduleStatus.COMPLETED


def test_searched_to_is_never_lowered() -> None:
    # Recorded ahead, then the clock was stepped back, or a change of timing set it further on.
    ahead = at(3600)
    schedule = due(every(60), searched_to=ahead, waiting=Waiting(at(60), at(60)))
    decision = decide(schedule, now=at(60))
    assert decision.searched_to == ahead
    assert decision.waiting == Waiting(at(3660), at(3660))


def test_what_is_to_be_skipped_is_skipped_however_late_and_those_after_it_are_decided_as_ever() -> None:
    decision = decide(due(every(60), grace_period_seconds=120, skip_next=ASKED), now=at(600))
    assert told(decision.recordings) == [
        (at(60), 1, SKIPPED, Reason.SKIP_NEXT),
        (at(420), 6, MISSED, Reason.GRACE),
        (at(600), 3, PENDING, None),
    ]
    assert (decision.searched_to, decision.waiting) == (at(600), Waiting(at(660), at(660)))


def test_a_one_time_that_is_to_be_skipped_is_completed_by_that() -> None:
    decision = decide(due(once(at(60)), skip_next=ASKED), now=at(60))
    assert told(decision.recordings) == [(at(60), 1, SKIPPED, Reason.SKIP_NEXT)]
    assert decision.status is ScheduleStatus.COMPLETED


def test_searched_to_is_not_lowered_by_what_is_skipped_either() -> None:
    schedule = due(every(60), searched_to=at(3600), waiting=Waiting(at(60), at(60)), skip_next=ASKED)
    decision = decide(schedule, now=at(60))
    assert told(decision.recordings) == [(at(60), 1, SKIPPED, Reason.SKIP_NEXT)]
    assert (decision.searched_to, decision.waiting) == (at(3600), Waiting(at(3660), at(3660)))


def test_a_waiting_instant_of_older_zone_rules_is_recorded_as_it_was_stored() -> None:
    # The stored instant is not one of the timing's own any more.
    schedule = due(every(60), waiting=Waiting(at(90), at(90)))
    decision = decide(schedule, now=at(200))
    assert told(decision.recordings) == [(at(180), 3, PENDING, None)]
    assert decision.recordings[0].covers_from == at(90)
    singly = decide(due(every(60), waiting=Waiting(at(90), at(90)), coalesce=False), now=at(200))
    assert [one.scheduled_for for one in singly.recordings] == [at(90), at(120), at(180)]


def test_the_hour_that_clocks_repeat_is_covered_once() -> None:
    # New York, 1 November 2026: 01:00 to 02:00 comes twice, and hourly schedules fire in both.
    before = datetime(2026, 11, 1, 4, 30, tzinfo=UTC)
    schedule = due(cron("0 * * * *", "America/New_York"), searched_to=before, coalesce=False)
    decision = decide(schedule, now=before + timedelta(hours=4))
    covered = sum(one.coalesced_count for one in decision.recordings)
    assert covered == 4
    assert len({one.scheduled_for for one in decision.recordings}) == len(decision.recordings)


# superseded: what a pause, a removal and a change of timing record


@pytest.mark.parametrize("reason", [Reason.PAUSED, Reason.REPLACED, Reason.REMOVED])
def test_what_was_not_recorded_before_a_change_is_one_skipped_record(reason: Reason) -> None:
    timing = every(60)
    (recording,) = superseded(timing, SCHEDULE, first_waiting(timing, SCHEDULE, NOON), NOON, at(200), reason)
    assert told([recording]) == [(at(180), 3, SKIPPED, reason)]
    assert (recording.covers_from, recording.fires) == (at(60), False)


def test_what_comes_at_the_very_instant_of_a_change_is_recorded() -> None:
    timing = every(60)
    waiting = first_waiting(timing, SCHEDULE, NOON)
    assert superseded(timing, SCHEDULE, waiting, NOON, at(60) - MS, Reason.PAUSED) == ()
    (recording,) = superseded(timing, SCHEDULE, waiting, NOON, at(60), Reason.PAUSED)
    assert (recording.scheduled_for, recording.covers_from, recording.coalesced_count) == (at(60), None, 1)


def test_a_nominal_instant_that_jitter_has_not_made_due_yet_does_not_vanish() -> None:
    timing = cron("0 * * * *", jitter_seconds=3600)
    waiting = first_waiting(timing, SCHEDULE, NOON)
    assert waiting is not None
    assert waiting.due_at > waiting.occurrence
    (recording,) = superseded(timing, SCHEDULE, waiting, NOON, waiting.occurrence, Reason.PAUSED)
    assert recording.due_at == waiting.due_at


def test_a_one_time_is_superseded_once_its_instant_has_come() -> None:
    waiting = Waiting(NOON, NOON)
    assert superseded(once(NOON), SCHEDULE, waiting, NOON, NOON - MS, Reason.REMOVED) == ()
    (recording,) = superseded(once(NOON), SCHEDULE, waiting, NOON, NOON + timedelta(days=9), Reason.REMOVED)
    assert told([recording]) == [(NOON, 1, SKIPPED, Reason.REMOVED)]


def test_a_one_time_that_was_accepted_late_is_superseded_by_its_stored_due_time() -> None:
    (recording,) = superseded(once(NOON), SCHEDULE, Waiting(NOON, at(30)), NOON - MS, at(30), Reason.PAUSED)
    assert (recording.scheduled_for, recording.due_at) == (NOON, at(30))


def test_a_schedule_that_waits_for_nothing_has_nothing_to_supersede() -> None:
    assert superseded(every(60), SCHEDULE, None, NOON, at(999), Reason.PAUSED) == ()


def test_a_one_time_leaves_its_instant_on_a_day_off_until_that_is_consumed() -> None:
    days = BusinessDays.merged(
        OnDayOff.SKIP, days_off=[(NOON.date(), NOON.date())], days_worked=[], weekend=frozenset()
    )
    timing = replace(once(NOON), days=days)
    recording = left_on_days_off(timing, NOON - MS)
    assert recording is not None
    assert told([recording]) == [(NOON, 1, SKIPPED, Reason.CALENDAR)]
    assert left_on_days_off(timing, NOON) is None
