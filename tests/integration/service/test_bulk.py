"""One action on all schedules that match: the same as on each by itself, in one transaction a part."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from structlog.testing import capture_logs

from app.core.errors import StateForbidsException
from app.core.execution import ExecutionStatus, Reason
from app.core.queries import Answer, Idempotency, ScheduleFilter
from app.core.schedule import Definition, Schedule, ScheduleStatus
from app.core.target import Target
from app.service import bulk, paging
from app.service.bulk import Because, BulkAction, BulkRequest, BulkResult
from app.service.transactions import Work, actor_of
from app.store import catalogue, ending
from tests.clocks import START
from tests.integration.calendars import calendar, keeps
from tests.integration.calendars import stored as stored_calendar
from tests.integration.definitions import cron, interval, one_time
from tests.integration.service.world import CALLER, STRANGER, World, ms
from tests.integration.store.rows import add_execution

MINUTE = timedelta(minutes=1)
TAGGED = ScheduleFilter(tag="x")
SOON_SECONDS = 3
"""Less than a caller of one schedule waits for its lock."""


async def act(
    world: World,
    action: BulkAction,
    wanted: ScheduleFilter = TAGGED,
    *,
    reason: str | None = None,
    limit: int = 500,
    cursor: str | None = None,
    dry_run: bool = False,
    idempotency: Idempotency | None = None,
) -> BulkResult:
    results: list[BulkResult] = []

    def answer(result: BulkResult) -> Answer:
        results.append(result)
        return Answer(200, {}, b"{}")

    request = BulkRequest(action, wanted, reason, limit, cursor, dry_run)
    await world.schedules.act_on_matching(CALLER, request, answer=answer, idempotency=idempotency)
    # Asked for once: its transaction was never the victim of a deadlock.
    (result,) = results
    return result


async def several(world: World, number: int, **fields: Any) -> list[Schedule]:
    """Hourly schedules with the tag, in the order of their ids."""
    created = [await world.create(interval(3600, tags=("x",), **fields)) for _ in range(number)]
    return sorted(created, key=lambda one: one.schedule_id)


def ids(schedules: list[Schedule]) -> tuple[UUID, ...]:
    return tuple(one.schedule_id for one in schedules)


def told(result: BulkResult) -> dict[UUID, Because]:
    return {one.schedule_id: one.because for one in result.left_alone}


async def statuses(world: World, schedules: list[Schedule]) -> list[ScheduleStatus]:
    return [(await world.schedules.get(CALLER, one.schedule_id)).status for one in schedules]


async def alone(world: World, action: BulkAction, schedule: Schedule, reason: str | None) -> None:
    """The same, by its own operation."""
    if action is BulkAction.PAUSE:
        await world.schedules.pause(CALLER, schedule.schedule_id, reason=reason)
    elif action is BulkAction.RESUME:
        await world.schedules.resume(CALLER, schedule.schedule_id, reason=reason)
    else:
        await world.schedules.remove(CALLER, schedule.schedule_id)


async def lives(world: World, tag: str) -> list[Schedule]:
    """A schedule in each kind of life that there is; afterwards it is six minutes past START."""

    def tagged(definition: Definition) -> Definition:
        return replace(definition, tags=(tag,))

    due = await world.create(tagged(interval(60)))
    later = await world.create(tagged(interval(3600, jitter_seconds=600)))
    keeping = await world.create(tagged(cron(**keeps("firm"))))
    skipping = await world.create(tagged(interval(3600)))
    await world.schedules.skip_next(CALLER, skipping.schedule_id, reason=None, expected_revision=None)
    once = await world.create(tagged(one_time(START + timedelta(days=1))))
    missed = await world.create(tagged(one_time(START + 5 * MINUTE)))
    paused = await world.create(tagged(interval(60)))
    stranded = await world.create(tagged(cron()))
    for one in (missed, paused, stranded):
        await world.schedules.pause(CALLER, one.schedule_id, reason="before")
    completed = await world.create(tagged(interval(60, max_executions=1)))
    failed = await world.create(tagged(interval(60)))
    await world.rows(
        "UPDATE workflow_schedules SET status = 'completed', completed_at = $2, next_execution_at = NULL, "
        "next_due_at = NULL, execution_count = 1 WHERE schedule_id = $1",
        completed.schedule_id,
        START,
    )
    await world.rows(
        "UPDATE workflow_schedules SET status = 'failed', next_execution_at = NULL, next_due_at = NULL "
        "WHERE schedule_id = $1",
        failed.schedule_id,
    )
    await world.rows(
        "UPDATE workflow_schedules SET timezone = 'Mars/Olympus' WHERE schedule_id = $1", stranded.schedule_id
    )
    async with world.database.transaction() as connection:
        for status in ("queued", "retrying", "pending", "running"):
            await add_execution(connection, schedule_id=due.schedule_id, status=status, wake_at=START)
    return [due, later, keeping, skipping, once, missed, paused, stranded, completed, failed]


async def left_behind(world: World, schedules: list[Schedule]) -> list[Any]:
    """All that is stored of schedules, but for what must differ: their ids, their tags, and what goes by their ids."""
    plain = "SELECT (to_jsonb(s) - '{schedule_id,id,tags,next_due_at}'::text[])::text FROM workflow_schedules s"
    found: list[Any] = []
    for one in schedules:
        row = await world.one(f"{plain} WHERE schedule_id = $1", one.schedule_id)
        runs = sorted(
            (run.status, str(run.reason), run.scheduled_for, run.covers_from, run.coalesced_count, run.finished_at)
            for run in await world.history(one.schedule_id)
        )
        audited = await world.rows(
            "SELECT action, reason, before::text, after::text FROM audit_log WHERE schedule_id = $1 ORDER BY audit_id",
            one.schedule_id,
        )
        kept = await world.rows(
            "SELECT revision, definition::text, superseded_at FROM schedule_revisions WHERE schedule_id = $1 "
            "ORDER BY revision",
            one.schedule_id,
        )
        uses = await world.one("SELECT count(*) FROM calendar_uses WHERE schedule_id = $1", one.schedule_id)
        trail = [(row[0], row[1], *map(_untagged, row[2:])) for row in audited]
        found.append((row and orjson.loads(row), runs, trail, [tuple(row) for row in kept], uses))
    return found


def _untagged(text: str | None) -> Any:
    shown = None if text is None else orjson.loads(text)
    if isinstance(shown, dict):
        shown.get("definition", shown).pop("tags", None)
    return shown


@pytest.mark.parametrize("action", list(BulkAction))
async def test_each_is_treated_exactly_as_by_its_own_operation(world: World, action: BulkAction) -> None:
    await stored_calendar(world.calendars, CALLER, calendar("firm", "2026-12-25"))
    singly, together = await lives(world, "one by one"), await lives(world, "x")
    world.clock.move(360)
    refused = set()
    for place, one in enumerate(singly):
        try:
            await alone(world, action, one, None if action is BulkAction.REMOVE else "why")
        except StateForbidsException:
            refused.add(together[place].schedule_id)
    result = await act(world, action, reason=None if action is BulkAction.REMOVE else "why")
    assert await left_behind(world, together) == await left_behind(world, singly)
    because = told(result)
    assert {one for one, why in because.items() if why is Because.STATE_FORBIDS} == refused
    assert bool(refused) == (action is not BulkAction.REMOVE)
    assert set(result.schedule_ids) | set(because) == set(ids(together))
    assert not set(result.schedule_ids) & set(because)
    assert result.next_cursor is None


async def test_what_each_is_left_alone_for_is_said_in_words(world: World) -> None:
    active, paused, completed, stranded = await several(world, 4)
    await world.schedules.pause(CALLER, paused.schedule_id, reason=None)
    await world.schedules.pause(CALLER, stranded.schedule_id, reason=None)
    await world.rows(
        "UPDATE workflow_schedules SET status = 'completed', completed_at = now(), next_execution_at = NULL, "
        "next_due_at = NULL WHERE schedule_id = $1",
        completed.schedule_id,
    )
    await world.rows("UPDATE workflow_schedules SET timezone = 'Mars' WHERE schedule_id = $1", stranded.schedule_id)
    await world.rows(
        "UPDATE workflow_schedules SET schedule_type = 'cron', cron_expression = '0 * * * *', interval_seconds = NULL "
        "WHERE schedule_id = $1",
        stranded.schedule_id,
    )
    result = await act(world, BulkAction.RESUME)
    assert [(one.schedule_id, one.detail.partition(":")[0]) for one in result.left_alone] == [
        (active.schedule_id, "it is active already"),
        (completed.schedule_id, "a completed schedule cannot be resumed"),
        (stranded.schedule_id, "the schedule cannot be computed"),
    ]
    assert result.schedule_ids == (paused.schedule_id,)


@pytest.mark.parametrize("action", list(BulkAction))
async def test_twice_changes_nothing(world: World, action: BulkAction) -> None:
    schedules = await several(world, 3)
    if action is BulkAction.RESUME:
        await act(world, BulkAction.PAUSE)
    first = await act(world, action)
    stored = await left_behind(world, schedules)
    again = await act(world, action)
    assert (first.schedule_ids, again.schedule_ids) == (ids(schedules), ())
    assert set(told(again).values()) == (set() if action is BulkAction.REMOVE else {Because.ALREADY})
    assert await left_behind(world, schedules) == stored


@pytest.mark.parametrize("action", list(BulkAction))
async def test_a_dry_run_names_the_same_and_changes_nothing(world: World, action: BulkAction) -> None:
    schedules = await several(world, 3)
    await world.schedules.pause(CALLER, schedules[1].schedule_id, reason=None)
    world.clock.move(7200)
    stored = await left_behind(world, schedules)
    with capture_logs() as lines:
        dry = await act(world, action, dry_run=True)
    assert await left_behind(world, schedules) == stored
    assert lines == []
    assert await act(world, action) == replace(dry, dry_run=False)


async def test_a_call_is_one_line_and_a_row_for_each_with_its_reason(world: World) -> None:
    await several(world, 3)
    with capture_logs() as lines:
        await act(world, BulkAction.PAUSE, reason="INC-7")
        await act(world, BulkAction.REMOVE, reason="obsolete")
    assert [(line["event"], line["category"], line["count"]) for line in lines] == [
        ("schedule_pause", "AUDIT", 3),
        ("schedule_remove", "AUDIT", 3),
    ]
    trail = await world.rows("SELECT action, reason FROM audit_log WHERE action <> 'schedule_create' ORDER BY audit_id")
    assert [tuple(row) for row in trail] == [("schedule_pause", "INC-7")] * 3 + [("schedule_remove", "obsolete")] * 3


async def test_what_is_resumed_or_active_already_is_put_into_the_wheel(world: World) -> None:
    paused, active = await several(world, 2)
    await world.schedules.pause(CALLER, paused.schedule_id, reason=None)
    await world.wheel.clear()
    await act(world, BulkAction.RESUME, dry_run=True)
    assert await world.due_in_wheel(active) is None
    await act(world, BulkAction.RESUME)
    for one in (paused, active):
        stored = await world.schedules.get(CALLER, one.schedule_id)
        assert await world.due_in_wheel(one) == ms(stored.next_due_at)


async def test_each_condition_narrows_the_others(world: World) -> None:
    a = await world.create(cron(name="job_a", tags=("x",), target=Target("https://Payments.example./pay")))
    b = await world.create(interval(60, name="job_b", tags=("x", "y"), target=Target("https://payments.example:8443/")))
    c = await world.create(one_time(START + timedelta(days=1), tags=("y",)))
    cases = [
        (ScheduleFilter(tag="x"), [a, b]),
        (ScheduleFilter(name_prefix="job_"), [a, b]),
        (ScheduleFilter(name_prefix="job_", tag="y"), [b]),
        (ScheduleFilter(target_hosts=("payments.example",)), [a]),
        (ScheduleFilter(target_hosts=("payments.example", "payments.example:8443")), [a, b]),
        (ScheduleFilter(target_hosts=("payments.example",), tag="y"), []),
        (ScheduleFilter(target_hosts=("payments.example",), of_engine=True), [a, c]),
        (ScheduleFilter(target_hosts=("engine.example",), of_engine=True), [c]),
        (ScheduleFilter(target_hosts=("engine.example",)), []),
        (ScheduleFilter(workflow_id=a.definition.workflow_id, schedule_type=c.definition.schedule_type), [c]),
        (ScheduleFilter(status=ScheduleStatus.ACTIVE), [a, b, c]),
        (ScheduleFilter(status=ScheduleStatus.PAUSED), []),
    ]
    for wanted, expected in cases:
        matched = (await act(world, BulkAction.PAUSE, wanted, dry_run=True)).schedule_ids
        assert set(matched) == set(ids(expected)), wanted


@pytest.mark.parametrize("few", [0, 10_000])
async def test_what_is_more_is_changed_part_by_part(world: World, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "FEW", few)
    schedules = await several(world, 5, target=Target("https://payments.example/"))
    other = await world.create(interval(60))
    here = ScheduleFilter(target_hosts=("payments.example",))
    parts: list[tuple[UUID, ...]] = []
    cursor: str | None = None
    while True:
        result = await act(world, BulkAction.PAUSE, here, limit=2, cursor=cursor)
        parts.append(result.schedule_ids)
        cursor = result.next_cursor
        if cursor is None:
            break
    assert parts == [ids(schedules[:2]), ids(schedules[2:4]), ids(schedules[4:])]
    assert await statuses(world, [other]) == [ScheduleStatus.ACTIVE]


async def test_the_few_of_a_host_are_found_by_one_call_however_many_others_there_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "_WINDOWS", (1,))
    await several(world, 3)
    few = await several(world, 3, target=Target("https://payments.example/"))
    here = ScheduleFilter(target_hosts=("payments.example",))
    result = await act(world, BulkAction.PAUSE, here)
    assert (result.schedule_ids, result.next_cursor) == (ids(few), None)


async def test_another_communitys_schedules_are_not_met(world: World) -> None:
    theirs = await world.create(interval(60, tags=("x",)), STRANGER)
    for action in BulkAction:
        result = await act(world, action)
        assert (result.schedule_ids, result.left_alone) == ((), ())
    assert await world.schedules.get(STRANGER, theirs.schedule_id) == theirs
    async with world.database.transaction() as connection:
        named = await catalogue.lock(connection, 1, TAGGED, [theirs.schedule_id])
        assert (named.schedules, named.held) == ([], [])


@pytest.mark.parametrize("action", list(BulkAction))
async def test_one_that_another_has_locked_is_told_and_holds_up_no_other(world: World, action: BulkAction) -> None:
    schedules = await several(world, 3)
    if action is BulkAction.RESUME:
        await act(world, BulkAction.PAUSE)
    locked = schedules[1].schedule_id
    async with world.database.transaction() as another:
        await another.execute("SELECT FROM workflow_schedules WHERE schedule_id = $1 FOR UPDATE", locked)
        async with asyncio.timeout(SOON_SECONDS):
            result = await act(world, action)
    assert result.schedule_ids == (schedules[0].schedule_id, schedules[2].schedule_id)
    assert told(result) == {locked: Because.LOCKED}
    assert locked in (await act(world, action)).schedule_ids


@pytest.mark.parametrize("action", list(BulkAction))
@pytest.mark.parametrize("dry_run", [False, True])
async def test_one_that_cannot_be_read_is_told_and_holds_up_no_other(
    world: World, action: BulkAction, dry_run: bool
) -> None:
    first, odd, held = await several(world, 3)
    if action is BulkAction.RESUME:
        await act(world, BulkAction.PAUSE)
    await world.rows("UPDATE workflow_schedules SET overlap_policy = 'odd' WHERE schedule_id = $1", odd.schedule_id)
    if not dry_run:
        # Where one is locked, the others are read in another way.
        async with world.database.transaction() as another:
            await another.execute("SELECT FROM workflow_schedules WHERE schedule_id = $1 FOR UPDATE", held.schedule_id)
            result = await act(world, action, limit=3)
        assert result.schedule_ids == ids([first])
        assert told(result) == {odd.schedule_id: Because.UNREADABLE, held.schedule_id: Because.LOCKED}
    result = await act(world, action, dry_run=dry_run)
    assert result.schedule_ids == ids([first, held] if dry_run else [held])
    assert told(result)[odd.schedule_id] is Because.UNREADABLE


@pytest.mark.parametrize("schedule_too", [False, True])
async def test_one_whose_waiting_run_another_has_locked_is_not_removed(world: World, schedule_too: bool) -> None:
    schedules = await several(world, 4)
    async with world.database.transaction() as connection:
        runs = [
            await add_execution(connection, schedule_id=one.schedule_id, status="queued", wake_at=START)
            for one in schedules
        ]
    held = schedules[1 : 3 if schedule_too else 2]
    async with world.database.transaction() as another:
        await another.execute("SELECT FROM executions WHERE execution_id = $1 FOR UPDATE", runs[1])
        await another.execute(
            "SELECT FROM workflow_schedules WHERE schedule_id = ANY($1::uuid[]) FOR UPDATE", ids(held[1:])
        )
        async with asyncio.timeout(SOON_SECONDS):
            result = await act(world, BulkAction.REMOVE)
    assert result.schedule_ids == tuple(one.schedule_id for one in schedules if one not in held)
    assert told(result) == {one.schedule_id: Because.LOCKED for one in held}
    shown = [(await world.executions.get(CALLER, run)).status for run in runs]
    assert shown == [ExecutionStatus.QUEUED if one in held else ExecutionStatus.CANCELLED for one in schedules]
    assert (await act(world, BulkAction.REMOVE)).schedule_ids == ids(held)


async def test_one_that_is_locked_for_a_moment_is_waited_for(world: World) -> None:
    schedules = await several(world, 3)
    async with world.database.transaction() as another:
        await another.execute(
            "SELECT FROM workflow_schedules WHERE schedule_id = $1 FOR UPDATE", schedules[1].schedule_id
        )
        acting = asyncio.create_task(act(world, BulkAction.PAUSE))
        await world.somebody_waits_for_a_lock()
    result = await acting
    assert (result.schedule_ids, result.left_alone) == (ids(schedules), ())


async def test_one_that_is_changed_while_it_is_waited_for_and_matches_no_more_is_let_be(world: World) -> None:
    untagged, removed, renamed = await several(world, 3)
    async with world.database.transaction() as another:
        await another.execute("UPDATE workflow_schedules SET tags = '{}' WHERE schedule_id = $1", untagged.schedule_id)
        await another.execute("DELETE FROM workflow_schedules WHERE schedule_id = $1", removed.schedule_id)
        await another.execute("UPDATE workflow_schedules SET name = 'n' WHERE schedule_id = $1", renamed.schedule_id)
        acting = asyncio.create_task(act(world, BulkAction.PAUSE))
        await world.somebody_waits_for_a_lock()
    result = await acting
    assert (result.schedule_ids, result.left_alone) == ((renamed.schedule_id,), ())
    assert await statuses(world, [untagged]) == [ScheduleStatus.ACTIVE]


async def test_only_the_locks_themselves_are_waited_for_briefly(world: World) -> None:
    ids = [one.schedule_id for one in await several(world, 2)]
    asked = "SHOW lock_timeout"
    async with world.database.transaction() as connection:
        as_usual = await connection.fetchval(asked)
        await catalogue.lock(connection, CALLER.community_id, TAGGED, ids)
        assert await connection.fetchval(asked) == as_usual
        assert await ending.lock_waiting(connection, CALLER.community_id, ids) == set()
        assert await connection.fetchval(asked) == as_usual != "500ms"


async def test_schedules_are_locked_in_the_order_of_their_ids_and_before_any_run(world: World) -> None:
    first, second = await several(world, 2)
    async with world.database.transaction() as connection:
        for one in (first, second):
            await add_execution(connection, schedule_id=one.schedule_id, status="queued", wake_at=START)
        # It now stands elsewhere in the table than in the order of the ids.
        await connection.execute("UPDATE workflow_schedules SET name = 'a' WHERE schedule_id = $1", first.schedule_id)
    async with world.database.transaction() as another:
        await another.execute("SELECT FROM workflow_schedules WHERE schedule_id = $1 FOR UPDATE", first.schedule_id)
        acting = asyncio.create_task(act(world, BulkAction.REMOVE))
        await world.somebody_waits_for_a_lock()
        free = await world.rows("SELECT schedule_id FROM workflow_schedules FOR UPDATE SKIP LOCKED")
        assert [row[0] for row in free] == [second.schedule_id]
        assert len(await world.rows("SELECT FROM executions FOR UPDATE SKIP LOCKED")) == 2
    assert (await acting).schedule_ids == ids([first, second])


async def test_a_removal_of_many_locks_their_runs_in_one_order(world: World) -> None:
    first, second = await several(world, 2)
    async with world.database.transaction() as connection:
        runs = [
            await add_execution(
                connection, schedule_id=one.schedule_id, status="queued", wake_at=START, at=START + number * MINUTE
            )
            for number, one in enumerate((second, first, second, first))
        ]
    async with world.database.transaction() as another:
        await another.execute("SELECT FROM executions WHERE execution_id = $1 FOR UPDATE", runs[2])
        acting = asyncio.create_task(act(world, BulkAction.REMOVE))
        await world.somebody_waits_for_a_lock()
        free = await world.rows("SELECT execution_id FROM executions FOR UPDATE SKIP LOCKED")
        assert [row[0] for row in free] == [runs[3]]
    assert (await acting).schedule_ids == ids([first, second])


async def test_a_removal_cancels_so_many_runs_and_leaves_the_rest_to_the_next_call(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "MOST_CANCELLED", 4)
    schedules = await several(world, 4)
    async with world.database.transaction() as connection:
        for one, waiting in zip(schedules, (2, 2, 5, 0), strict=True):
            for _ in range(waiting):
                await add_execution(connection, schedule_id=one.schedule_id, status="queued", wake_at=START)
    dry = await act(world, BulkAction.REMOVE, dry_run=True)
    first = await act(world, BulkAction.REMOVE)
    assert first.schedule_ids == ids(schedules[:2])
    assert first.next_cursor is not None
    assert (dry.schedule_ids, dry.next_cursor) == (first.schedule_ids, first.next_cursor)
    # More than that of one alone is cancelled: it could never be removed otherwise.
    second = await act(world, BulkAction.REMOVE, cursor=first.next_cursor)
    assert second.schedule_ids == ids(schedules[2:3])
    third = await act(world, BulkAction.REMOVE, cursor=second.next_cursor)
    assert (third.schedule_ids, third.next_cursor) == (ids(schedules[3:]), None)


async def test_what_fails_on_the_way_leaves_nothing_half_done(world: World) -> None:
    schedules = await several(world, 3)
    world.clock.move(7200)
    stored = await left_behind(world, schedules)

    def answer(_: BulkResult) -> Answer:
        raise RuntimeError("no answer")

    for action in (BulkAction.PAUSE, BulkAction.REMOVE):
        request = BulkRequest(action, TAGGED, None, 500, None, dry_run=False)
        with pytest.raises(RuntimeError):
            await world.schedules.act_on_matching(CALLER, request, answer=answer, idempotency=None)
    assert await left_behind(world, schedules) == stored


@pytest.mark.parametrize("action", list(BulkAction))
async def test_a_hundred_cost_as_many_statements_as_two(world: World, action: BulkAction) -> None:
    counted: list[int] = []
    for number in (2, 100):
        await several(world, number)
        if action is BulkAction.RESUME:
            await act(world, BulkAction.PAUSE)
        asked: list[str] = []
        async with world.database.connection() as connection:
            with connection.query_logger(lambda query, asked=asked: asked.append(query.query)):
                async with connection.transaction():
                    work = Work(connection, actor_of(CALLER), world.clock)
                    request = BulkRequest(action, TAGGED, None, 500, None, dry_run=False)
                    result = await bulk.act(work, request)
        assert len(result.schedule_ids) == number
        counted.append(len(asked))
        await act(world, BulkAction.REMOVE)
    assert counted[0] == counted[1] < 20


async def test_calls_beside_each_other_and_beside_workers_lose_nothing(world: World) -> None:
    schedules = await several(world, 40)
    due = [await world.create(interval(60, tags=("x",))) for _ in range(20)]
    world.clock.move(90)
    everyone = [*schedules, *due]

    async def work() -> None:
        for one in due:
            await world.look(one)

    async def one_by_one(action: BulkAction) -> None:
        for one in reversed(everyone):
            await alone(world, action, one, "alone")

    results = await asyncio.gather(
        *(act(world, action, limit=limit) for action in (BulkAction.PAUSE, BulkAction.RESUME) for limit in (500, 30)),
        *(one_by_one(action) for action in (BulkAction.PAUSE, BulkAction.RESUME)),
        work(),
    )
    changed = [result for result in results if isinstance(result, BulkResult)]
    assert len(changed) == 4
    # Each change has raised the revision by one, has its row in the audit and has kept what it superseded.
    for one in everyone:
        stored = await world.schedules.get(CALLER, one.schedule_id)
        audited = await world.one(
            "SELECT count(*) FROM audit_log WHERE schedule_id = $1 AND action <> 'schedule_create'", one.schedule_id
        )
        kept = await world.one("SELECT count(*) FROM schedule_revisions WHERE schedule_id = $1", one.schedule_id)
        assert stored.revision - 1 == audited == kept
        assert (stored.next_due_at is None) == (stored.status is ScheduleStatus.PAUSED)
    # What had passed is recorded once, whoever came first: fired by the worker, or skipped by a pause.
    for one in due:
        runs = await world.history(one.schedule_id)
        assert [run.scheduled_for for run in runs] == [START + MINUTE]
        assert runs[0].status is ExecutionStatus.PENDING or runs[0].reason == Reason.PAUSED


async def test_two_removals_at_once_remove_each_once(world: World) -> None:
    schedules = await several(world, 30)
    async with world.database.transaction() as connection:
        for number in range(90):
            at, whose = START + number * MINUTE, schedules[number * 7 % 30].schedule_id
            await add_execution(connection, schedule_id=whose, status="retrying", wake_at=START, at=at)

    async def of_half(tag: str) -> BulkResult:
        return await act(world, BulkAction.REMOVE, ScheduleFilter(tag=tag))

    for one in schedules[::2]:
        await world.change(one, replace(one.definition, tags=("x", "y")))
    results = await asyncio.gather(*(of_half(tag) for tag in "xyxy"))
    removed = [one for result in results for one in result.schedule_ids]
    assert sorted(removed) == list(ids(schedules))
    assert await world.one("SELECT count(*) FROM audit_log WHERE action = 'schedule_remove'") == 30
    assert await world.one("SELECT count(*) FROM executions WHERE status = 'cancelled'") == 90
