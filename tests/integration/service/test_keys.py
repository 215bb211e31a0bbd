"""API keys."""

from datetime import timedelta

import pytest

from app.core.errors import CredentialsException
from app.core.principal import Principal, Role
from tests.clocks import START
from tests.integration.service.world import World


async def test_a_key_opens_its_community_in_its_role(world: World) -> None:
    key = await world.keys.create(7, Role.EDITOR, user="ada", name="ci", expires_at=None)
    assert key.startswith("ss_")
    assert await world.keys.authenticate(key, "request-9") == Principal(7, "ada", Role.EDITOR, "request-9")


async def test_a_key_without_a_user_acts_under_its_name(world: World) -> None:
    named = await world.keys.create(7, Role.VIEWER, user=None, name="ci", expires_at=None)
    nameless = await world.keys.create(7, Role.VIEWER, user=None, name=None, expires_at=None)
    assert (await world.keys.authenticate(named, None)).user == "ci"
    assert (await world.keys.authenticate(nameless, None)).user == f"key {nameless[3:15]}"


async def test_neither_the_key_nor_its_secret_is_stored_or_audited(world: World) -> None:
    key = await world.keys.create(7, Role.ADMIN, user=None, name=None, expires_at=None)
    secret = key[16:]
    for table in ("api_keys", "audit_log"):
        rows = await world.rows(f"SELECT t::text FROM {table} t")
        assert len(rows) == 1
        assert secret not in rows[0][0]
    assert await world.one("SELECT octet_length(secret_sha256) FROM api_keys") == 32


async def test_a_wrong_key_is_refused(world: World) -> None:
    key = await world.keys.create(7, Role.ADMIN, user=None, name=None, expires_at=None)
    other = await world.keys.create(7, Role.ADMIN, user=None, name=None, expires_at=None)
    changed = key[:-1] + ("A" if key[-1] != "A" else "B")
    for wrong in (
        "",
        "ss_",
        key[:15],
        changed,
        key + "x",
        key[:16] + other[16:],
        key.upper(),
        "\0",
        "é\ud800",
        " " + key,
    ):
        with pytest.raises(CredentialsException):
            await world.keys.authenticate(wrong, None)


async def test_an_expired_key_is_refused(world: World) -> None:
    key = await world.keys.create(7, Role.ADMIN, user=None, name=None, expires_at=START + timedelta(hours=1))
    world.clock.move(3599)
    await world.keys.authenticate(key, None)
    world.clock.move(1)
    with pytest.raises(CredentialsException):
        await world.keys.authenticate(key, None)


async def test_a_revoked_key_is_refused_by_the_next_request(world: World) -> None:
    key = await world.keys.create(7, Role.ADMIN, user=None, name=None, expires_at=None)
    await world.keys.authenticate(key, None)
    prefix = key[3:15]
    assert await world.keys.revoke(prefix)
    with pytest.raises(CredentialsException):
        await world.keys.authenticate(key, None)
    assert not await world.keys.revoke(prefix)


async def test_a_key_is_revoked_by_its_id_its_prefix_or_itself(world: World) -> None:
    made = [await world.keys.create(7, Role.VIEWER, user=None, name=None, expires_at=None) for _ in range(3)]
    stored = {key.prefix: key for key in await world.keys.keys(7)}
    assert await world.keys.revoke(str(stored[made[0][3:15]].key_id))
    assert await world.keys.revoke(made[1][:15])
    assert await world.keys.revoke(made[2])
    assert not await world.keys.revoke("nothing")
    assert all(key.revoked_at == START for key in await world.keys.keys(None))


async def test_keys_are_listed_by_community(world: World) -> None:
    await world.keys.create(7, Role.VIEWER, user="a", name=None, expires_at=None)
    await world.keys.create(8, Role.OPERATOR, user="b", name=None, expires_at=None)
    assert [key.user for key in await world.keys.keys(8)] == ["b"]
    assert sorted(key.community_id for key in await world.keys.keys(None)) == [7, 8]
