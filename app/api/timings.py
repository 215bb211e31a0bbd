"""From what a caller wrote of when to fire to a checked timing."""

from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from app.api.wire.base import Refused
from app.api.wire.occurrences import PreviewInput
from app.api.wire.schedules import CalendarUseInput, DstPolicyInput, TimingInput
from app.core.clock import EPOCH
from app.core.errors import InvalidScheduleException
from app.core.occurrences import (
    DEFAULT_POLICY,
    BusinessDays,
    DstPolicy,
    OnDayOff,
    Timing,
    check_timing,
    parse_instant,
)
from app.core.schedule import CalendarUse

T = TypeVar("T")


class TimingReader:
    """Reads the part of a body that says when; `default_timezone` is the service's."""

    def __init__(self, default_timezone: str) -> None:
        self._default_timezone = default_timezone

    def read(self, wire: TimingInput, refused: Refused, *, anchor: datetime | None = None) -> Timing | None:
        """A checked timing; null, with the reasons in `refused`, when it is refused."""
        timezone = given_or(wire.timezone, self._default_timezone)
        before = len(refused.values)
        scheduled_time = _instant(wire.scheduled_time, "scheduled_time", refused, timezone)
        timing = Timing(
            schedule_type=wire.schedule_type,
            timezone=timezone,
            cron_expression=wire.cron_expression,
            interval_seconds=wire.interval_seconds,
            scheduled_time=scheduled_time,
            start_at=_instant(wire.start_at, "start_at", refused),
            end_at=_instant(wire.end_at, "end_at", refused),
            jitter_seconds=given_or(wire.jitter_seconds, 0),
            anchor=anchor,
            dst_policy=_policy(wire.dst_policy),
        )
        named = {each.field for each in refused.values[before:]}
        try:
            # Of the calendars only the rule is known here: it has a say in what goes with it.
            use = calendar_use(wire.calendars)
            check_timing(timing if use is None else replace(timing, days=BusinessDays(use.on_day_off)))
        except InvalidScheduleException as wrong:
            # An instant that could not be read is not missing as well.
            refused.values.extend(each for each in wrong.errors if each.field not in named)
        return timing if len(refused.values) == before else None

    def preview(self, wire: PreviewInput, now: datetime) -> tuple[Timing, datetime]:
        """The timing of a preview, and the instant after which it is asked for.

        Raises InvalidScheduleException with every wrong field.
        """
        refused = Refused()
        start = _instant(wire.start, "start", refused) or now
        timing = self.read(wire, refused, anchor=start)
        refused.raise_any()
        assert timing is not None
        return timing, start


def calendar_use(wire: CalendarUseInput | None) -> CalendarUse | None:
    """Which calendars are named, and by what rule; whether there are such calendars the service says."""
    return None if wire is None else CalendarUse(tuple(wire.names), wire.on_day_off or OnDayOff.SKIP)


def given_or(value: T | None, default: T) -> T:
    """What a caller gave, or else the default."""
    return default if value is None else value


def _policy(wire: DstPolicyInput | None) -> DstPolicy:
    if wire is None:
        return DEFAULT_POLICY
    return DstPolicy(gap=wire.gap or DEFAULT_POLICY.gap, fold=wire.fold or DEFAULT_POLICY.fold)


def _instant(text: str | None, field: str, refused: Refused, timezone: str | None = None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_instant(text, field=field, timezone=timezone)
    except InvalidScheduleException as wrong:
        # A naive time in an unknown zone is refused for its zone, which check_timing names. It was given nevertheless:
        # any instant stands for it, so that it is neither missing nor unseen where it does not go with the rest.
        own = [each for each in wrong.errors if each.field != "timezone"]
        refused.values.extend(own)
        return None if own else EPOCH
