"""API keys: random, shown once, stored as a hash, revocable, expirable."""

import hashlib
import hmac
import re
import secrets
from datetime import datetime

from app.core.audit import AuditAction
from app.core.clock import Clock
from app.core.errors import CredentialsException
from app.core.ids import new_id
from app.core.principal import NotCaller, Principal, Role
from app.service.transactions import Transactions, Work
from app.store import keys
from app.store.audit import Actor, Change
from app.store.database import Database
from app.store.keys import ApiKey

__all__ = ["ApiKey", "KeyService"]

PREFIX = "ss_"
"""What every key begins with."""
_PREFIX_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_PREFIX_LENGTH = 12
_SECRET_BYTES = 32
_SHAPE = re.compile(r"ss_([a-z2-7]{12})_[A-Za-z0-9_-]{43}")
_NO_HASH = bytes(32)


class KeyService:
    """API keys. All methods raise StoreUnavailableException when Postgres is away."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._transactions = Transactions(database, None, clock)

    async def authenticate(self, key: str, request_id: str | None) -> Principal:
        """Who a key belongs to.

        Nothing is kept between two calls: a key that was revoked is refused by the next request.

        Raises CredentialsException, the same for a key that is unknown, revoked or expired.
        """
        shape = _SHAPE.fullmatch(key)
        found = None
        if shape is not None:
            async with self._database.connection() as connection:
                found = await keys.by_prefix(connection, shape[1])
        stored, expected = found or (None, _NO_HASH)
        # Compared also where there is no such key, so that the time of an answer does not tell.
        matches = hmac.compare_digest(_hash(key), expected)
        if stored is None or not matches or not self._valid(stored):
            raise CredentialsException("the API key is not valid")
        user = stored.user or stored.name or f"key {stored.prefix}"
        return Principal(stored.community_id, user, stored.role, request_id)

    async def create(
        self, community_id: int, role: Role, *, user: str | None, name: str | None, expires_at: datetime | None
    ) -> str:
        """Make a key. The answer is the only time that it is shown."""
        prefix = "".join(secrets.choice(_PREFIX_ALPHABET) for _ in range(_PREFIX_LENGTH))
        key = f"{PREFIX}{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"

        async def work(unit: Work) -> None:
            now = unit.now()
            stored = ApiKey(
                key_id=new_id(self._clock.now_ms()),
                prefix=prefix,
                community_id=community_id,
                role=role,
                user=user,
                name=name,
                created_at=now,
                expires_at=expires_at,
                revoked_at=None,
            )
            await keys.insert(unit.connection, stored, _hash(key))
            await unit.audit(AuditAction.KEY_CREATE, Change(after=stored), at=now)

        await self._transactions.run(_command_line(community_id), work)
        return key

    async def keys(self, community_id: int | None) -> list[ApiKey]:
        """The keys of one community, or of all, oldest first; without their secrets."""
        async with self._database.connection() as connection:
            return await keys.every(connection, community_id)

    async def revoke(self, key_id_or_prefix: str) -> bool:
        """Refuse a key from now on; false when there is none like that, or it is revoked already.

        Takes the key's id, its prefix with or without the leading `ss_`, or the whole key.
        """
        given = key_id_or_prefix.strip()
        if given.startswith(PREFIX):
            given = given.removeprefix(PREFIX)[:_PREFIX_LENGTH]

        # A read first: the audit row names the community, which only the key's row knows.
        async with self._database.connection() as connection:
            known = {name: key for key in await keys.every(connection, None) for name in (str(key.key_id), key.prefix)}
        if given not in known:
            return False

        async def work(unit: Work) -> bool:
            now = unit.now()
            revoked = await keys.revoke(unit.connection, given, now=now)
            if revoked is None:
                return False
            await unit.audit(
                AuditAction.KEY_REVOKE, Change(before={"key_id": revoked.key_id, "prefix": revoked.prefix}), at=now
            )
            return True

        return await self._transactions.run(_command_line(known[given].community_id), work)

    def _valid(self, key: ApiKey) -> bool:
        return key.revoked_at is None and (key.expires_at is None or key.expires_at > self._clock.now())


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


def _command_line(community_id: int) -> Actor:
    return Actor(community_id, NotCaller.COMMAND_LINE.value, None, None)
