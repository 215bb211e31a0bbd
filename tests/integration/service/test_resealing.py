"""Key rotation: every stored secret is sealed anew, whoever changes what meanwhile, and nothing else changes."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import uuid4

import orjson
import pytest

from app.core.errors import StoreUnavailableException
from app.core.schedule import Definition, Schedule
from app.core.sealing import Sealed, SecretBox, UnknownKeyException
from app.core.target import Target, bound_to
from app.service import resealing
from app.service.resealing import Resealed, Resealer
from app.store.resealing import REVISIONS, SCHEDULES
from tests.integration.definitions import cron
from tests.integration.service.world import CALLER, STRANGER, World

OLD = "the older key which has more than 32 characters"
NEW = "the newer key which has more than 32 characters"
GONE = "a key that nobody has any more and of 32 characters"
BOXES = {key: SecretBox.from_setting(key) for key in (OLD, NEW, GONE, "")}
BOTH = SecretBox.from_setting(f"{NEW},{OLD}")
URL = "https://Hooks.example:8443/{{ execution_id }}"
# Numbers that an encoder might write otherwise.
ODD = {"n": 1.10, "large": 12345678901234567, "text": "é\u2028", "list": [None, True]}


def target(key: str, url: str = URL, **headers: str) -> Target:
    """A target whose headers are sealed with a key, or none."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sealed = {name: BOXES[key].seal(value, bound_to(url, name)) for name, value in named.items()}
    return Target(url, headers=sealed, body=ODD, cancel_url="https://hooks.example/cancel")


def resealer(world: World, box: SecretBox = BOTH) -> Resealer:
    return Resealer(world.database, box)


def opened(stored: dict[str, Any], box: SecretBox) -> dict[str, str]:
    return {name: box.open(Sealed(text), bound_to(stored["url"], name)) for name, text in stored["headers"].items()}


async def stored(world: World) -> list[dict[str, Any]]:
    """All targets that any row has."""
    rows = await world.rows(
        """
        SELECT target, failure_target FROM workflow_schedules UNION ALL
        SELECT definition -> 'target', definition -> 'failure_target' FROM schedule_revisions
        """
    )
    return [found for row in rows for text in row if text is not None and (found := orjson.loads(text)) is not None]


async def everything_else(world: World) -> list[str]:
    """All rows of all tables that hold or tell of schedules, without the values of headers."""
    parts = []
    for table in ("workflow_schedules", "schedule_revisions", "audit_log"):
        parts += [
            row[0]
            for row in await world.rows(
                f"""SELECT regexp_replace(t::text, '(v1:[0-9a-f]+:[A-Za-z0-9_=-]+|plain:[a-z0-9-]+)', '*', 'g')
                      FROM {table} t ORDER BY 1"""
            )
        ]
    return parts


async def test_every_secret_is_sealed_with_the_newest_key_and_nothing_else_changes(world: World) -> None:
    definition = cron(target=target(OLD, Authorization="a", x_two="b"), failure_target=target("", X="plain-c"))
    schedule = await world.create(definition)
    await world.create(cron(failure_target=target(OLD, X="theirs")), STRANGER)
    await world.create(cron())
    await world.create(cron(target=Target(URL)))
    await world.create(cron(target=target(NEW, X="new")))
    # A superseded definition, and that of a removed schedule.
    await world.change(schedule, replace(definition, target=target(OLD, Authorization="changed")))
    removed = await world.create(cron(target=target("", X="removed")))
    await world.schedules.remove(CALLER, removed.schedule_id)
    before = await everything_else(world)
    newest = next(one for one in await stored(world) if "new" in str(opened(one, BOTH)))

    assert await resealer(world).reseal() == Resealed(values=7)
    assert await everything_else(world) == before
    after = await stored(world)
    texts = [text for one in after for text in one["headers"].values()]
    assert {Sealed(text).key_id for text in texts} == {BOXES[NEW].newest_key_id}
    secrets = sorted(value for one in after for value in opened(one, BOXES[NEW]).values())
    assert secrets == ["a", "b", "changed", "new", "plain-c", "plain-c", "removed", "theirs"]
    assert newest in after
    assert await resealer(world).reseal() == Resealed()


