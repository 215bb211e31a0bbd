"""What is not acceptable is refused, in words that name the field, the value and what would be right."""

import re
import string
from collections.abc import Iterable
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import InvalidScheduleException
from app.core.occurrences import (
    BusinessDays,
    DstPolicy,
    Gap,
    OnDayOff,
    ScheduleType,
    Timing,
    check_timing,
    describe,
    next_occurrence,
)
from app.core.occurrences.zones import PLACES, load_zone

from .brute_force import cron, examples

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SKIP_GAPS = DstPolicy(gap=Gap.SKIP)
ALL_WEEK = frozenset(range(7))
Days = Iterable[tuple[date, date]]


def _moving(days_off: Days = (), days_worked: Days = (), weekend: Iterable[int] = (6, 0)) -> BusinessDays:
    rule = OnDayOff.NEXT_BUSINESS_DAY
    return BusinessDays.merged(rule, days_off=days_off, days_worked=days_worked, weekend=weekend)


def _refusal(timing: Timing) -> InvalidScheduleException:
    with pytest.raises(InvalidScheduleException) as caught:
        check_timing(timing)
    return caught.value


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("61 * * * *", "minute 61 is out of range 0-59"),
        ("60 * * * * *", "second 60 is out of range 0-59"),
        ("* 24 * * *", "hour 24 is out of range 0-23"),
        ("* * 0 * *", "day of month 0 is out of range 1-31"),
        ("* * 32 * *", "day of month 32 is out of range 1-31"),
        ("* * * 13 *", "month 13 is out of range 1-12 or JAN-DEC"),
        ("* * * 0 *", "month 0 is out of range 1-12 or JAN-DEC"),
        ("* * * * 8", "day of week 8 is out of range 0-7 or SUN-SAT"),
        ("0-60 * * * *", "minute 60 is out of range 0-59"),
        ("5-1 * * * *", "minute range '5-1' is reversed; within 0-59 a range rises: write '5-59,0-1'"),
        ("55-5/2 * * * *", "minute range '55-5/2' is reversed; within 0-59 a range rises: write '55,57,59,1,3,5'"),
        ("0 22-2 * * *", "hour range '22-2' is reversed; within 0-23 a range rises: write '22-23,0-2'"),
        ("0 0 31-1 * *", "day of month range '31-1' is reversed; within 1-31 a range rises: write '31,1'"),
        ("0 0 * * FRI-MON", "'FRI-MON' is reversed; within 0-7 or SUN-SAT a range rises: write 'FRI-SAT,SUN-MON'"),
        ("0 0 * * Sat-mon", "range 'Sat-mon' is reversed; within 0-7 or SUN-SAT a range rises: write 'Sat,SUN-mon'"),
        ("0 0 * * 7-1", "day of week range '7-1' is reversed; within 0-7 or SUN-SAT a range rises: write '0-1'"),
        ("0 0 * * 07-1/2", "write '0-1/2'"),
        ("0 0 * * 5-0", "write '5-6,0'"),
        ("0 0 * * 6-MON", "write '6,0-MON'"),
        ("0 0 * DEC-JAN *", "month range 'DEC-JAN' is reversed; within 1-12 or JAN-DEC a range rises: write 'DEC,JAN'"),
        (
            "0 0 * NOV-FEB/2 *",
            "month range 'NOV-FEB/2' is reversed; within 1-12 or JAN-DEC a range rises: write '11,1'",
        ),
        ("5-1/0 * * * *", "minute range '5-1/0' is reversed; within 0-59 a range rises: write '5-59,0-1'"),
        ("99/0 * * * *", "minute 99 is out of range 0-59"),
        ("*/0 * * * *", "step 0 in minute '*/0' is out of range; a step is at least 1, as in '*/1'"),
        ("5-10/0 * * * *", "step 0 in minute '5-10/0'"),
        ("1,,2 * * * *", "minute has an empty item"),
        (", * * * *", "minute has an empty item"),
        ("1, * * * *", "minute has an empty item"),
        ("1, 2 * * * *", "there is no blank before or after the comma of a list: write '1,2 * * * *'"),
        ("1 ,\t2 , 3 * * * *", "write '1,2,3 * * * *'"),
        ("0 0 * * MON, FRI", "write '0 0 * * MON,FRI'"),
        ("0 0 0 1, 15 * *", "write '0 0 0 1,15 * *'"),
        ("1, ,2 * * * *", "second has an empty item"),
        ("CRON_TZ=UTC 0 0 * * *", ("'CRON_TZ=UTC' is no field: a zone is given as timezone; leave it out, and give "
         "timezone 'UTC'")),
        ("tz=Europe/Berlin 0 0 12 * * *", "leave it out, and give timezone 'Europe/Berlin'"),
        ("TZ=UTC @daily", "leave it out, and give timezone 'UTC'"),
        ("TZ= 0 0 * * *", "'TZ=' is no field: a zone is given as timezone"),
        ("-5 * * * *", "minute '-5' is not valid"),
        ("+5 * * * *", "minute '+5' is not valid"),
        ("5- * * * *", "minute '5-' is not valid"),
        ("1-2-3 * * * *", "minute '1-2-3' is not valid"),
        ("*/5/2 * * * *", "minute '*/5/2' is not valid"),
        ("*/ * * * *", "minute '*/' is not valid"),
        ("/5 * * * *", "minute '/5' is not valid"),
        ("*5 * * * *", "minute '*5' is not valid"),
        ("*-5 * * * *", "minute '*-5' is not valid"),
        ("5.5 * * * *", "minute '5.5' is not valid"),
        ("0x5 * * * *", "minute '0x5' is not valid"),
        ("a * * * *", "minute 'a' is not valid: it takes 0-59"),
        ("0 0 * * Foo", "day of week 'Foo' is not valid: it takes 0-7 or SUN-SAT"),
        ("0 0 * jan-Foo *", "month 'Foo' is not valid: it takes 1-12 or JAN-DEC"),
        ("0 0 30 feb *", "no day matches day of month 30, month feb and day of week *"),
        ("0 0 * * Fri#9", "day of week 'Fri#9': 9 after # is out of range 1-5"),
        ("0 0 l-31 * *", "day of month 'l-31': the offset 31 is out of range 1-30"),
        ("0 0 * * JAN", "day of week 'JAN' is not valid"),
        ("0 0 * MON *", "month 'MON' is not valid"),
        ("0 0 * * MONDAY", "day of week 'MONDAY' is not valid: it takes 0-7 or SUN-SAT"),
        ("? * * * *", "'?' stands alone, in day of month or day of week only"),
        ("0 0 ?/2 * *", "'?' stands alone"),
        ("0 0 1,? * *", "'?' stands alone"),
        ("0 0 * ? *", "'?' stands alone"),
        ("0 0 L-0 * *", "day of month 'L-0': the offset 0 is out of range 1-30"),
        ("0 0 L-31 * *", "the offset 31 is out of range 1-30"),
        ("0 0 32W * *", "day of month 32 is out of range 1-31"),
        ("0 0 0W * *", "day of month 0 is out of range 1-31"),
        ("0 0 W * *", "the special forms are L, L-3, 15W and LW"),
        ("0 0 LW-1 * *", ("day of month 'LW-1' is not valid: the special forms are L, L-3, 15W and LW, each an "
         "item of its own (L-1 to L-30); else it takes 1-31, as")),
        ("0 0 * * FRI#", ("day of week 'FRI#' is not valid: the special forms are FRI#2, 5#2, 5L and FRIL, each an "
         "item of its own (#1 to #5); else it takes 0-7 or SUN-SAT, as")),
        ("0 0 W15 * *", "the special forms are"),
        ("0 0 1-15W * *", "the special forms are"),
        ("0 0 L/2 * *", "the special forms are"),
        ("0 0 FRI#2 * *", "day of month 'FRI#2' is not valid"),
        ("0 0 * * L", "the special forms are FRI#2, 5#2, 5L and FRIL"),
        ("0 0 * * LFRI", "the special forms are"),
        ("0 0 * * FRI#0", "0 after # is out of range 1-5"),
        ("0 0 * * FRI#6", "6 after # is out of range 1-5"),
        ("0 0 * * 8#1", "day of week 8 is out of range"),
        ("0 0 * * 8L", "day of week 8 is out of range"),
        ("0 0 * * FOO#1", "day of week 'FOO' is not valid"),
        ("0 0 * * MON-FRI#2", "the special forms are"),
        ("0 0 * * 5W", "day of week '5W' is not valid"),
        ("L * * * *", "minute 'L' is not valid"),
        ("H * * * *", "use jitter_seconds"),
        ("H/15 * * * *", "use jitter_seconds"),
        ("H(0-29)/10 * * * *", "use jitter_seconds"),
        ("R * * * *", "use jitter_seconds"),
        ("r(1-5) * * * *", "use jitter_seconds"),
        ("0~30 * * * *", "use jitter_seconds"),
        ("@reboot", "use schedule_type one_time"),
        ("@every 5m", "use schedule_type interval with interval_seconds"),
        ("@fortnightly", "one of @yearly, @annually"),
        ("@daily *", "an alias stands alone"),
        ("", "it has 0 fields; 5 (minute, hour"),
        (" \t ", "it has 0 fields"),
        ("*", "it has 1 field; 5"),
        ("* * * *", "it has 4 fields"),
        ("0 0 12 * * MON 2026", "a year field is not supported; bound it by start_at and end_at"),
        ("0 0 1 1 ? 2027", ("the last of its 6 fields, '2027', looks like a year: six fields are second, minute, hour, "
         "day of month, month, day of week, and a year field is not supported; bound it by start_at and end_at")),
        ("0 12 * * MON 2027-2030", "the last of its 6 fields, '2027-2030', looks like a year"),
        ("0 12 * * ? *", ("month '?' is not valid: '?' stands alone, in day of month or day of week only; six fields "
         "are second, minute, hour, day of month, month, day of week; a year field is not supported")),
        ("* * * * * * * *", "it has 8 fields"),
        ("0 12 * * 2026", "day of week 2026 is out of range 0-7 or SUN-SAT; a year field is not supported"),
        ("0 0 * * *\n", "only printable ASCII"),
        ("0\u00a00 * * *", "only printable ASCII"),
        ("\u0663 * * * *", "only printable ASCII"),
        ("０ * * * *", "only printable ASCII"),
        ("0 0 * * *\x00", "only printable ASCII"),
        ("0," * 128 + "0 * * * *", "265 characters are too long; at most 255 are allowed"),
        ("9" * 250 + " * * * *", "258 characters are too long"),
        ("9" * 240 + " * * * *", "is out of range 0-59"),
        ("0 0 30 2 *", "it never occurs: no day matches day of month 30, month 2"),
        ("0 0 31 FEB,4,6,9,11 *", "it never occurs"),
        ("0 0 31 2-2 */2", "it never occurs"),
        ("0 0 L-29 2 *", "it never occurs"),
        ("0 0 L-30 4 *", "it never occurs"),
        ("0 0 30,31 2 ?", "it never occurs"),
        ("0 0 */31 2 SUN#2", "it never occurs"),
    ],
)  # fmt: skip
def test_a_cron_expression_outside_the_dialect_is_refused_with_its_reason(expression: str, problem: str) -> None:
    refusal = _refusal(cron(expression))
    (error,) = refusal.errors
    assert error.field == "cron_expression"
    assert error.message.startswith("cron_expression '")
    assert problem in error.message
    assert error.message.isascii() or "…" in error.message
    assert len(error.message) < 700


