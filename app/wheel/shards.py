"""The wheel's shards: their keys, how far each is loaded, and what the keepers do with them.

A shard's mark tells how far it is loaded: a random epoch, so that an offer of a load that another has overtaken does
nothing, and the number of shards that the entries were spread over. A mark that is gone, or that names another number,
says that the shard was lost.

A wheel belongs to one deployment: another one's workers would claim what they do not know, and drop it.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.core.clock import Clock
from app.wheel.answers import Mark
from app.wheel.circuit import RedisCircuit
from app.wheel.members import is_execution
from app.wheel.script import Script

T = TypeVar("T")

KEEPER_SECONDS = 2.0
"""How long a keeper waits for Redis: nobody waits for a keeper."""
CHUNK = 200
"""Entries in one call of a script, or in several that are sent together."""
_OWNER = "{ss}:deployment"
_OWNED_MS = 180_000
"""How long a wheel is still its deployment's after the last pass of a keeper, each of which renews it."""


class AnothersWheelException(RedisError):
    """The wheel in this Redis is another deployment's: for this one it is as if Redis were away."""


class Shards:
    """The shards behind a circuit that is closed again by `mend`. Every method raises one of `AWAY`."""

    def __init__(
        self,
        client: Redis,
        clock: Clock,
        *,
        shards: int,
        claim_ahead_ms: int,
        deployment: str,
        mend: Callable[[], Awaitable[bool]],
    ) -> None:
        self.client = client
        self._deployment = deployment.encode()
        self.shards = shards
        self.claim_ahead_ms = claim_ahead_ms
        self._circuit = RedisCircuit(clock, mend)
        self._offer, self._raise = Script(client, "offer"), Script(client, "raise")

    def command(self, seconds: float) -> AbstractAsyncContextManager[None]:
        """One exchange with Redis, behind the circuit; `RedisCircuit.command`."""
        return self._circuit.command(seconds)

    async def marks(self) -> list[Mark | None]:
        """Each shard's mark; null where the shard was lost, or was loaded for another number of shards.

        The wheel stays this deployment's for minutes after.
        """
        async with self._circuit.command(KEEPER_SECONDS), self.client.pipeline(transaction=False) as pipeline:
            pipeline.getex(_OWNER, px=_OWNED_MS)
            for shard in range(self.shards):
                pipeline.hmget(self._key(shard, "mark"), ["epoch", "loaded_until", "shards"])
            owner, *answers = await pipeline.execute()
            if self._deployment and owner != self._deployment:
                await self._own()
                # Whose they were meanwhile nobody knows.
                return [None] * self.shards
        return [
            None
            if epoch is None or until is None or count is None or int(count) != self.shards
            else Mark(epoch.decode(), int(until), int(count))
            for epoch, until, count in answers
        ]

    async def begin_load(self, shard: int, epoch: str) -> Mark:
        """Mark a shard as being loaded, under a new epoch; to be done before Postgres is read."""
        key = self._key(shard, "mark")
        async with self._circuit.command(KEEPER_SECONDS):
            await self.client.hset(key, mapping={"epoch": epoch, "loaded_until": 0, "shards": self.shards})
        return Mark(epoch, 0, self.shards)

    async def offer(self, shard: int, epoch: str, due_ms: Sequence[tuple[str, int]]) -> int | None:
        """Put back what Postgres says is due.

        Returns how many entries were missing or stood later; null when the epoch is gone.
        """
        mended = 0
        for chunk in chunks(due_ms):
            flat: list[str | int] = [epoch]
            for member, at in chunk:
                flat += (member, self._score(member, at))
            async with self._circuit.command(KEEPER_SECONDS):
                (answer,) = await self._offer.run([(self._keys(shard, "due", "leased", "mark"), flat)])
            if answer < 0:
                return None
            mended += answer
        return mended

    async def raise_mark(self, shard: int, epoch: str, loaded_until_ms: int) -> bool:
        """Note that a shard is complete up to an instant; false when its mark was lost meanwhile."""
        async with self._circuit.command(KEEPER_SECONDS):
            (answer,) = await self._raise.run([(self._keys(shard, "mark"), (epoch, loaded_until_ms))])
        return bool(answer)

    async def missing(self, shard: int, members: Sequence[str]) -> list[str]:
        """Which of these entries stand nowhere in the shard, neither due nor leased.

        Raises one of `AWAY`.
        """
        due, leased = await self._scores(shard, members)
        return [member for member, at, until in zip(members, due, leased, strict=True) if at is None and until is None]

    async def lacking(self, shard: int, due_ms: Sequence[tuple[str, int]]) -> list[str]:
        """Which of these entries stand nowhere in the shard, or later than their due time; none that is leased.

        Raises one of `AWAY`.
        """
        members = [member for member, _ in due_ms]
        due, leased = await self._scores(shard, members)
        return [
            member
            for (member, at_ms), at, until in zip(due_ms, due, leased, strict=True)
            if until is None and (at is None or at > self._score(member, at_ms))
        ]

    async def _own(self) -> None:
        """Make the wheel this deployment's, unless it is another's; nothing of what stood there before is relied on.

        Raises AnothersWheelException.
        """
        if not self._deployment:
            return
        owner = await self.client.get(_OWNER)
        if owner is None:
            await self._unlink("mark", "due", "leased")
            await self.client.set(_OWNER, self._deployment, nx=True, px=_OWNED_MS)
            owner = await self.client.get(_OWNER)
        if owner != self._deployment:
            raise AnothersWheelException(
                f"the wheel there is that of another database ({_shown(owner)}): each needs a Redis of its own, "
                "or a database of one (REDIS_URL=redis://host:port/1); this one takes over once the other has been "
                "silent for three minutes"
            )

    async def clear(self) -> None:
        """Throw the whole wheel away, leases too; safe at any time, because Postgres is right."""
        async with self._circuit.command(KEEPER_SECONDS):
            await self._unlink("mark", "due", "leased")

    async def _scores(self, shard: int, members: Sequence[str]) -> tuple[list[float | None], list[float | None]]:
        """Where the entries stand in `due` and in `leased`."""
        # At one instant: a claim or an ack moves an entry from one set to the other.
        async with self._circuit.command(KEEPER_SECONDS), self.client.pipeline(transaction=True) as pipeline:
            for name in ("due", "leased"):
                pipeline.zmscore(self._key(shard, name), list(members))
            due, leased = await pipeline.execute()
        return due, leased

    def _score(self, member: str, due_ms: int) -> int:
        return due_ms + self.claim_ahead_ms if is_execution(member) else due_ms

    def _key(self, shard: int, name: str) -> str:
        # The braces are a hash tag: all keys of a shard share a slot of a Redis Cluster.
        return f"{{ss:{shard}}}:{name}"

    def _keys(self, shard: int, *names: str) -> tuple[str, ...]:
        return tuple(self._key(shard, name) for name in names)

    async def _unlink(self, *names: str) -> None:
        async with self.client.pipeline(transaction=False) as pipeline:
            for shard in range(self.shards):
                pipeline.unlink(*self._keys(shard, *names))
            await pipeline.execute()


def _shown(owner: bytes | str | None) -> str:
    return owner.decode(errors="replace") if isinstance(owner, bytes) else str(owner)


def chunks(pairs: Sequence[T]) -> Iterable[Sequence[T]]:
    """Parts that one call of a script takes."""
    # A script holds Redis while it runs: 200 entries are well under a millisecond, and far from unpack()'s limit.
    return (pairs[start : start + CHUNK] for start in range(0, len(pairs), CHUNK))
