"""Days that are not as others: the clocks jump or go back, or a calendar has the day off."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from app.core.calendars import Days
from app.core.explaining import FactKind, Verdict
from app.core.occurrences import DstPolicy, Gap, OnDayOff
from tests.clocks import START
from tests.integration.calendars import calendar, keeps, stored
from tests.integration.definitions import cron
from tests.integration.workers.asking import ANNA, Asking, data_of, kinds, utc
from tests.integration.workers.rig import Rig
from tests.integration.workers.stages import delivering

NEW_YORK = "America/New_York"
AFTER_GAP = utc("2027-03-14T07:00:00")
"""03:00 in New York, which comes right after 01:59:59 that day."""
NOON = "0 12 * * *"
CHRISTMAS = utc("2026-12-25T12:00:00")


@pytest.fixture
async def holidays(asking: Asking) -> str:
    """A calendar with Christmas Day, by its name, and the day after it without one."""
    named = (Days(date(2026, 12, 25), date(2026, 12, 25), "Christmas Day"), *calendar("", "2026-12-26").days_off)
    await stored(asking.calendars, ANNA, replace(calendar("holidays"), days_off=named))
    return "holidays"


async def test_a_time_in_a_gap_is_told_at_the_instant_that_it_fires_instead(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    schedule = await asking.create(cron("30 2 * * *", timezone=NEW_YORK))
    rig.clock.move_to(AFTER_GAP - timedelta(hours=12))
    async with delivering(worker):
        await asking.fire(worker, AFTER_GAP - timedelta(hours=11))
        await asking.fire(worker, AFTER_GAP)
    found = await asking.at(schedule, AFTER_GAP)
    assert found.verdict is Verdict.FIRED
    assert found.summary.startswith(
        "It fired on Sunday 2027-03-14 at 03:00 (America/New_York), as its rule says: at 02:30. "
    )
    assert found.summary.endswith(
        "02:30 does not exist on 2027-03-14 in America/New_York, where the clock jumps from 02:00 to 03:00; it fires "
        "at 03:00, the first instant after."
    )
    assert data_of(found, FactKind.DAYLIGHT) == {"cause": "gap", "wall_times": ["2027-03-14T02:30:00"]}


async def test_whoever_asks_for_the_time_in_the_gap_is_told_where_it_went(asking: Asking) -> None:
    schedule = await asking.create(cron("30 2 * * *", timezone=NEW_YORK))
    # 02:30 by the clock that has been in force up to that night.
    found = await asking.at(schedule, AFTER_GAP + timedelta(minutes=30))
    assert found.verdict is Verdict.NOT_AN_OCCURRENCE
    assert found.summary == (
        "It will not fire on Sunday 2027-03-14 at 03:30 (America/New_York): the hour is 3, and the expression says 2. "
        "02:30 does not exist on 2027-03-14 in America/New_York, where the clock jumps from 02:00 to 03:00; it fires "
        "at 03:00, the first instant after."
    )
    assert found.previous == AFTER_GAP


async def test_a_time_in_a_gap_that_is_to_be_skipped_is_told_as_skipped(asking: Asking) -> None:
    schedule = await asking.create(cron("30 2 * * *", timezone=NEW_YORK, dst_policy=DstPolicy(gap=Gap.SKIP)))
    found = await asking.at(schedule, AFTER_GAP)
    assert found.verdict is Verdict.NOT_AN_OCCURRENCE
    assert found.summary.endswith("where the clock jumps from 02:00 to 03:00, and the schedule skips such times.")


async def test_of_a_time_that_is_shown_twice_it_says_which_one_fires(asking: Asking) -> None:
    schedule = await asking.create(cron("30 2 * * *", timezone="Europe/Berlin"))
    first = utc("2027-10-31T00:30:00")
    found, second = await asking.at(schedule, first), await asking.at(schedule, first + timedelta(hours=1))
    assert found.verdict is Verdict.WILL_FIRE
    assert found.summary.startswith("It will fire on Sunday 2027-10-31 at 02:30 UTC+02:00 (Europe/Berlin), in ")
    assert "this is the first of the two" in found.summary
    assert second.verdict is Verdict.NOT_AN_OCCURRENCE
    assert "on Sunday 2027-10-31 at 02:30 UTC+01:00 (Europe/Berlin)" in second.summary
    assert "it fires at the first" in second.summary


async def test_a_holiday_is_told_by_its_name_before_it_and_after(rig: Rig, asking: Asking, holidays: str) -> None:
    worker = await rig.worker()
    schedule = await asking.create(cron(NOON, **keeps(holidays)))
    ahead = await asking.at(schedule, CHRISTMAS)
    assert ahead.verdict is Verdict.WILL_BE_SKIPPED
    assert ahead.summary == (
        "It will not fire on Friday 2026-12-25 at 12:00 (UTC): Friday 2026-12-25 is a day off, and the schedule skips "
        "days off. In the calendar holidays 2026-12-25 is Christmas Day."
    )
    rig.clock.move_to(CHRISTMAS + timedelta(hours=1))
    meanwhile = await asking.at(schedule, CHRISTMAS)
    assert (meanwhile.verdict, meanwhile.execution) == (Verdict.SKIPPED, None)
    async with delivering(worker):
        # What waited since November is missed, and what a calendar took out of that has a record of its own.
        await asking.fire(worker, CHRISTMAS + timedelta(days=2))
    found = await asking.at(schedule, CHRISTMAS)
    assert found.verdict is Verdict.SKIPPED
    assert found.execution is not None
    assert found.summary == (
        "It did not fire on Friday 2026-12-25 at 12:00 (UTC): that day is off in its calendar holidays. 2 occurrences, "
        "from Friday 2026-12-25 at 12:00 to Saturday 2026-12-26 at 12:00, were skipped together. In the calendar "
        "holidays 2026-12-25 is Christmas Day."
    )
    assert {"calendar": "holidays", "day": "2026-12-25", "label": "Christmas Day"} in [
        fact.data for fact in found.facts
    ]
    assert (await asking.at(schedule, CHRISTMAS + timedelta(days=1))).verdict is Verdict.SKIPPED
    assert (await asking.at(schedule, CHRISTMAS - timedelta(days=1))).verdict is Verdict.MISSED


async def test_what_is_moved_off_a_holiday_is_told_on_both_days(asking: Asking, holidays: str) -> None:
    schedule = await asking.create(cron("0 12 * * FRI", **keeps(holidays, on_day_off=OnDayOff.NEXT_BUSINESS_DAY)))
    friday, monday = await asking.at(schedule, CHRISTMAS), await asking.at(schedule, CHRISTMAS + timedelta(days=3))
    assert friday.verdict is Verdict.NOT_AN_OCCURRENCE
    assert friday.summary == (
        "It will not fire on Friday 2026-12-25 at 12:00 (UTC): Friday 2026-12-25 is a day off; it fires on the next "
        "business day, Monday 2026-12-28. In the calendar holidays 2026-12-25 is Christmas Day."
    )
    assert monday.verdict is Verdict.WILL_FIRE
    assert monday.summary.endswith(
        "Friday 2026-12-25 is a day off; it fires on the next business day, Monday 2026-12-28. "
        "In the calendar holidays 2026-12-25 is Christmas Day."
    )
    assert FactKind.CALENDAR in kinds(monday)


async def test_a_time_span_counts_days_off_as_skipped(rig: Rig, asking: Asking, holidays: str) -> None:
    worker = await rig.worker()
    schedule = await asking.create(cron(NOON, **keeps(holidays)))
    week = (utc("2026-12-21T00:00:00"), utc("2026-12-28T00:00:00"))
    ahead = await asking.between(schedule, *week)
    assert ahead.counts == {Verdict.WILL_FIRE: 5, Verdict.WILL_BE_SKIPPED: 2}
    async with delivering(worker):
        for day in range(1, 36):
            await asking.fire(worker, START + timedelta(days=day))
    behind = await asking.between(schedule, *week)
    assert behind.counts == {Verdict.FIRED: 5, Verdict.SKIPPED: 2}
    assert behind.summary.startswith(
        "7 occurrences from Monday 2026-12-21 at 00:00 to Monday 2026-12-28 at 00:00 (UTC): 5 fired and 2 skipped "
        "(calendar)."
    )
    assert [one.at.day for one in behind.occurrences if one.verdict is Verdict.SKIPPED] == [25, 26]


async def test_what_fired_stays_told_as_fired_though_its_day_is_off_since(rig: Rig, asking: Asking) -> None:
    worker = await rig.worker()
    await stored(asking.calendars, ANNA, calendar("firm"))
    schedule = await asking.create(cron(NOON, **keeps()))
    noon = START + timedelta(days=1)
    async with delivering(worker):
        await asking.fire(worker, noon)
    await asking.calendars.replace(ANNA, "firm", calendar("firm", "2026-11-24"), expected_revision=None)
    found = await asking.at(schedule, noon)
    assert found.verdict is Verdict.FIRED
    assert "as its rule says" not in found.summary
    assert " By the days that are off today it would not be an occurrence. The calendar firm was last" in found.summary
    assert not [fact.text for fact in found.facts if "is a day off" in fact.text or "is off" in fact.text]
    assert datetime(2026, 11, 24, 12, tzinfo=UTC) == noon


async def test_a_holiday_that_its_calendar_lost_since_is_not_told_as_a_defect(
    rig: Rig, asking: Asking, holidays: str
) -> None:
    worker = await rig.worker()
    schedule = await asking.create(cron("0 12 * * FRI", **keeps(holidays, on_day_off=OnDayOff.NEXT_BUSINESS_DAY)))
    async with delivering(worker):
        for day in ("2026-11-27", "2026-12-04", "2026-12-11", "2026-12-18", "2026-12-28"):
            await asking.fire(worker, utc(f"{day}T12:00:00"))
    rig.clock.move(3600)
    before = await asking.at(schedule, CHRISTMAS)
    assert before.verdict is Verdict.NOT_AN_OCCURRENCE
    await asking.calendars.replace(ANNA, holidays, calendar(holidays), expected_revision=None)
    friday, monday = await asking.at(schedule, CHRISTMAS), await asking.at(schedule, CHRISTMAS + timedelta(days=3))
    assert friday.verdict is Verdict.CALENDAR_CHANGED
    assert friday.summary == (
        "It did not fire on Friday 2026-12-25 at 12:00 (UTC). By the days that are off today it should have; which "
        "were off then is not known any more. The calendar holidays was last changed on Monday 2026-12-28 at 13:00 "
        "(UTC); its days of before are not kept."
    )
    assert {"calendar": "holidays", "changed_at": rig.clock.now()} in [fact.data for fact in friday.facts]
    assert monday.verdict is Verdict.FIRED
    assert " it would not be an occurrence. The calendar holidays was last changed on Monday" in monday.summary


async def test_a_day_off_after_the_last_run_is_told_by_the_limit(rig: Rig, asking: Asking, holidays: str) -> None:
    worker = await rig.worker()
    schedule = await asking.create(cron(NOON, max_executions=1, **keeps(holidays)))
    async with delivering(worker):
        await asking.fire(worker, START + timedelta(days=1))
    assert (await asking.at(schedule, CHRISTMAS)).verdict is Verdict.LIMIT_REACHED