@settings(max_examples=examples(200))
@given(st.data())
def test_what_is_to_be_written_for_a_reversed_range_is_what_it_meant(data: st.DataObject) -> None:
    position, low, high = data.draw(st.sampled_from(((0, 0, 59), (1, 0, 23), (2, 1, 31), (3, 1, 12), (4, 0, 6))))
    last = data.draw(st.integers(low, high - 1))
    first = data.draw(st.integers(last + 1, high))
    step = data.draw(st.sampled_from((1, 1, 2, 3, 7)))
    fields = ["0", "0", "*", "*", "*"]
    fields[position] = f"{first}-{last}" + (f"/{step}" if step > 1 else "")
    advice = _refusal(cron(" ".join(fields))).detail.rpartition("write '")[2].removesuffix("'")
    size = high + 1 - low
    meant = {(value - low) % size + low for value in range(first, last + size + 1, step)}
    written: set[int] = set()
    for item in advice.split(","):
        start, _, end = item.partition("-")
        written.update(range(int(start), int(end or start) + 1))
    assert written == meant
    # Whether such a day is ever is another question.
    if position != 2:
        check_timing(cron(" ".join((*fields[:position], advice, *fields[position + 1 :]))))


_ITEMS = st.sampled_from(
    (
        (0, ("59-0", "55-5/2", "5-1/0", "*/0", "7/0", "3-9/00", "?", "5?")),
        (1, ("22-2", "23-0/7", "9-8/1", "?/2", "4-20/0")),
        (2, ("31-1", "30-2/5", "9-8/3", "*/0")),
        (3, ("DEC-JAN", "NOV-FEB/2", "nov-2", "12-1/3", "9-8/0", "?")),
        (4, ("FRI-MON", "Sat-tue/2", "7-1", "07-1/2", "6-0/3", "sun-sat/0", "FRI-2", "SAT-MON/1")),
    )
)


