"""From what a caller wrote to a validated definition: defaults and combinations."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from app.api.targets import TargetReader
from app.api.timings import TimingReader, calendar_use, given_or
from app.api.wire.base import Refused, require_object, try_model
from app.api.wire.schedules import READ_ONLY, RetryPolicyInput, ScheduleInput
from app.api.wire.targets import TargetInput
from app.core.clock import in_turns
from app.core.errors import FieldProblem, InvalidScheduleException, ScheduleServiceException
from app.core.occurrences import (
    Timing,
)
from app.core.schedule import (
    AfterCompletion,
    Completion,
    Definition,
    OverlapPolicy,
    RetryPolicy,
    Schedule,
)
from app.core.target import Target
from app.settings import Settings

_RETRY = RetryPolicy()


class Definitions:
    """Reads definitions with the defaults of this service."""

    def __init__(self, settings: Settings, targets: TargetReader) -> None:
        self._settings = settings
        self._timing = TimingReader(settings.scheduler_timezone)
        self._targets = targets

    def read(self, body: Any, current: Schedule | None = None, *, name: str | None = None) -> Definition:
        """A definition from a JSON value. Whether an instant is left is for the service to say, who knows the time.

        `current` is the schedule that it is to be the definition of: where it has secrets, masks stand for them.
        `name` is that of the path, where one is there: the body has the same one, or none.

        Raises MalformedRequestException and InvalidScheduleException, each with every wrong field.
        """
        refused = Refused()
        wire, timing = self._timed(body, name, refused)
        definition = self._definition(wire, timing, current, refused)
        refused.raise_any()
        return definition

    def check(self, body: Any, *, name: str) -> None:
        """Refuse what `read` refuses whatever is stored; of `retry` and the targets, whose masks stand for that, only
        what their types forbid.

        Raises as `read` does.
        """
        refused = Refused()
        self._timed(body, name, refused)
        refused.raise_any()

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
        found = await self._targets.address_problems(bodies)
        async for body, problems in in_turns(zip(bodies, found, strict=True)):
            try:
                definition = self.read(body)
                results.append(InvalidScheduleException.of_all(problems) if problems else definition)
            except ScheduleServiceException as refused:
                results.append(refused)
        return results

    def check_override(self, schedule: Schedule, context: Mapping[str, Any] | None) -> None:
        """Refuse runs whose own `context_data` lacks what the schedule's targets ask for, when they are told of it too.

        Raises InvalidScheduleException.
        """
        if context is None:
            return
        defined = schedule.definition
        missing = self._targets.problems_of_notices(defined, context)
        if defined.target is not None:
            missing += self._targets.problems_of(defined.target, self._targets.known(defined.completion, context))
        if missing:
            raise InvalidScheduleException.of_all(
                [
                    FieldProblem("context_data", f"context_data: the target asks for it, and {why}")
                    for why in dict.fromkeys(missing)
                ]
            )

    def _timed(self, body: Any, name: str | None, refused: Refused) -> tuple[ScheduleInput, Timing]:
        given = {field: value for field, value in require_object(body).items() if field not in READ_ONLY}
        if name is not None:
            _take_name(given, name, refused)
        wire = try_model(ScheduleInput, given, refused)
        if given.get("workflow_id") is None and given.get("target") is None:
            refused.value("workflow_id", "workflow_id is required, except with a target of its own")
        if wire is None:
            raise _error(refused)
        timing = self._timing.read(wire, refused)
        if timing is None:
            raise _error(refused)
        return wire, timing

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
            grace_period_seconds=given_or(wire.grace_period_seconds, settings.grace_period_seconds),
            coalesce=given_or(wire.coalesce, settings.scheduler_job_defaults_coalesce),
            max_instances=given_or(wire.max_instances, settings.scheduler_job_defaults_max_instances),
            overlap_policy=wire.overlap_policy or OverlapPolicy.SKIP,
            completion=completion,
            timeout_seconds=given_or(wire.timeout_seconds, settings.workflow_timeout_seconds),
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
        initial = given_or(wire.initial_backoff_seconds, _RETRY.initial_backoff_seconds)
        # A longer first wait than the default of the longest raises that with it.
        longest = given_or(wire.max_backoff_seconds, max(_RETRY.max_backoff_seconds, initial))
        if longest < initial:
            name = "retry.max_backoff_seconds"
            refused.value(
                name,
                f"{name} {longest:g} is less than initial_backoff_seconds {initial:g}: it must be at least as much",
            )
        return RetryPolicy(
            max_retries=given_or(wire.max_retries, self._settings.workflow_max_retries),
            initial_backoff_seconds=initial,
            max_backoff_seconds=longest,
            multiplier=given_or(wire.multiplier, _RETRY.multiplier),
            max_age_seconds=given_or(wire.max_age_seconds, _RETRY.max_age_seconds),
        )


def _take_name(given: dict[str, Any], name: str, refused: Refused) -> None:
    said = given.get("name")
    if isinstance(said, str) and said != name:
        refused.value("name", f"name '{said}' is not that of the path, '{name}': write the same one, or none")
    if said is None or isinstance(said, str):
        given["name"] = name


def _error(refused: Refused) -> ScheduleServiceException:
    error = refused.error()
    assert error is not None, "nothing was refused"
    return error
