"""From what a caller wants to try (a target written out, a schedule's, or an edit of that) to what is shown of it."""

from typing import Any
from uuid import UUID

from app.api.targets import TargetReader
from app.api.wire.base import Refused
from app.api.wire.trying import Outcome, TargetTestInput
from app.core.errors import FieldProblem, InvalidScheduleException
from app.core.schedule import Completion, Schedule
from app.delivery.answer import Meaning
from app.delivery.tried import Tried
from app.service.trying import Trial
from app.settings import Settings

_MEANING = {
    Meaning.TAKEN: Outcome.DELIVERED,
    Meaning.RETRY: Outcome.RETRY,
    Meaning.REFUSED: Outcome.FAILED,
    Meaning.GONE: Outcome.GONE,
}


class TrialReader:
    """Reads tests with the defaults of this service."""

    def __init__(self, settings: Settings, targets: TargetReader) -> None:
        self._timezone = settings.scheduler_timezone
        self._completion = Completion(settings.workflow_completion)
        self._targets = targets

    async def read(self, wire: TargetTestInput, schedule: Schedule | None) -> Trial:
        """What is to be tried; `schedule` is the one that the caller named.

        Raises InvalidScheduleException with every refused field, as at a creation.
        """
        if wire.target is None and schedule is None:
            raise InvalidScheduleException.of("target", "target is required, except with a schedule_id")
        refused = Refused()
        defined = None if schedule is None else schedule.definition
        completion = wire.completion or (self._completion if defined is None else defined.completion)
        context = wire.context_data
        if context is None:
            context = {} if defined is None else dict(defined.context_data)
        target = stored = None if defined is None else defined.target
        if wire.target is not None:
            target = self._targets.read(wire.target, "target", completion, context, stored, refused)
            if target is not None:
                urls = {"url": target.url, "cancel_url": target.cancel_url}
                (forbidden,) = await self._targets.address_problems([{"target": urls}])
                refused.values += forbidden
        elif stored is not None and (wire.context_data is not None or wire.completion is not None):
            missing = dict.fromkeys(self._targets.problems_of(stored, self._targets.known(completion, context)))
            refused.values += [FieldProblem("target", f"target: {why}") for why in missing]
        refused.raise_any()
        workflow_id = None if defined is None else defined.workflow_id
        return Trial(
            target=target,
            workflow_id=workflow_id if wire.workflow_id is None else UUID(wire.workflow_id),
            context_data=context,
            completion=completion,
            timezone=self._timezone if defined is None else defined.timezone,
            schedule=schedule,
        )


def tried_json(tried: Tried) -> dict[str, Any]:
    """What became of a request that was sent to try a target."""
    sent, reply = tried.request, tried.reply
    return {
        "meaning": _MEANING[tried.verdict.meaning],
        "error": tried.verdict.error,
        "duration_ms": tried.duration_ms,
        "request": None
        if sent is None
        else {"method": sent.method, "url": sent.url, "headers": dict(sent.headers), "body": _text(sent.body)},
        "response": None
        if reply is None
        else {"status": reply.status, "headers": reply.headers, "body": _text(reply.body)},
    }


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")