@settings(max_examples=examples(200))
@given(_ITEMS, st.data())
def test_what_is_to_be_written_takes_the_place_of_what_is_quoted(
    item: tuple[int, tuple[str, ...]], data: st.DataObject
) -> None:
    position, items = item
    beside = data.draw(st.sampled_from(("{}", "1,{}", "{},2", "1,{},3")))
    fields = ["0", "0", "*", "*", "*"]
    fields[position] = beside.format(data.draw(st.sampled_from(items)))
    detail = _refusal(cron(" ".join(fields))).detail.partition(": ")[2]
    quoted = re.findall(r"'([^']+)'", detail)
    instead = re.findall(r"(?:write|as in) '([^']+)'$", detail)
    assert len(instead) == 1, detail
    fields[position] = fields[position].replace(quoted[0], instead[0])
    check_timing(cron(" ".join(fields)))


def test_the_message_of_the_contract_is_word_for_word() -> None:
    assert _refusal(cron("61 * * * *")).detail == "cron_expression '61 * * * *': minute 61 is out of range 0-59"


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "UTC ", "utc\n", "UTC\x00", "../../etc/passwd", "/etc/passwd", "/usr/share/zoneinfo/UTC", "localtime",
        "posixrules", "posix/UTC", "right/UTC", "Europe", "Europe/", "Europe/../UTC", "zone.tab", "tzdata.zi",
        "__init__.py", "EST5EDT4", "+01:00", "GMT+25", "UTC" * 5000, "Ünïcode/Zone", "\ud800", "Europe\\Berlin",
    ],
)  # fmt: skip
def test_a_name_that_is_no_zone_is_refused(name: str) -> None:
    refusal = _refusal(cron("* * * * *", name))
    (error,) = refusal.errors
    assert error.field == "timezone"
    assert "no such IANA time zone" in error.message or "write 'UTC'" in error.message
    assert len(error.message) < 400
    error.message.encode()


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("Berlin", "write 'Europe/Berlin'"),
        ("berlin", "write 'Europe/Berlin'"),
        ("Germany/Berlin", "write 'Europe/Berlin'"),
        ("New York", "write 'America/New_York'"),
        ("Louisville", "write 'America/Kentucky/Louisville' or 'America/Louisville'"),
        ("+01:00", "'Etc/GMT-1' is 1 hour ahead of UTC: its sign is inverted"),
        ("UTC+1", "'Etc/GMT-1' is 1 hour ahead of UTC: its sign is inverted"),
        ("gmt-05", "'Etc/GMT+5' is 5 hours behind UTC: its sign is inverted"),
        ("-1100", "'Etc/GMT+11' is 11 hours behind UTC"),
        ("+00:00", "write 'UTC'"),
        ("Z", "write 'UTC'"),
        ("+05:30", "a fixed offset is whole hours, from 'Etc/GMT-14' (ahead of UTC) to 'Etc/GMT+12' (behind it)"),
        ("UTC+15", "a fixed offset is whole hours, from 'Etc/GMT-14' (ahead of UTC) to 'Etc/GMT+12' (behind it)"),
        ("CEST", "an abbreviation names no place, as 'Europe/Berlin' does"),
        ("pdt", "an abbreviation names no place, as 'America/Los_Angeles' does"),
        ("XYZT", "examples are 'UTC', 'Europe/Berlin'"),
        ("Mars/Base", "examples are 'UTC', 'Europe/Berlin'"),
    ],
)
def test_what_is_written_for_a_zone_is_answered_with_its_name(name: str, advice: str) -> None:
    detail = _refusal(cron("* * * * *", name)).detail
    assert detail.startswith(f"timezone '{name}': no such IANA time zone; ")
    assert advice in detail


