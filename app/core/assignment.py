"""An execution that this worker owns and is to deliver: all that one attempt needs."""

from datetime import datetime
from uuid import UUID

from app.core.execution import Trigger
from app.core.schedule import Completion, RetryPolicy
from app.core.target import Target, host_of, origin_of
from app.core.values import value

_NOTICES = frozenset({Trigger.FAILURE.value, Trigger.CANCEL.value})


@value
class Assignment:
    """One attempt of one execution, as it was taken by an owner under the fence `attempt`.

    `context_json` is the encoded `context_data` (or a manual run's override). `failures` counts the settled failures
    before this attempt, since the last fresh budget; `retry_since` is when that budget began. `revision` is that of the
    definition that the attempt sends, and with it `target` (null: the configured workflow engine), `completion` and
    `timeout_seconds`: how long it may take from a target's 2xx to its report.
    """

    execution_id: UUID
    recorded_for: datetime
    schedule_id: UUID
    community_id: int
    workflow_id: UUID | None
    trigger: str
    scheduled_for: datetime
    due_ms: int
    coalesced_count: int
    last_scheduled_for: datetime | None
    next_execution_at: datetime | None
    timezone: str
    context_json: str
    retry: RetryPolicy
    completion: Completion
    timeout_seconds: int
    retry_since: datetime
    revision: int
    owner: UUID
    attempt: int
    failures: int
    target: Target | None = None

    @property
    def is_notice(self) -> bool:
        """Whether it tells of a run, and is none."""
        return self.trigger in _NOTICES

    @property
    def host(self) -> str | None:
        """Which host it is sent to; null for the configured workflow engine."""
        return None if self.target is None else host_of(self._url(self.target))

    @property
    def origin(self) -> str | None:
        """Where it is sent to: scheme, host and port; null for the configured workflow engine."""
        return None if self.target is None else origin_of(self._url(self.target))

    def _url(self, target: Target) -> str:
        return target.cancel_url if self.tells_target and target.cancel_url else target.url

    @property
    def tells_target(self) -> bool:
        """Whether it tells its target's `cancel_url` that a run was cancelled."""
        return self.trigger == Trigger.CANCEL
