"""From what a caller wrote to a validated definition: defaults, instants, combinations, and what is refused for now."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from app.api.targets import TargetReader
from app.api.wire.base import Refused, require_object, try_model
from app.api.wire.occurrences import PreviewInput
from app.api.wire.schedules import CalendarUseInput, DstPolicyInput, RetryPolicyInput, ScheduleInput, TimingInput
from app.api.wire.targets import TargetInput
from app.core.clock import EPOCH
from app.core.errors import FieldProblem, InvalidScheduleException, ScheduleServiceException
from app.core.occurrences import (
    DEFAULT_POLICY,
    BusinessDays,
    DstPolicy,
    OnDayOff,
    Timing,
    check_timing,
    parse_instant,
)
from app.core.schedule import (
    AfterCompletion,
    CalendarUse,
    Completion,
    Definition,
    OverlapPolicy,
    RetryPolicy,
    Schedule,
)
from app.core.target import Target
from app.settings import Settings

T = TypeVar("T")

READ_ONLY = frozenset(
    {
        "schedule_id",
        "status",
        "is_active",
        "status_reason",
        "next_execution_at",
        "next_due_at",
        "skip_next",
        "last_execution_at",
        "last_execution_id",
        "execution_count",
        "community_id",
        "created_by",
        "created_at",
        "updated_at",
        "revision",
    }
)
"""Fields of a schedule that a body may hold and that are ignored: what was read can be edited and sent back."""

_RETRY = RetryPolicy()


class Definitions:
    """Reads definitions with the defaults of this service."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timing = TimingReader(settings.scheduler_timezone)
        self._targets = TargetReader(settings)

    def read(self, body: Any, current: Schedule | None = None) -> Definition:
        """A definition from a JSON value. Whether an instant is left is for the service to say, who knows the time.

        `current` is the schedule that it is to be the definition of: where it has secrets, masks stand for them.

        Raises MalformedRequestException and InvalidScheduleException, each with every wrong field.
        """
        refused = Refused()
        given = {name: value for name, value in require_object(body).items() if name not in READ_ONLY}
        wire = try_model(ScheduleInput, given, refused)
        if given.get("workflow_id") is None and given.get("target") is None:
            refused.value("workflow_id", "workflow_id is required, except with a target of its own")
        if wire is None:
            raise _error(refused)
        timing = self._timing.read(wire, refused)
        if timing is None:
            raise _error(refused)
        definition = self._definition(wire, timing, current, refused)
        refused.raise_any()
        return definition

    async def check_addresses(self, body: Any) -> None:
        """Look up where the targets of a schedule are. See `TargetReader.address_problems`.

        Raises InvalidScheduleException.
        """
        (problems,) = await self._targets.address_problems([body])
        if problems:
            raise InvalidScheduleException.of_all(problems)

    async def read_all(self, bodies: Sequence[Any]) -> list[Definition | ScheduleServiceException]:
        """New schedules, each a definition or why it is refused, in order; their addresses are looked up at once."""
        results: list[Definition | ScheduleServiceException] = []
        for body, problems in zip(bodies, await self._targets.address_problems(bodies), strict=True):
            try:
                definition = self.read(body)
                results.append(InvalidScheduleException.of_all(problems) if problems else definition)
            except ScheduleServiceException as refused:
                results.append(refused)
        return results

    def check_override(self, schedule: Schedule, context: Mapping[str, Any] | None) -> None:
        """Refuse a run whose own `context_data` lacks what the schedule's target asks for.

        Raises InvalidScheduleException.
        """
        target = schedule.definition.target
        if context is None or target is None:
            return
        missing = self._targets.unknown_names(target, self._targets.known(schedule.definition.completion, context))
        if missing:
            raise InvalidScheduleException.of_all(
                [FieldProblem("context_data", f"context_data: the target asks for it, and {why}") for why in missing]
            )

    def _definition(
        self, wire: ScheduleInput, timing: Timing, current: Schedule | None, refused: Refused
    ) -> Definition:
        settings = self._settings
        completion = wire.completion or Completion(settings.workflow_completion)
        return Definition(
            workflow_id=None if wire.workflow_id is None else UUID(wire.workflow_id),
            schedule_type=timing.schedule_type,
            timezone=timing.timezone,
            cron_expression=timing.cron_expression,
            interval_seconds=timing.interval_seconds,
            scheduled_time=timing.scheduled_time,
            start_at=timing.start_at,
            end_at=timing.end_at,
            jitter_seconds=timing.jitter_seconds,
            name=wire.name,
            description=wire.description,
            max_executions=wire.max_executions,
            grace_period_seconds=_or(wire.grace_period_seconds, settings.grace_period_seconds),
            coalesce=_or(wire.coalesce, settings.scheduler_job_defaults_coalesce),
            max_instances=_or(wire.max_instances, settings.scheduler_job_defaults_max_instances),
            overlap_policy=wire.overlap_policy or OverlapPolicy.SKIP,
            completion=completion,
            timeout_seconds=_or(wire.timeout_seconds, settings.workflow_timeout_seconds),
            retry=self._retry(wire.retry or RetryPolicyInput(), refused),
            after_completion=wire.after_completion or AfterCompletion.KEEP,
            context_data=wire.context_data,
            tags=tuple(wire.tags),
            dst_policy=timing.dst_policy,
            calendars=calendar_use(wire.calendars),
            target=self._target(wire, "target", completion, current, refused),
            failure_target=self._target(wire, "failure_target", completion, current, refused),
        )

    def _target(
        self, wire: ScheduleInput, field: str, completion: Completion, current: Schedule | None, refused: Refused
    ) -> Target | None:
        given: TargetInput | None = getattr(wire, field)
        if given is None:
            return None
        stored: Target | None = None if current is None else getattr(current.definition, field)
        return self._targets.read(given, field, completion, wire.context_data, stored, refused)

    def _retry(self, wire: RetryPolicyInput, refused: Refused) -> RetryPolicy:
        initial = _or(wire.initial_backoff_seconds, _RETRY.initial_backoff_seconds)
        # A longer first wait than the default of the longest raises that with it.
        longest = _or(wire.max_backoff_seconds, max(_RETRY.max_backoff_seconds, initial))
        if longest < initial:
            name = "retry.max_backoff_seconds"
            refused.value(name, f"{name} {longest} is less than initial_backoff_seconds {initial}")
        return RetryPolicy(
            max_retries=_or(wire.max_retries, self._settings.workflow_max_retries),
            initial_backoff_seconds=initial,
            max_backoff_seconds=longest,
            multiplier=_or(wire.multiplier, _RETRY.multiplier),
            max_age_seconds=_or(wire.max_age_seconds, _RETRY.max_age_seconds),
        )


class TimingReader:
    """Reads the part of a body that says when; `default_timezone` is the service's."""

    def __init__(self, default_timezone: str) -> None:
        self._default_timezone = default_timezone

    def read(self, wire: TimingInput, refused: Refused, *, anchor: datetime | None = None) -> Timing | None:
        """A checked timing; null, with the reasons in `refused`, when it is refused."""
        timezone = _or(wire.timezone, self._default_timezone)
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
            jitter_seconds=_or(wire.jitter_seconds, 0),
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


def _policy(wire: DstPolicyInput | None) -> DstPolicy:
    if wire is None:
        return DEFAULT_POLICY
    return DstPolicy(gap=wire.gap or DEFAULT_POLICY.gap, fold=wire.fold or DEFAULT_POLICY.fold)


def _or(value: T | None, default: T) -> T:
    return default if value is None else value


def _error(refused: Refused) -> ScheduleServiceException:
    error = refused.error()
    assert error is not None, "nothing was refused"
    return error


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