@settings(max_examples=examples(60))
@given(st.sampled_from(("", "UTC", "GMT")), st.integers(-12, 14).filter(bool), st.sampled_from((":00", "00", "")))
def test_the_zone_that_is_named_for_an_offset_has_that_offset(prefix: str, hours: int, minutes: str) -> None:
    detail = _refusal(cron("* * * * *", f"{prefix}{'-' if hours < 0 else '+'}{abs(hours):02}{minutes}")).detail
    named = re.findall(r"'(Etc/GMT[^']+)'", detail)
    assert [load_zone(name).offset_at(0) for name in named] == [hours * 3600]


def test_every_place_that_an_abbreviation_is_answered_with_is_a_zone() -> None:
    for abbreviation, place in PLACES.items():
        assert f"'{place}'" in _refusal(cron("* * * * *", abbreviation)).detail
        assert load_zone(place).name == place


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("america/new_york", "America/New_York"),
        ("EUROPE/BERLIN", "Europe/Berlin"),
        ("utc", "UTC"),
        ("etc/gmt+5", "Etc/GMT+5"),
    ],
)
def test_wrong_capitals_of_a_zone_are_refused_with_the_right_name(wrong: str, right: str) -> None:
    assert f"write '{right}'" in _refusal(cron("* * * * *", wrong)).detail
    check_timing(cron("* * * * *", right))