async def test_a_check_counts_by_key_and_changes_nothing(world: World) -> None:
    for box_key, number in ((OLD, 2), (NEW, 3), ("", 1), (GONE, 4)):
        for _ in range(number):
            await world.create(cron(target=target(box_key, A="a", B="b")))
    before = await stored(world)
    assert await resealer(world).count() == Counter(
        {BOXES[OLD].newest_key_id: 4, BOXES[NEW].newest_key_id: 6, None: 2, BOXES[GONE].newest_key_id: 8}
    )
    assert await stored(world) == before


async def test_what_does_not_open_is_counted_and_left_alone(world: World) -> None:
    lost = target(GONE, A="lost", B="lost-too")
    mixed = replace(lost, headers={**lost.headers, **target(OLD, C="kept").headers})
    schedule = await world.create(cron(target=mixed))
    # Moved by hand from another host, and no sealed value at all.
    moved = target(OLD, "https://other.example/", X="moved").headers["X"].stored
    by_hand = await world.create(cron(target=target(OLD, X="x", Y="y")))
    await world.rows(
        "UPDATE workflow_schedules SET target = jsonb_set(target, '{headers}', $2::jsonb) WHERE schedule_id = $1",
        by_hand.schedule_id,
        orjson.dumps({"X": moved, "Y": "v1", "Z": f"v1:{BOXES[OLD].newest_key_id}:é"}).decode(),
    )
    assert await resealer(world).reseal() == Resealed(values=1, unopened=5)
    now = await world.schedules.get(CALLER, schedule.schedule_id)
    assert now.definition.target is not None
    headers = now.definition.target.headers
    assert {name: headers[name] for name in "AB"} == dict(lost.headers)
    assert BOXES[NEW].open(headers["C"], bound_to(URL, "C")) == "kept"
    with pytest.raises(UnknownKeyException):
        BOTH.open(headers["A"], bound_to(URL, "A"))
    assert await resealer(world).reseal() == Resealed(unopened=5)


async def test_it_goes_through_many_rows_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resealing, "_PAGE", 7)
    monkeypatch.setattr(resealing, "_CHUNK", 3)
    schedules = [await world.create(cron(target=target(OLD, X=f"secret {n}") if n % 3 else None)) for n in range(40)]
    for schedule in schedules[::2]:
        await world.change(schedule, replace(schedule.definition, description="changed"))
    assert (await resealer(world).count()).total() == 39
    assert (await resealer(world).reseal()).values == 39
    assert await resealer(world).count() == {BOXES[NEW].newest_key_id: 39}


def changing(headers: Target) -> Any:
    def edit(current: Schedule) -> Definition:
        return replace(current.definition, target=headers)

    return edit


async def test_a_change_that_is_under_way_is_waited_for_and_not_overwritten(world: World) -> None:
    schedule = await world.create(cron(target=target(OLD, X="before")))
    async with world.database.transaction() as connection:
        # A caller's change: its old definition is kept, the new one sealed by a process that has the old key alone.
        await connection.execute(
            "SELECT FROM workflow_schedules WHERE schedule_id = $1 FOR NO KEY UPDATE", schedule.schedule_id
        )
        resealing_now = asyncio.create_task(resealer(world).reseal())
        await world.somebody_waits_for_a_lock()
        await connection.execute(
            "UPDATE workflow_schedules SET target = jsonb_set(target, '{headers,X}', $2::jsonb) WHERE schedule_id = $1",
            schedule.schedule_id,
            orjson.dumps(target(OLD, X="after").headers["X"].stored).decode(),
        )
    assert await resealing_now == Resealed(values=1)
    (found,) = await stored(world)
    assert opened(found, BOXES[NEW]) == {"X": "after"}


