"""How soon a queued run starts after the one before it has ended: a backfill, one run at a time.

The receiver answers at once, so that the time between two arrivals is one turn: the answer, settle, wake, claim, look.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import quantiles
from uuid import uuid4

from app.core.occurrences import ScheduleType
from app.core.principal import Principal, Role
from app.core.queries import Answer
from app.core.schedule import AfterCompletion, Completion, Definition, OverlapPolicy, RetryPolicy, Schedule
from app.service.backfilling import BackfillRequest
from app.service.schedules import ScheduleService
from app.store.database import Database
from app.wheel.connection import connect
from app.wheel.wheel import Wheel
from bench.stack import Stack

_CALLER = Principal(community_id=1, user="bench", role=Role.ADMIN)


async def turns(stack: Stack, *, runs: int) -> dict[str, float]:
    """Milliseconds between the arrivals of runs that wait for each other, with one worker."""
    database = await Database.open(stack.database_url, pool_size=2)
    wheel = Wheel(connect(stack.redis_url), stack.clock, shards=16, window_seconds=3600, claim_ahead_ms=50)
    schedules = ScheduleService(database, wheel, stack.clock)
    created: list[Schedule] = []

    def keep(schedule: Schedule) -> Answer:
        created.append(schedule)
        return Answer(201, {}, b"")

    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    await schedules.create(_CALLER, _daily(), answer=keep, idempotency=None)
    asked = BackfillRequest(start, start + timedelta(days=runs), 1, dry_run=False, context_override=None)
    async with stack.workers(1):
        await schedules.backfill(
            _CALLER,
            created[0].schedule_id,
            asked,
            answer=lambda _: Answer(202, {}, b""),
            idempotency=None,
        )
        arrivals = await stack.arrivals(runs)
    await wheel.close()
    await database.close()
    # All are due at the moment of the request, so that lateness is the time of arrival.
    times = sorted(arrival.late_ms for arrival in arrivals)
    cut = quantiles([later - earlier for earlier, later in pairwise(times)], n=100)
    return {"p50_ms": cut[49], "p99_ms": cut[98]}


def _daily() -> Definition:
    return Definition(
        workflow_id=uuid4(),
        schedule_type=ScheduleType.CRON,
        timezone="UTC",
        cron_expression="0 12 * * *",
        interval_seconds=None,
        scheduled_time=None,
        start_at=None,
        end_at=None,
        jitter_seconds=0,
        name=None,
        description=None,
        max_executions=None,
        grace_period_seconds=900,
        coalesce=True,
        max_instances=1,
        overlap_policy=OverlapPolicy.QUEUE,
        completion=Completion.RESPONSE,
        timeout_seconds=3600,
        retry=RetryPolicy(),
        after_completion=AfterCompletion.KEEP,
    )