@pytest.mark.parametrize(
    ("timing", "fields"),
    [
        (Timing(ScheduleType.CRON, "UTC"), ["cron_expression"]),
        (Timing(ScheduleType.INTERVAL, "UTC"), ["interval_seconds"]),
        (Timing(ScheduleType.ONE_TIME, "UTC"), ["scheduled_time"]),
        (Timing(ScheduleType.CRON, "UTC", cron_expression="* * * * *", interval_seconds=5), ["interval_seconds"]),
        (Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=5, scheduled_time=NOW), ["scheduled_time"]),
        (Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=0), ["interval_seconds"]),
        (Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=-1), ["interval_seconds"]),
        (Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=31_536_001), ["interval_seconds"]),
        (Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=10**5000), ["interval_seconds"]),
        (Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=True), ["interval_seconds"]),
        (Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=1.5), ["interval_seconds"]),  # type: ignore[arg-type]
        (cron("* * * * *", jitter_seconds=-1), ["jitter_seconds"]),
        (cron("* * * * *", jitter_seconds=3601), ["jitter_seconds"]),
        (cron("* * * * *", start_at=NOW, end_at=NOW.replace(hour=11)), ["end_at"]),
        (cron("* * * * *", start_at=NOW.replace(tzinfo=None)), ["start_at"]),
        (cron("* * * * *", end_at=NOW.replace(tzinfo=None), start_at=NOW), ["end_at"]),
        (Timing(ScheduleType.ONE_TIME, "UTC", scheduled_time=NOW, start_at=NOW), ["start_at"]),
        (cron("99 * * * *", "Nowhere", jitter_seconds=9999), ["timezone", "cron_expression", "jitter_seconds"]),
        (Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=5, dst_policy=SKIP_GAPS), ["dst_policy"]),
        (Timing(ScheduleType.ONE_TIME, "UTC", scheduled_time=NOW, dst_policy=SKIP_GAPS), ["dst_policy"]),
        (Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=5, days=_moving()), ["calendars"]),
        (cron("* * * * *", days=_moving(weekend=range(7))), ["calendars"]),
        (cron("* * * * *", days=_moving(days_off=[(date(1969, 12, 31), date(1970, 1, 1))])), ["calendars"]),
        (cron("* * * * *", days=_moving(days_worked=[(date(2099, 12, 31), date(2100, 1, 1))])), ["calendars"]),
    ],
)
def test_every_wrong_field_of_a_timing_is_named(timing: Timing, fields: list[str]) -> None:
    refusal = _refusal(timing)
    assert [error.field for error in refusal.errors] == fields
    assert all(error.field in error.message for error in refusal.errors)


