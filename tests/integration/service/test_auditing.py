"""The trail that every change leaves: an audit row in its transaction, a log line after it."""

import asyncio

import orjson
import pytest
from structlog.testing import capture_logs

from app.core.errors import StateForbidsException, StoreUnavailableException
from app.core.principal import Role
from app.store.database import Database
from tests.clocks import START
from tests.integration.definitions import cron, interval
from tests.integration.service.world import CALLER, STRANGER, World, accepted, listed


async def test_every_change_says_who_what_and_why(world: World) -> None:
    schedule = await world.create(cron(name="old"))
    await world.change(schedule, cron(name="new"))
    await world.schedules.pause(CALLER, schedule.schedule_id, reason="because")
    await world.schedules.resume(CALLER, schedule.schedule_id, reason="again")
    run = await world.trigger(schedule)
    await world.executions.cancel(CALLER, run.execution_id, reason="wrong")
    await world.schedules.remove(CALLER, schedule.schedule_id)
    rows = await world.rows("SELECT * FROM audit_log ORDER BY audit_id")
    assert [(row["action"], row["reason"]) for row in rows] == [
        ("schedule_create", None),
        ("schedule_update", None),
        ("schedule_pause", "because"),
        ("schedule_resume", "again"),
        ("schedule_triggered", None),
        ("execution_cancel", "wrong"),
        ("schedule_remove", None),
    ]
    for row in rows:
        assert (row["community_id"], row["user_id"], row["role"]) == (1, "ada", "admin")
        assert (row["request_id"], row["schedule_id"], row["at"]) == ("request-1", schedule.schedule_id, START)
    assert [row["execution_id"] for row in rows[4:6]] == [run.execution_id] * 2
    update = rows[1]
    assert orjson.loads(update["before"])["definition"]["name"] == "old"
    assert orjson.loads(update["after"])["definition"]["name"] == "new"
    assert orjson.loads(update["after"])["revision"] == 2
    assert orjson.loads(rows[2]["after"])["status_reason"] == "because"


async def test_a_change_is_logged_as_audit_without_what_it_holds(world: World) -> None:
    with capture_logs() as lines:
        schedule = await world.create(cron(context_data={"password": "hunter2"}))
        await world.trigger(schedule, context={"password": "hunter3"})
    assert [line["event"] for line in lines] == ["schedule_create", "schedule_triggered"]
    created = lines[0]
    assert (created["category"], created["log_level"], created["result"]) == ("AUDIT", "info", "success")
    assert (created["community"], created["user"], created["request_id"]) == (1, "ada", "request-1")
    assert created["schedule_id"] == str(schedule.schedule_id)
    assert "hunter" not in str(lines)


async def test_a_batch_is_one_line_and_one_row_for_each(world: World) -> None:
    with capture_logs() as lines:
        await world.schedules.create_batch(CALLER, [cron(), interval(5)], atomic=True, answer=listed, idempotency=None)
    assert [(line["event"], line["count"]) for line in lines] == [("schedule_create", 2)]
    assert await world.one("SELECT count(*) FROM audit_log") == 2


async def test_what_is_refused_is_neither_audited_nor_logged(world: World) -> None:
    run = await world.trigger(await world.create(cron()))
    with capture_logs() as lines, pytest.raises(StateForbidsException):
        await world.executions.retry(CALLER, run.execution_id, answer=accepted, idempotency=None)
    assert lines == []
    assert await world.one("SELECT count(*) FROM audit_log") == 2


async def test_keys_leave_a_trail_in_their_community(world: World) -> None:
    key = await world.keys.create(7, Role.ADMIN, user=None, name="ci", expires_at=None)
    await world.keys.revoke(key)
    rows = await world.rows("SELECT community_id, user_id, action FROM audit_log ORDER BY audit_id")
    assert [tuple(row) for row in rows] == [(7, "command line", "key_create"), (7, "command line", "key_revoke")]


async def test_a_transaction_that_is_repeated_is_audited_and_logged_once(world: World) -> None:
    schedule = await world.create(cron())
    run = await world.trigger(schedule)
    await world.rows("UPDATE executions SET status = 'retrying'")
    with capture_logs() as lines:
        async with world.database.transaction() as connection:
            await connection.execute("SET LOCAL deadlock_timeout = '4s'")
            await connection.execute(
                "SELECT FROM executions WHERE execution_id = $1 FOR NO KEY UPDATE", run.execution_id
            )
            removal = asyncio.create_task(world.schedules.remove(CALLER, schedule.schedule_id))
            await world.somebody_waits_for_a_lock()
            await connection.execute("SELECT FROM workflow_schedules FOR NO KEY UPDATE")
        await removal
    assert [line["event"] for line in lines] == ["schedule_remove"]


async def test_a_database_that_is_away_is_said_so(world: World, database_url: str) -> None:
    database = await Database.open(database_url)
    await database.close()
    away = World(database, world.wheel, world.clock)
    with pytest.raises(StoreUnavailableException):
        await away.create(cron(), STRANGER)
