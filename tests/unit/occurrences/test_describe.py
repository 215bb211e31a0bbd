"""A timing in words."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise, product

import pytest
from hypothesis import given, settings

from app.core.occurrences import BusinessDays, OnDayOff, ScheduleType, Timing, describe
from app.core.occurrences.cron_fields import parse_cron

from .brute_force import Expression, OfDates, Plain, cron, daily_expressions, examples, expressions
from .read_words import runs_a_day


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 12 * * MON-FRI", "At 12:00, Monday to Friday"),
        ("*/15 * * * MON-FRI", "Every 15 minutes, Monday to Friday"),
        ("* * * * *", "Every minute"),
        ("* * * * * *", "Every second"),
        ("*/10 * * * * *", "Every 10 seconds"),
        ("5 0 12 * * *", "At 12:00:05"),
        ("0 * * * *", "Every hour"),
        ("@hourly", "Every hour"),
        ("@daily", "At 00:00"),
        ("@weekly", "At 00:00, on Sunday"),
        ("@yearly", "At 00:00, on day 1 of the month, in January"),
        ("0 */2 * * *", "Every 2 hours"),
        ("30 */2 * * *", "At 30 minutes past the hour, every 2 hours"),
        ("1 * * * *", "At 1 minute past the hour"),
        ("*/45 * * * *", "At 0 and 45 minutes past the hour"),
        ("0 */5 * * *", "At 00:00, 05:00, 10:00, 15:00 and 20:00"),
        ("0 9,17 * * *", "At 09:00 and 17:00"),
        ("*/15 9,17 * * *", "Every 15 minutes, during hours 9 and 17"),
        ("0 9-17 * * 1-5", "Every hour from 09:00 to 17:00, Monday to Friday"),
        ("0 9-12,14 * * *", "At 09:00, 10:00, 11:00, 12:00 and 14:00"),
        ("0-10 11 * * *", "Every minute between 11:00 and 11:10"),
        ("50/20 * * * *", "At 50 minutes past the hour"),
        ("0 0 * * 7", "At 00:00, on Sunday"),
        ("0 0 * * SAT-SUN", "At 00:00, on Saturday and Sunday"),
        ("0 0 * * SUN-SUN", "At 00:00, on Sunday"),
        ("0 0 * * 1,3-5", "At 00:00, on Monday and Wednesday to Friday"),
        ("0 0 * * MON,FRI#2", "At 00:00, on Monday and the second Friday of the month"),
        ("0 0 * * 5L", "At 00:00, on the last Friday of the month"),
        ("0 0 * * L5", "At 00:00, on the last Friday of the month"),
        ("0 0 * * FRIL", "At 00:00, on the last Friday of the month"),
        ("0 0 L * *", "At 00:00, on the last day of the month"),
        ("0 0 L-1 * *", "At 00:00, 1 day before the last day of the month"),
        ("0 0 L-3 * *", "At 00:00, 3 days before the last day of the month"),
        ("0 0 15W * *", "At 00:00, on the weekday nearest to day 15 of the month"),
        ("0 0 LW * *", "At 00:00, on the last weekday of the month"),
        ("0 0 1,15 * *", "At 00:00, on days 1 and 15 of the month"),
        ("0 0 1,L * *", "At 00:00, on day 1 of the month and the last day of the month"),
        ("0 0 10-20/2 * *", "At 00:00, on days 10, 12, 14, 16, 18 and 20 of the month"),
        ("0 0 1-7 * *", "At 00:00, on days 1 to 7 of the month"),
        ("0 0 1 */3 *", "At 00:00, on day 1 of the month, in January, April, July and October"),
        ("0 0 1 JUN-AUG *", "At 00:00, on day 1 of the month, in June to August"),
        # Only what is even round the wrap goes by its step.
        ("0 8/4 * * *", "At 08:00, 12:00, 16:00 and 20:00"),
        ("0 8-20/4 * * *", "At 08:00, 12:00, 16:00 and 20:00"),
        ("0 1/6 * * *", "Every 6 hours, starting at 01:00"),
        ("45/5 * * * *", "At 45, 50 and 55 minutes past the hour"),
        ("1-59/2 * * * *", "Every 2 minutes, starting at 1 minute past the hour"),
        ("40/5 0 9 * * *", "At 09:00:40, 09:00:45, 09:00:50 and 09:00:55"),
        ("*/15 8-20/4 * * *", "Every 15 minutes, during hours 8, 12, 16 and 20"),
        # What fires all through a minute or an hour says so.
        ("* */2 * * *", "Every minute, during every 2nd hour from 00:00"),
        ("*/15 */4 * * *", "Every 15 minutes, during every 4th hour from 00:00"),
        ("* 1/3 * * *", "Every minute, during every 3rd hour from 01:00"),
        ("* */5 * * * *", "Every second, during every 5th minute"),
        ("* 1/2 */2 * * *", "Every second, during every 2nd minute from minute 1 of every 2nd hour from 00:00"),
        ("*/10 30 * * * *", "Every 10 seconds, during minute 30"),
        ("*/10 0,30 9-17 * * *", "Every 10 seconds, during minutes 0 and 30, between 09:00 and 17:59"),
        ("*/10 0,30 9 * * *", "Every 10 seconds, during minutes 0 and 30, between 09:00 and 09:59"),
        ("* 0 9,10 * * *", "Every second, during minute 0, during hours 9 and 10"),
        ("*/10 15-45 */2 * * *", "Every 10 seconds, minutes 15 to 45 past the hour, during every 2nd hour from 00:00"),
        ("0,30 */4 * * *", "At 0 and 30 minutes past the hour, every 4 hours"),
        ("30 */5 * * * *", "At 30 seconds past the minute, every 5 minutes"),
        ("15,45 * */3 * * *", "At 15 and 45 seconds past the minute, during every 3rd hour from 00:00"),
        ("10-20 * 2/6 * * *", "Seconds 10 to 20 past the minute, during every 6th hour from 02:00"),
        ("30 * */3 * * *", "At 30 seconds past the minute, during every 3rd hour from 00:00"),
        ("30 */15 */3 * * *", "At 30 seconds past the minute, every 15 minutes, during every 3rd hour from 00:00"),
        (
            "5/25 */15 */3 * * *",
            "At 5, 30 and 55 seconds past the minute, every 15 minutes, during every 3rd hour from 00:00",
        ),
        ("15,45 30 */3 * * *", "At 15 and 45 seconds past the minute, at 30 minutes past the hour, every 3 hours"),
        # A time of day is named only where it fires; few of them one by one.
        ("15 30 9,17 * * *", "At 09:30:15 and 17:30:15"),
        ("14 42 */7 * * *", "At 00:42:14, 07:42:14, 14:42:14 and 21:42:14"),
        ("25,50 22 * * *", "At 22:25 and 22:50"),
        ("*/30 2 * * *", "At 02:00 and 02:30"),
        ("0,30 9,17 * * *", "At 09:00, 09:30, 17:00 and 17:30"),
        ("1,2 30 9,17 * * *", "At 09:30:01, 09:30:02, 17:30:01 and 17:30:02"),
        ("0,25,30,50 9,17 * * *", "At 0, 25, 30 and 50 minutes past the hour, during hours 9 and 17"),
        (
            "3-59/7 9 * * *",
            "At 3, 10, 17, 24, 31, 38, 45, 52 and 59 minutes past the hour, between 09:00 and 09:59",
        ),
        (
            "51 10-49 15 * * *",
            "At 51 seconds past the minute, minutes 10 to 49 past the hour, between 15:00 and 15:59",
        ),
        (
            "16-34 35 2 * * *",
            "Seconds 16 to 34 past the minute, at 35 minutes past the hour, between 02:00 and 02:59",
        ),
        (
            "29-39 1 13-21/9 * * *",
            "Seconds 29 to 39 past the minute, at 1 minute past the hour, between 13:00 and 13:59",
        ),
        # Many values are not told one by one.
        ("0,7-40/3 * * * *", "At 0, 7, 10, … 40 (13 in all) minutes past the hour"),
        ("10-50/2 * * * *", "At 10, 12, 14 and so on up to 50 minutes past the hour"),
        ("0-20,30-50 9,17 * * *", "At 0 to 20 and 30 to 50 minutes past the hour, during hours 9 and 17"),
        ("0-20,30-50 * * * * *", "At 0 to 20 and 30 to 50 seconds past the minute"),
        ("* 0-20,30-50 * * * *", "Every second, during minutes 0 to 20 and 30 to 50"),
        ("0 0-10,12-23 * * *", "Every hour, during hours 0 to 10 and 12 to 23"),
        ("30 0-10,12-23 * * *", "At 30 minutes past the hour, during hours 0 to 10 and 12 to 23"),
        # Nothing is named twice.
        ("0 0 * * 0,7", "At 00:00, on Sunday"),
        ("0 0 * * MON,1-2", "At 00:00, on Monday and Tuesday"),
        ("0 0 * * 1-6,3", "At 00:00, Monday to Saturday"),
        ("0 0 * * SAT-SUN,0", "At 00:00, on Sunday and Saturday"),
        ("0 0 * * FRIL,5L,L5", "At 00:00, on the last Friday of the month"),
        ("0 0 * * FRI#2,5,FRI#2", "At 00:00, on Friday"),
        ("0 0 * * */2,MON#1", "At 00:00, on Sunday, Tuesday, Thursday, Saturday and the first Monday of the month"),
        ("0 0 1,1 * *", "At 00:00, on day 1 of the month"),
        ("0 0 1-20,5 * *", "At 00:00, on days 1 to 20 of the month"),
        (
            "0 0 L,1,L,1W,01W * *",
            "At 00:00, on day 1 of the month, the last day of the month and the weekday nearest to day 1 of the month",
        ),
        ("0 0 1 1,1 *", "At 00:00, on day 1 of the month, in January"),
        ("0 0 1 JUN-AUG,7 *", "At 00:00, on day 1 of the month, in June to August"),
        # Either of two restricted day fields; both, where one begins with a star.
        ("0 0 13 * FRI", "At 00:00, on day 13 of the month, or on Friday"),
        ("0 0 */2 * MON", "At 00:00, on days 1, 3, 5, … 31 of the month, if that is also Monday"),
        (
            "0 0 */2 * */2",
            "At 00:00, on days 1, 3, 5, … 31 of the month, if that is also Sunday, Tuesday, Thursday or Saturday",
        ),
        ("0 0 */2 * 1-5", "At 00:00, on days 1, 3, 5, … 31 of the month, if that is also Monday to Friday"),
        ("0 0 1-31 * MON", "At 00:00"),
        ("0 0 ? * ?", "At 00:00"),
        ("0 0 */1 1-12 0-7", "At 00:00"),
        ("0 15 10 ? * 6#3", "At 10:15, on the third Saturday of the month"),
    ],
)  # fmt: skip
def test_an_expression_is_described_as_it_fires(expression: str, words: str) -> None:
    assert describe(cron(expression)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "Every second"),
        (7, "Every 7 seconds"),
        (60, "Every minute"),
        (90, "Every 1 minute and 30 seconds"),
        (900, "Every 15 minutes"),
        (3600, "Every hour"),
        (86_400, "Every 24 hours"),
        (604_800, "Every 7 days"),
        (93_784, "Every 1 day, 2 hours, 3 minutes and 4 seconds"),
        (31_536_000, "Every 365 days"),
    ],
)
def test_an_interval_is_described(seconds: int, words: str) -> None:
    assert describe(Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=seconds)) == words


def test_a_one_time_schedule_is_described_on_the_clock_of_its_zone() -> None:
    instant = datetime(2026, 11, 23, 17, 0, 5, tzinfo=UTC)
    timing = Timing(ScheduleType.ONE_TIME, "America/New_York", scheduled_time=instant)
    assert describe(timing) == "Once, on 2026-11-23 at 12:00:05 (America/New_York)"
    assert describe(Timing(ScheduleType.ONE_TIME, "UTC", scheduled_time=instant.replace(second=0))) == (
        "Once, on 2026-11-23 at 17:00 (UTC)"
    )


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (OnDayOff.SKIP, "At 09:00, on day 15 of the month, except on days off"),
        (OnDayOff.NEXT_BUSINESS_DAY, "At 09:00, on day 15 of the month, moved to the next business day"),
        (OnDayOff.PREVIOUS_BUSINESS_DAY, "At 09:00, on day 15 of the month, moved to the previous business day"),
    ],
)
def test_what_becomes_of_days_off_is_described(rule: OnDayOff, words: str) -> None:
    assert describe(cron("0 9 15 * *", days=BusinessDays(rule))) == words


def test_days_off_of_an_interval_and_of_a_single_instant_are_described() -> None:
    days = BusinessDays(OnDayOff.SKIP)
    assert describe(Timing(ScheduleType.INTERVAL, "UTC", interval_seconds=60, days=days)) == (
        "Every minute, except on days off"
    )
    noon = datetime(2026, 12, 25, 12, tzinfo=UTC)
    assert describe(Timing(ScheduleType.ONE_TIME, "UTC", scheduled_time=noon, days=days)) == (
        "Once, on 2026-12-25 at 12:00 (UTC), except on days off"
    )


@settings(max_examples=examples(300))
@given(expressions(seconds=True))
def test_every_expression_has_a_description(expression: Expression) -> None:
    words = describe(cron(expression.text))
    assert words[0].isupper()
    assert "None" not in words
    assert "?" not in words


_SIZES = {"second": 60, "minute": 60, "hour": 24}


@settings(max_examples=examples(1500))
@given(expressions(seconds=True) | expressions(seconds=False))
def test_what_is_said_to_be_every_so_many_is_even_round_the_wrap(expression: Expression) -> None:
    words = describe(cron(expression.text)).lower()
    second = frozenset((0,)) if expression.second is None else expression.second.matches
    fields = {"second": second, "minute": expression.minute.matches, "hour": expression.hour.matches}
    for number, unit in re.findall(r"every (?:([0-9]+)(?:nd|rd|th)? )?(second|minute|hour)", words):
        if (not number and unit == "hour") or (not number and "between" in words):
            continue  # "every hour from 09:00 to 17:00", "every minute between 09:00 and 09:10"
        values = sorted(fields[unit])
        distances = {later - earlier for earlier, later in pairwise([*values, values[0] + _SIZES[unit]])}
        assert distances == {int(number or 1)}, words


@settings(max_examples=examples(1500))
@given(expressions(seconds=True) | expressions(seconds=False))
def test_a_time_of_day_is_named_only_where_it_fires(expression: Expression) -> None:
    second = frozenset((0,)) if expression.second is None else expression.second.matches
    words = describe(cron(expression.text))
    lists = re.findall(
        r"\bat ((?:(?:, | and )?[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)+)", words.replace("starting at", ""), re.I
    )
    named = re.findall(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?", " ".join(lists))
    for hour, minute, at_second in named:
        assert int(hour) in expression.hour.matches, words
        assert int(minute) in expression.minute.matches, words
        assert int(at_second or 0) in second, words


def test_the_words_for_every_form_of_the_time_of_day_say_as_many_runs_as_there_are() -> None:
    seconds = ("0", "30", "*", "*/10", "*/7", "10-20", "15,45", "5/25", "2/6", "0-20,30-40/3")
    minutes = ("0", "30", "*", "*/15", "*/7", "10-20", "15,45", "5/25", "1/2", "0-20,30-50")
    hours = ("0", "9", "*", "*/3", "*/5", "9-17", "9,17", "2/6", "0-10,12-23")
    for expression in map(" ".join, product(seconds, minutes, hours)):
        fields = parse_cron(f"{expression} * * *")
        runs = fields.seconds.bit_count() * fields.minutes.bit_count() * fields.hours.bit_count()
        words = describe(cron(f"{expression} * * *"))
        assert runs_a_day(words) == runs, f"{expression}: {words}"


def test_a_list_that_is_the_end_of_another_is_not_taken_for_it() -> None:
    seconds, minutes = describe(cron("16-58/2 14-58/2 * * * *")).split(", at ")
    assert seconds == "At 16, 18, 20 and so on up to 58 seconds past the minute"
    assert minutes == "14, 16, 18 and so on up to 58 minutes past the hour"


@settings(max_examples=examples(500))
@given(expressions(seconds=True) | expressions(seconds=False))
def test_the_words_for_a_time_of_day_say_as_many_runs_as_there_are(expression: Expression) -> None:
    always = OfDates("*", lambda _: True)
    daily = replace(expression, day=always, weekday=always, month=Plain("*", frozenset(range(1, 13))))
    seconds = 1 if daily.second is None else len(daily.second.matches)
    words = describe(cron(daily.text))
    assert runs_a_day(words) == seconds * len(daily.minute.matches) * len(daily.hour.matches), words


@settings(max_examples=examples(500))
@given(daily_expressions())
def test_no_day_or_month_is_named_twice(expression: Expression) -> None:
    words = describe(cron(expression.text))
    plain = re.sub(r"the (?:last|first|second|third|fourth|fifth) [A-Z][a-z]+ of the month", "", words)
    names = re.findall(r"[A-Z][a-z]+day|[A-Z][a-z]+(?:ary|ch|il|ber)|May|June|July|August", plain)
    assert len(names) == len(set(names)), words
