"""What no waiting mends is said by each command, in one line, with a status that tells."""

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import asyncpg
import pytest
from redis.asyncio import Redis

from app.embedded.ports import free_port
from tests.integration.operating import Operator


@pytest.mark.fault("9")
async def test_a_redis_that_may_evict_is_refused_by_either_process(operator: Operator) -> None:
    assert (await operator.run("migrate"))[0] == 0
    async with Redis.from_url(operator.environment["REDIS_URL"]) as redis:
        await redis.config_set("maxmemory-policy", "allkeys-lru")
        try:
            for command in (("api", "--port", str(free_port())), ("worker",)):
                status, _, said = await operator.run(*command)
                assert status == 1
                assert said.startswith(
                    "schedule-service: Redis has maxmemory-policy allkeys-lru and may evict what is due"
                )
                assert "ALLOW_EVICTION=1" in said
        finally:
            await redis.config_set("maxmemory-policy", "noeviction")


@pytest.mark.parametrize("number", ["0", "-1", "65536"])
async def test_a_number_that_is_no_port_is_refused_by_the_api(operator: Operator, number: str) -> None:
    status, _, said = await operator.run("api", "--port", number)
    assert status == 2
    assert f"{number} is not in the range 1<=x<=65535" in " ".join(said.split())


async def test_what_can_be_no_host_is_refused_in_one_line(operator: Operator) -> None:
    status, _, said = await operator.run("api", "--host", 70 * "a", "--port", "8000")
    assert (status, len(said.splitlines())) == (1, 1)
    assert said.startswith(f"schedule-service: cannot listen on {70 * 'a'}, port 8000: ")


async def test_a_key_that_would_never_open_anything_is_not_made(operator: Operator) -> None:
    assert (await operator.run("migrate"))[0] == 0
    for_one = ("keys", "create", "--community", "1", "--role", "viewer", "--expires")
    status, key, said = await operator.run(*for_one, "2020-01-01T00:00:00Z")
    assert (status, key) == (1, "")
    assert said == "schedule-service: --expires '2020-01-01T00:00:00Z': it has passed; a key must end in the future\n"
    assert (await operator.run("keys", "list"))[1].count("\n") == 1
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    status, key, _ = await operator.run(*for_one, soon)
    assert (status, key.startswith("ss_")) == (0, True)


@pytest.mark.parametrize("command", [("create", "--role", "viewer"), ("list",)])
async def test_a_community_that_cannot_be_stored_is_refused(operator: Operator, command: tuple[str, ...]) -> None:
    status, _, said = await operator.run("keys", *command, "--community", str(2**63))
    assert status == 2
    assert f"{2**63} is not in the range" in " ".join(said.split())


_COMMANDS = {
    "api": ("api", "--port", "{port}"),
    "worker": ("worker",),
    "migrate": ("migrate",),
    "migrate --check": ("migrate", "--check"),
    "rebuild": ("rebuild",),
    "reseal": ("reseal",),
    "reseal --check": ("reseal", "--check"),
    "keys create": ("keys", "create", "--community", "1", "--role", "viewer"),
    "keys list": ("keys", "list"),
    "keys revoke": ("keys", "revoke", "x"),
}
_OF_POSTGRES = ("api", "worker", "migrate", "migrate --check", "reseal", "keys list")
"""One of each way to open it."""


async def _each_in_one_line(operator: Operator, names: Iterable[str], setting: str, value: str, said: str) -> None:
    """Every one of these commands says that and no more, with status 1."""
    operator.environment |= {setting: value, "SECRET_KEY": 32 * "k"}
    for name in names:
        arguments = [argument.format(port=free_port()) for argument in _COMMANDS[name]]
        status, out, error = await operator.run(*arguments)
        assert (name, status, out, len(error.splitlines())) == (name, 1, "", 1), error
        assert error.startswith(f"schedule-service: {said}"), name
        assert "hunter2" not in error


async def test_a_url_that_can_be_none_is_one_line_of_every_command(operator: Operator) -> None:
    wrong = "://user:hunter2@host:notaport/0"
    said = "_URL: its port must be a number from 1 to 65535"
    await _each_in_one_line(operator, _COMMANDS, "DATABASE_URL", f"postgresql{wrong}", f"DATABASE{said}")
    operator.environment["DATABASE_URL"] = "postgresql://host/db"
    await _each_in_one_line(operator, ("api", "worker", "rebuild"), "REDIS_URL", f"redis{wrong}", f"REDIS{said}")


async def test_a_query_that_redis_does_not_take_is_one_line(operator: Operator) -> None:
    wrong = operator.environment["REDIS_URL"] + "?nonsense=1"
    names = ("api", "worker", "rebuild")
    await _each_in_one_line(operator, names, "REDIS_URL", wrong, "REDIS_URL: its query is none of a connection")


async def test_a_database_that_is_not_there_is_one_line_of_every_command(operator: Operator) -> None:
    wrong = operator.environment["DATABASE_URL"] + "_not"
    await _each_in_one_line(operator, _OF_POSTGRES, "DATABASE_URL", wrong, 'DATABASE_URL: database "')


async def test_a_user_without_a_right_is_one_line_of_every_command_that_needs_it(operator: Operator) -> None:
    assert (await operator.run("migrate"))[0] == 0
    given = operator.environment["DATABASE_URL"]
    user = f"reader_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(given)
    await connection.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'hunter2'")
    await connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}")
    reader = urlsplit(given)._replace(netloc=f"{user}:hunter2@{urlsplit(given).netloc.rpartition('@')[2]}").geturl()
    try:
        await _each_in_one_line(operator, ["worker"], "DATABASE_URL", reader, "DATABASE_URL: permission denied for ")
        await _each_in_one_line(
            operator, ["keys create"], "DATABASE_URL", reader, "DATABASE_URL: permission denied for "
        )
    finally:
        await connection.execute(f"DROP OWNED BY {user}; DROP ROLE {user}")
        await connection.close()


async def test_a_database_without_a_schema_is_one_line_of_every_command_that_needs_it(operator: Operator) -> None:
    given = operator.environment["DATABASE_URL"]
    names = [name for name in _OF_POSTGRES if not name.startswith("migrate")]
    await _each_in_one_line(operator, names, "DATABASE_URL", given, "the database has an older schema: run ")


async def test_a_postgres_that_does_not_answer_is_one_line_of_every_command_that_does_not_wait(
    operator: Operator,
) -> None:
    nobody = f"postgresql://user:hunter2@127.0.0.1:{free_port()}/db"
    names = ("migrate --check", "reseal", "keys list")
    await _each_in_one_line(operator, names, "DATABASE_URL", nobody, "Postgres does not answer: ")


@pytest.mark.parametrize("check", [(), ("--check",)])
async def test_a_migration_through_a_pooler_in_transaction_mode_is_refused(
    operator: Operator, check: tuple[str, ...]
) -> None:
    operator.environment["DATABASE_POOLER"] = "transaction"
    status, _, said = await operator.run("migrate", *check)
    assert (status, len(said.splitlines())) == (1, 1)
    assert said.startswith("schedule-service: DATABASE_POOLER: migrate needs Postgres itself")