async def test_a_schedule_that_is_removed_meanwhile_is_sealed_where_it_is_kept(world: World) -> None:
    schedule = await world.create(cron(target=target(OLD, X="removed")))
    async with world.database.transaction() as connection:
        await connection.execute(
            "SELECT FROM workflow_schedules WHERE schedule_id = $1 FOR NO KEY UPDATE", schedule.schedule_id
        )
        removing = asyncio.create_task(world.schedules.remove(CALLER, schedule.schedule_id))
        await world.somebody_waits_for_a_lock()
        resealing_now = asyncio.create_task(resealer(world).reseal())
        await world.somebody_waits_for_a_lock(2)
    await removing
    assert await resealing_now == Resealed(values=1)
    (found,) = await stored(world)
    assert opened(found, BOXES[NEW]) == {"X": "removed"}


async def test_headers_that_are_not_what_they_were_are_not_written(world: World) -> None:
    await world.create(cron(target=target(OLD, X="mine"), failure_target=target(OLD, X="mine")))
    schedule = await world.create(cron(target=target(OLD, X="mine")))
    await world.change(schedule, cron())
    for table in (SCHEDULES, REVISIONS):
        async with world.database.transaction() as connection:
            rows = [row for row in await table.page(connection, table.first, 10) if row.headers]
            for row in await table.lock(connection, [row.key for row in rows]):
                for field, headers in row.headers.items():
                    other = {"X": "plain:of another time"}
                    assert await table.write(connection, field, [(row.key, other, {"X": "plain:x"})]) == set()
                    assert await table.write(connection, field, [(row.key, headers.stored, other)]) == {row.key}
            assert await table.lock(connection, [(uuid4(), 1) if table is REVISIONS else (-1,)]) == []
    assert {text for one in await stored(world) for text in one["headers"].values()} == {"plain:of another time"}


async def test_callers_and_two_of_it_at_once_lose_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resealing, "_CHUNK", 5)
    schedules = [await world.create(cron(target=target(OLD, X=f"first {n}"))) for n in range(30)]
    latest = dict.fromkeys(range(30), "first")
    done = asyncio.Event()

    async def callers() -> None:
        rounds = 0
        while not done.is_set() or rounds < 3:
            rounds += 1
            for number, schedule in list(enumerate(schedules)):
                # Alternately by a process with the old key alone, and by one with both.
                key = (OLD, NEW)[rounds % 2]
                edit = changing(target(key, X=f"round {rounds} {number}"))
                await world.schedules.change(CALLER, schedule.schedule_id, edit, expected_revision=None)
                latest[number] = f"round {rounds}"

    calling = asyncio.create_task(callers())
    await asyncio.gather(*(resealer(world).reseal() for _ in range(2)))
    done.set()
    await calling
    await resealer(world).reseal()
    for number, schedule in enumerate(schedules):
        now = await world.schedules.get(CALLER, schedule.schedule_id)
        assert now.definition.target is not None
        assert BOXES[NEW].open(now.definition.target.headers["X"], bound_to(URL, "X")) == f"{latest[number]} {number}"
    assert list(await resealer(world).count()) == [BOXES[NEW].newest_key_id]


async def test_a_row_that_is_locked_for_long_stops_it_and_what_was_done_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resealing, "_CHUNK", 1)
    await world.create(cron(target=target(OLD, X="first")))
    held = await world.create(cron(target=target(OLD, X="held")))
    async with world.database.transaction() as connection:
        await connection.execute(
            "SELECT FROM workflow_schedules WHERE schedule_id = $1 FOR NO KEY UPDATE", held.schedule_id
        )
        with pytest.raises(StoreUnavailableException):
            await resealer(world).reseal()
    assert await resealer(world).reseal() == Resealed(values=1)