@pytest.mark.parametrize(
    "timing",
    [
        cron("0 0 29 2 *"),
        cron("* * * * *", start_at=NOW, end_at=NOW, jitter_seconds=3600),
        Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=1),
        Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=31_536_000, anchor=NOW),
        Timing(ScheduleType.ONE_TIME, "Asia/Kathmandu", scheduled_time=NOW, jitter_seconds=5),
        Timing(ScheduleType.ONE_TIME, "UTC", scheduled_time=NOW, dst_policy=DstPolicy(), days=_moving()),
        Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=1, days=BusinessDays(OnDayOff.SKIP, weekend=ALL_WEEK)),
        cron("*/5 * * * *", dst_policy=SKIP_GAPS, days=_moving(weekend=range(6))),
        cron("0 0 * * *", days=_moving(days_off=[(date(1970, 1, 1), date(2099, 12, 31))])),
    ],
)
def test_a_timing_at_its_limits_is_accepted(timing: Timing) -> None:
    check_timing(timing)


@pytest.mark.parametrize(
    ("timing", "words"),
    [
        (Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=5, dst_policy=SKIP_GAPS), [
            "gap 'skip', fold 'once' does not go with schedule_type 'interval'", "leave it out", "gap 'after'",
        ]),
        (Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=5, days=_moving()), [
            "on_day_off 'next_business_day'", "an interval is real seconds and has no day to move", "'skip'",
        ]),
        (cron("* * * * *", days=_moving(weekend=range(7))), ["all seven days of the week", "leave at least one day"]),
        (cron("* * * * *", days=_moving(days_off=[(date(1960, 2, 3), date(1970, 1, 1))])), [
            "the day 1960-02-03", "out of range 1970-01-01 to 2099-12-31",
        ]),
    ],
)  # fmt: skip
def test_a_refusal_says_what_is_wrong_with_the_days_off_and_what_is_right(timing: Timing, words: list[str]) -> None:
    detail = _refusal(timing).detail
    assert [word for word in words if word not in detail] == []


_cron_like = st.text(alphabet="0123456789*/-,?LW#@~ \tMONFRISUJAEB", max_size=60)
_five = st.lists(st.text(alphabet="0123456789*/-,?LW#MONFRISU", min_size=1, max_size=8), min_size=5, max_size=6)


@settings(max_examples=examples(700))
@given(_cron_like | _five.map(" ".join) | st.text(max_size=300), st.text(max_size=80) | st.just("Europe/Berlin"))
def test_no_text_raises_anything_but_a_refusal(expression: str, zone: str) -> None:
    timing = cron(expression, zone)
    try:
        check_timing(timing)
    except InvalidScheduleException as refusal:
        refusal.detail.encode()
    else:
        assert describe(timing)
        next_occurrence(timing, NOW)


def test_a_refused_zone_is_refused_by_the_search_as_well() -> None:
    with pytest.raises(InvalidScheduleException, match="timezone"):
        next_occurrence(cron("* * * * *", "Atlantis/Capital"), NOW)


def test_the_alphabet_of_the_fuzz_reaches_valid_expressions() -> None:
    assert set("*/5 0-23 L,15W ? MON#2") <= set("0123456789*/-,?LW#@~ \tMONFRISUJAEB" + string.digits)
