"""Trying a target: one request now, as a delivery would send it, of an execution that never was. Nothing is stored."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog

from app.core.assignment import Assignment
from app.core.clock import Clock, to_ms
from app.core.errors import StateForbidsException, TooManyAtOnceException
from app.core.ids import execution_id, new_id
from app.core.principal import Principal
from app.core.schedule import Completion, Schedule
from app.core.target import Target, host_of
from app.delivery.sample import sample_assignment
from app.delivery.sender import Sender
from app.delivery.tried import Tried
from app.store.refusals import json_text

MOST_AT_ONCE = 16
MOST_AT_ONCE_OF_COMMUNITY = 4
"""Tests that one process has under way: a target may keep each waiting for as long as a delivery."""
TRIGGER = "test"
_NEXT = timedelta(hours=1)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Trial:
    """What is to be tried. A null `target` is the workflow engine.

    `schedule` is the one that the request is to look like one of; it need not have this target.
    """

    target: Target | None
    workflow_id: UUID | None
    context_data: Mapping[str, Any]
    completion: Completion
    timezone: str
    schedule: Schedule | None = None


class TargetTester:
    """Tries targets, a few at once."""

    def __init__(self, sender: Sender, clock: Clock, *, engine_url: str) -> None:
        self._sender = sender
        self._clock = clock
        self._engine_url = engine_url
        self._under_way: Counter[int] = Counter()

    async def test(self, principal: Principal, trial: Trial) -> Tried:
        """Send it. Whatever the target does, this answers, within `TRIGGER_REQUEST_TIMEOUT_SECONDS`.

        Raises TooManyAtOnceException, StateForbidsException where it is for a workflow engine that is not configured,
        and InvalidScheduleException for variables that are no JSON as others read it.
        """
        if trial.target is None and not self._engine_url:
            raise StateForbidsException(
                "the schedule has no target of its own, and this process knows no workflow engine: "
                "set WORKFLOW_ENGINE_URL where the API runs, too"
            )
        assignment = self._assignment(principal, trial)
        with self._place(principal.community_id):
            # Before it is sent: nothing leaves that is not told.
            log.info(
                "target_test",
                category="AUDIT",
                community=principal.community_id,
                user=principal.user,
                action="target_test",
                result="sending",
                request_id=principal.request_id,
                host=host_of(self._engine_url) if trial.target is None else trial.target.host,
                execution_id=str(assignment.execution_id),
                schedule_id=None if trial.schedule is None else str(trial.schedule.schedule_id),
            )
            return await self._sender.try_out(assignment)

    def _assignment(self, principal: Principal, trial: Trial) -> Assignment:
        now, schedule = self._clock.now(), trial.schedule
        # Of no schedule: no execution has this id, nor ever will, and a callback token of it opens nothing.
        run_id = execution_id(new_id(to_ms(now)), now, now)
        fields: dict[str, Any] = {"next_execution_at": now + _NEXT}
        if schedule is not None:
            fields = {
                "schedule_id": schedule.schedule_id,
                "last_scheduled_for": schedule.last_execution_at,
                "next_execution_at": schedule.next_execution_at,
                "revision": schedule.revision,
            }
        return sample_assignment(
            execution_id=run_id,
            recorded_for=now,
            community_id=principal.community_id,
            workflow_id=trial.workflow_id,
            trigger=TRIGGER,
            scheduled_for=now,
            due_ms=to_ms(now),
            timezone=trial.timezone,
            context_json=json_text("context_data", trial.context_data),
            completion=trial.completion,
            retry_since=now,
            target=trial.target,
            **fields,
        )

    @contextmanager
    def _place(self, community_id: int) -> Iterator[None]:
        if self._under_way[community_id] >= MOST_AT_ONCE_OF_COMMUNITY or self._under_way.total() >= MOST_AT_ONCE:
            raise TooManyAtOnceException(
                f"{MOST_AT_ONCE_OF_COMMUNITY} tests of a community, {MOST_AT_ONCE} in all, may be under way at once"
            )
        self._under_way[community_id] += 1
        try:
            yield
        finally:
            self._under_way[community_id] -= 1
            if not self._under_way[community_id]:
                del self._under_way[community_id]
