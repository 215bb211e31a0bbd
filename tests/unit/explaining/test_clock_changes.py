"""What is read aloud about an instant, and a time span, of a day on which the clocks change."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from app.core.calendars import Contents, Days
from app.core.execution import ExecutionStatus, Reason
from app.core.explaining import Case, FactKind, Overview, Records, Rule, Verdict, explain
from app.core.occurrences import DEFAULT_POLICY, BusinessDays, DstPolicy, Fold, Gap, OnDayOff, Timing
from app.core.schedule import CalendarUse
from tests.unit.explaining.cases import NOW, WEEKDAYS, calendar, case, overview, run, schedule

NEW_YORK = "America/New_York"
SKIP_GAPS, TWICE = DstPolicy(gap=Gap.SKIP), DstPolicy(fold=Fold.TWICE)
TWO, HALF_PAST_TWO = "02:00 does not exist on 2027-03-14", "02:30 does not exist on 2027-03-14"
TWENTIES = "02:00, 02:20 and 02:40 do not exist on 2027-03-14"
QUARTERS = "02:00, 02:15, 02:30 and 02:45 do not exist on 2027-03-14"
JUMPS = f" in {NEW_YORK}, where the clock jumps from 02:00 to 03:00"
REAL_CLOCK = "as an expression whose minute or hour begins with * follows the real clock."
AFTER = f"{JUMPS}; it fires at 03:00, the first instant after."
SKIPPED = f"{JUMPS}, and the schedule skips such times."
NOT_IT, NOT_THEM = (f"{JUMPS}; nothing fires in {place} place, {REAL_CLOCK}" for place in ("its", "their"))
SHOWN = f"01:30 is shown twice on 2027-11-07 in {NEW_YORK}; "


def _case(expression: str, policy: DstPolicy = DEFAULT_POLICY) -> Case:
    definition = replace(WEEKDAYS, cron_expression=expression, timezone=NEW_YORK, dst_policy=policy)
    return case(schedule(definition, next_execution_at=datetime(2026, 12, 1, tzinfo=UTC)))


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(f"2027-{text}Z")


@pytest.mark.parametrize(
    ("known", "at", "ending"),
    [
        (_case("0 */2 * * *"), "03-14T07:00", f"the hour is 3, and the expression says */2. {TWO}{NOT_IT}"),
        (_case("0 */2 * * *"), "03-14T06:00", f"the hour is 1, and the expression says */2. {TWO}{NOT_IT}"),
        (_case("*/20 2 * * *"), "03-14T07:00", f"the hour is 3, and the expression says 2. {TWENTIES}{NOT_THEM}"),
        (_case("*/20 2 * * *"), "03-14T16:00", f"the hour is 12, and the expression says 2. {TWENTIES}{NOT_THEM}"),
        (_case("*/20 2 * * *"), "03-15T16:00", "the hour is 12, and the expression says 2."),
        (_case("*/15 * * * *"), "03-14T07:00", f"as its rule says: every 15 minutes. {QUARTERS}{NOT_THEM}"),
        (_case("*/15 * * * *"), "03-14T07:15", "as its rule says: every 15 minutes."),
        (_case("*/15 * * * *"), "03-14T06:00", "as its rule says: every 15 minutes."),
        (_case("30 2 * * *"), "03-14T07:00", f"as its rule says: at 02:30. {HALF_PAST_TWO}{AFTER}"),
        (_case("30 2 * * *", SKIP_GAPS), "03-14T16:30", f"the expression says 2. {HALF_PAST_TWO}{SKIPPED}"),
        (_case("30 1 * * *"), "11-07T05:30", f"as its rule says: at 01:30. {SHOWN}this is the first of the two."),
        (_case("30 1 * * *"), "11-07T06:30", f"01:30 UTC-05:00 ({NEW_YORK}): {SHOWN}it fires at the first."),
        (_case("30 1 * * *"), "11-07T12:30", f"the expression says 1. {SHOWN}it fires at the first."),
        (_case("30 1 * * *", TWICE), "11-07T06:00", f"the expression says 30. {SHOWN}it fires at both."),
        (_case("30 1 * * *", TWICE), "11-07T06:30", f"says: at 01:30. {SHOWN}this is the second of the two."),
        (_case("*/30 1 * * *"), "11-07T12:30", f"the expression says 1. {SHOWN}it fires at both."),
        # Not only where nothing else comes between.
        (_case("30 2,12 * * *"), "03-14T21:30", f"the expression says 2,12. {HALF_PAST_TWO}{AFTER}"),
        (_case("30 0,2 * * *"), "03-14T05:15", f"the expression says 30. {HALF_PAST_TWO}{AFTER}"),
        (_case("30 0,2 * * *"), "03-14T04:30", "the hour is 23, and the expression says 0,2."),
        (_case("30 2,12 * * *"), "03-15T03:30", f"the expression says 2,12. {HALF_PAST_TWO}{AFTER}"),
        (_case("30 2,12 * * *"), "03-15T04:30", "the expression says 2,12."),
        (_case("30 1,12 * * *"), "11-07T21:30", f"the expression says 1,12. {SHOWN}it fires at the first."),
        (_case("30 0,1 * * *"), "11-07T04:15", f"the expression says 30. {SHOWN}it fires at the first."),
        (_case("0,30 1,12 * * *", TWICE), "11-07T21:30", f"the expression says 1,12. {SHOWN}it fires at both."),
        (_case("30 1,12 * * *"), "11-08T05:30", "the expression says 1,12."),
    ],
)
def test_an_instant_of_such_a_day_is_told_what_the_clocks_do(known: Case, at: str, ending: str) -> None:
    summary = explain(known, Records(), _utc(at), NOW).summary
    assert summary.endswith(ending)
    assert summary.count("clock jumps") + summary.count("is shown") == ending.count("clock jumps") + ending.count(
        "is shown"
    )


def _day(known: Case, start: str, end: str) -> Overview:
    return overview(known, [], _utc(start), _utc(end), NOW)


@pytest.mark.parametrize(
    ("known", "told"),
    [
        (_case("*/20 2 * * *"), f"{TWENTIES}{NOT_THEM}"),
        (_case("30 2 * * *", SKIP_GAPS), f"{HALF_PAST_TWO}{SKIPPED}"),
    ],
)
def test_a_day_whose_only_times_are_lost_is_not_without_a_word(known: Case, told: str) -> None:
    found = _day(known, "03-14T05:00", "03-15T04:00")
    assert found.occurrences == ()
    assert found.summary.startswith("No occurrence from Sunday 2027-03-14 at 00:00 to Monday 2027-03-15 at 00:00")
    assert found.summary.endswith(f". {told}")
    assert "exist" not in _day(known, "03-13T05:00", "03-14T05:00").summary


def test_a_time_span_tells_what_is_lost_in_it_and_what_moves_with_its_occurrence() -> None:
    assert _day(_case("0 */2 * * *"), "03-14T05:00", "03-15T04:00").summary.endswith(f": 11 to come. {TWO}{NOT_IT}")
    moved = _day(_case("30 2 * * *"), "03-14T05:00", "03-15T04:00")
    assert moved.summary.endswith(": 1 to come.")
    assert [one.summary.endswith(f"{HALF_PAST_TWO}{AFTER}") for one in moved.occurrences] == [True]


def test_what_is_lost_after_the_last_occurrence_that_is_told_comes_with_the_next_ones() -> None:
    minutes = _case("*/5 * * * *")
    before = _day(minutes, "03-13T05:00", "03-15T04:00")
    assert before.next_from == _utc("03-13T13:20")
    assert "exist" not in before.summary
    later = _day(minutes, "03-14T05:00", "03-15T04:00")
    assert "02:00, 02:05, 02:10, 02:15, 02:20 and 7 more do not exist" in later.summary


@pytest.mark.parametrize("jump", ["03-14T07:00", "03-28T01:00"])
def test_a_jump_between_two_time_spans_is_told_with_the_times_that_it_takes_and_only_there(jump: str) -> None:
    nuuk = replace(WEEKDAYS, cron_expression="*/20 23 * * *", timezone="America/Nuuk")
    known = case(schedule(nuuk)) if jump.startswith("03-28") else _case("*/20 2 * * *")
    before, after = _day(known, "03-13T12:00", jump), _day(known, jump, "03-29T12:00")
    assert before.summary.count("do not exist") == 1
    assert "exist" not in after.summary


def test_a_time_span_of_years_says_that_the_clocks_jump_over_more() -> None:
    known = _case("30 2 * * *", SKIP_GAPS)
    only_gaps = replace(known, rules=tuple(replace(rule, timing=_second_sundays(rule)) for rule in known.rules))
    three, four = (overview(only_gaps, [], _utc("01-01T00:00"), datetime(year, 6, 1, tzinfo=UTC), NOW).summary
                   for year in (2029, 2030))  # fmt: skip
    assert (three.count("exist"), four.count("exist")) == (3, 3)
    assert "more of its times" not in three
    assert four.endswith(" The clocks jump over more of its times after that.")


def _second_sundays(rule: Rule) -> Timing:
    return replace(rule.timing, cron_expression="30 2 * 3 SUN#2")


@pytest.mark.parametrize(
    ("known", "showings"), [(_case("30 1 * * *"), ["first"]), (_case("30 1 * * *", TWICE), ["first", "second"])]
)
def test_a_time_span_tells_each_showing_that_fires(known: Case, showings: list[str]) -> None:
    found = _day(known, "11-07T04:00", "11-08T05:00")
    endings = [
        one.summary.endswith(f"{SHOWN}this is the {nth} of the two.")
        for one, nth in zip(found.occurrences, showings, strict=True)
    ]
    assert all(endings)


def test_a_time_span_of_a_zone_that_is_gone_tells_of_no_clocks() -> None:
    definition = replace(WEEKDAYS, cron_expression="*/20 2 * * *", timezone="Mars/Base")
    found = _day(case(schedule(definition)), "03-14T05:00", "03-15T04:00")
    assert found.summary == "No occurrence from Sunday 2027-03-14 at 05:00 to Monday 2027-03-15 at 04:00 (UTC)."


SUNDAY_OFF = BusinessDays.merged(OnDayOff.SKIP, days_off=[(date(2027, 3, 14), date(2027, 3, 14))])
SATURDAY_OFF = BusinessDays.merged(OnDayOff.SKIP, days_off=[(date(2027, 3, 27), date(2027, 3, 27))])


def _firm(expression: str, timezone: str, days: BusinessDays, *off: date) -> Case:
    use = CalendarUse(("firm",), OnDayOff.SKIP)
    definition = replace(WEEKDAYS, cron_expression=expression, timezone=timezone, calendars=use)
    row = schedule(definition, business_days=days, next_execution_at=datetime(2026, 12, 1, tzinfo=UTC))
    entries = tuple(Days(day, day, "Fair") for day in off)
    return case(row, calendars=(calendar(contents=Contents(entries, (), None, None)),))


def test_a_day_off_on_which_the_clocks_jump_is_told_with_the_time_that_does_not_exist() -> None:
    known = _firm("30 2 * * *", NEW_YORK, SUNDAY_OFF, date(2027, 3, 14))
    found = explain(known, Records(), _utc("03-14T07:00"), NOW)
    assert (found.verdict, found.execution) == (Verdict.WILL_BE_SKIPPED, None)
    assert found.summary == (
        f"It will not fire on Sunday 2027-03-14 at 03:00 ({NEW_YORK}): Sunday 2027-03-14 is a day off, and the "
        f"schedule skips days off. {HALF_PAST_TWO}{JUMPS}; it would fire at 03:00, the first instant after. In the "
        "calendar firm 2027-03-14 is Fair."
    )
    kinds = [fact.kind for fact in found.facts]
    assert FactKind.MISMATCH not in kinds
    assert kinds.count(FactKind.DAYLIGHT) == 1


@pytest.mark.parametrize("recorded", [False, True])
def test_a_gap_that_ends_at_midnight_is_told_by_the_day_that_is_off(*, recorded: bool) -> None:
    at = _utc("03-28T01:00")
    known = _firm("30 23 * * *", "America/Nuuk", SATURDAY_OFF, date(2027, 3, 27), date(2027, 3, 28))
    record = run(at, ExecutionStatus.SKIPPED, reason=Reason.CALENDAR, attempts=())
    found = explain(known, Records(own=(record,) if recorded else ()), at, at if recorded else NOW)
    assert found.verdict is (Verdict.SKIPPED if recorded else Verdict.WILL_BE_SKIPPED)
    because = "Saturday 2027-03-27 is off in its calendar firm."
    if not recorded:
        because = "Saturday 2027-03-27 is a day off, and the schedule skips days off."
    did = "did" if recorded else "will"
    assert found.summary == (
        f"It {did} not fire on Sunday 2027-03-28 at 00:00 (America/Nuuk): {because} 23:30 does not exist on 2027-03-27 "
        "in America/Nuuk, where the clock jumps from 23:00 to 00:00 on 2027-03-28; it would fire at 00:00 on "
        "2027-03-28, the first instant after. In the calendar firm 2027-03-27 is Fair."
    )
    assert [fact.data["day"] for fact in found.facts if "day" in fact.data] == ["2027-03-27"]


def test_the_second_showing_of_a_time_on_a_day_off_is_not_the_one_that_the_day_off_took() -> None:
    days = BusinessDays.merged(OnDayOff.SKIP, days_off=[(date(2027, 11, 7), date(2027, 11, 7))])
    known = _firm("30 1 * * *", NEW_YORK, days)
    found = explain(known, Records(), _utc("11-07T06:30"), NOW)
    assert found.verdict is Verdict.NOT_AN_OCCURRENCE
    assert found.summary.endswith(
        f": {SHOWN}it would fire at the first. Sunday 2027-11-07 is a day off, and the schedule skips days off."
    )


def test_a_run_after_a_gap_whose_day_is_off_since_is_told_as_it_was() -> None:
    known = _firm("30 2 * * *", NEW_YORK, SUNDAY_OFF, date(2027, 3, 14))
    at = _utc("03-14T07:00")
    found = explain(known, Records(own=(run(at),)), at, at)
    assert found.verdict is Verdict.FIRED
    assert found.summary.endswith(
        f" {HALF_PAST_TWO}{AFTER} By the days that are off today it would not be an occurrence."
    )
    assert "would fire" not in " ".join(fact.text for fact in found.facts)
