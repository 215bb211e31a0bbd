"""A timing in words."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings

from app.core.occurrences import BusinessDays, OnDayOff, ScheduleType, Timing, describe

from .brute_force import Expression, cron, examples, expressions


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
        # Either of two restricted day fields; both, where one begins with a star.
        ("0 0 13 * FRI", "At 00:00, on day 13 of the month, or on Friday"),
        ("0 0 */2 * MON", "At 00:00, on days 1, 3, 5, … 31 of the month, if that is also Monday"),
        ("0 0 1-31 * MON", "At 00:00"),
        ("0 0 ? * ?", "At 00:00"),
        ("0 0 */1 1-12 0-7", "At 00:00"),
        ("0 15 10 ? * 6#3", "At 10:15, on the third Saturday of the month"),
    ],
)
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
