"""The timer wheel: a sorted set a shard in Redis that knows what is due next.

Postgres is right, the wheel only has to be early enough: an entry says "look at this id at this time", and what is to
be done is decided from the locked row. So a stale, doubled or early entry costs a look, and a missing one is found by
the keepers. Nothing outside this package touches Redis.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from redis.asyncio import Redis

from app.core.clock import Clock
from app.wheel.connection import AWAY
from app.wheel.entries import Entry, shard_of
from app.wheel.script import Script

T = TypeVar("T")

WINDOW_MARGIN_MS = 120_000
"""How far past the window `put` still adds, so that nothing falls between two passes of the window keeper."""
WAKE_CHANNEL = "{ss}:wake"
_WORTH_WAKING_MS = 2_000
_CHUNK = 200
_NO_TOKEN = -1
_ANY_BYTES = "surrogateescape"  # a stranger's member must be acknowledged as it stands


@dataclass(frozen=True, slots=True)
class Claimed:
    """What one shard gave: the members, the token of their lease, and when the shard has something next.

    `next_ms` is null when the shard is empty; `marked` is false when the shard was lost and must be loaded again.
    """

    shard: int
    token: int
    next_ms: int | None
    marked: bool
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WheelState:
    """What health and metrics show of the wheel."""

    connected: bool
    entries: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a shard is loaded: a random epoch, and the due time in ms up to which it is complete."""

    epoch: str
    loaded_until_ms: int
    shards: int


class Wheel:
    """The wheel as one process sees it. Due times are milliseconds since the epoch.

    An `x:` entry stands at `wake_at` plus the claim-ahead: a claim reaches that far ahead, and so meets it exactly at
    its time, not early and not late.
    """

    def __init__(self, client: Redis, clock: Clock, *, shards: int, window_seconds: int, claim_ahead_ms: int) -> None:
        self.client = client
        self.shards = shards
        self.window_ms = window_seconds * 1000
        self.claim_ahead_ms = claim_ahead_ms
        self._clock = clock
        self._claim, self._put, self._offer, self._raise = (
            Script(client, name) for name in ("claim", "put", "offer", "raise")
        )
        self._behind = False
        self._failed_again = False
        self._repair: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Let go of the connections."""
        if self._repair is not None:
            self._repair.cancel()
        await self.client.aclose()

    # What callers and the settling of executions use

    async def put(self, entries: Sequence[Entry]) -> None:
        """Make sure that each entry is looked at no later than its due time.

        Never raises because Redis is away: the process then drops the wheel's mark first thing when it is back, which
        makes the window keeper load the wheel from Postgres.
        """
        if not entries:
            return
        try:
            for shard, part in self._by_shard(entries):
                await self._send(shard, _NO_TOKEN, part)
        except AWAY:
            self._fell_behind()

    # What a worker uses

    async def claim(self, shards: Sequence[int], *, limit: int, lease_ms: int) -> list[Claimed]:
        """Claim up to `limit` entries of each shard that are due within the claim-ahead, in one round trip.

        Raises one of `AWAY` when Redis does not answer; what was claimed is then claimed again after its lease.
        """
        now = self._clock.now_ms()
        arguments = (now, now + self.claim_ahead_ms, limit, lease_ms)
        calls = [(self._keys(shard, "due", "leased", "token", "mark"), arguments) for shard in shards]
        answers = await self._claim.run(calls)
        return [
            Claimed(
                shard,
                int(token),
                None if int(nearest) < 0 else int(nearest),
                bool(marked),
                tuple(dict.fromkeys(member.decode(errors=_ANY_BYTES) for member in members)),
            )
            for shard, (token, nearest, marked, members) in zip(shards, answers, strict=True)
        ]

    async def ack(self, shard: int, token: int, due_ms: Sequence[tuple[str, int | None]]) -> None:
        """Drop the leases held under a token, and put each entry's next due time where it has one.

        Raises one of `AWAY`: the leases then expire, and the rows say what is true.
        """
        await self._send(shard, token, due_ms)

    # What the keepers use

    async def marks(self) -> list[Mark | None]:
        """Each shard's mark; null where the shard was lost, or was loaded for another number of shards."""
        async with self.client.pipeline(transaction=False) as pipeline:
            for shard in range(self.shards):
                pipeline.hmget(self._key(shard, "mark"), ["epoch", "loaded_until", "shards"])
            answers = await pipeline.execute()
        return [
            None
            if epoch is None or until is None or count is None or int(count) != self.shards
            else Mark(epoch.decode(), int(until), int(count))
            for epoch, until, count in answers
        ]

    async def begin_load(self, shard: int, epoch: str) -> Mark:
        """Mark a shard as being loaded, under a new epoch; to be done before Postgres is read."""
        await self.client.hset(
            self._key(shard, "mark"), mapping={"epoch": epoch, "loaded_until": 0, "shards": self.shards}
        )
        return Mark(epoch, 0, self.shards)

    async def offer(self, shard: int, epoch: str, due_ms: Sequence[tuple[str, int]]) -> int | None:
        """Put back what Postgres says is due.

        Returns how many entries were missing or stood later; null when the epoch is gone.
        """
        mended = 0
        for chunk in _chunks(due_ms):
            flat: list[str | int] = [epoch]
            for member, at in chunk:
                flat += (member, self._score(member, at))
            (answer,) = await self._offer.run([(self._keys(shard, "due", "leased", "mark"), flat)])
            if answer < 0:
                return None
            mended += answer
        return mended

    async def raise_mark(self, shard: int, epoch: str, loaded_until_ms: int) -> bool:
        """Note that a shard is complete up to an instant; false when its mark was lost meanwhile."""
        (answer,) = await self._raise.run([(self._keys(shard, "mark"), (epoch, loaded_until_ms))])
        return bool(answer)

    async def drop_marks(self) -> None:
        """Have every shard loaded again from Postgres."""
        async with self.client.pipeline(transaction=False) as pipeline:
            for shard in range(self.shards):
                pipeline.delete(self._key(shard, "mark"))
            await pipeline.execute()

    async def clear(self) -> None:
        """Throw the whole wheel away, leases too; safe at any time, because Postgres is right."""
        async with self.client.pipeline(transaction=False) as pipeline:
            for shard in range(self.shards):
                pipeline.unlink(*self._keys(shard, "mark", "due", "leased"))
            await pipeline.execute()

    # What health and metrics use

    async def state(self) -> WheelState:
        """How the wheel does, without raising."""
        try:
            async with self.client.pipeline(transaction=False) as pipeline:
                for shard in range(self.shards):
                    pipeline.zcard(self._key(shard, "due"))
                    pipeline.zcard(self._key(shard, "leased"))
                return WheelState(True, sum(await pipeline.execute()), None)
        except AWAY as away:
            return WheelState(False, 0, str(away) or type(away).__name__)

    @property
    def behind(self) -> bool:
        """Whether a put failed and the marks were not dropped yet."""
        return self._behind

    def _score(self, member: str, due_ms: int) -> int:
        return due_ms + self.claim_ahead_ms if member.startswith("x:") else due_ms

    def _key(self, shard: int, name: str) -> str:
        # The braces are a hash tag: all keys of a shard share a slot of a Redis Cluster.
        return f"{{ss:{shard}}}:{name}"

    def _keys(self, shard: int, *names: str) -> tuple[str, ...]:
        return tuple(self._key(shard, name) for name in names)

    def _by_shard(self, entries: Sequence[Entry]) -> Iterable[tuple[int, list[tuple[str, int | None]]]]:
        parts: dict[int, list[tuple[str, int | None]]] = {}
        for entry in entries:
            parts.setdefault(shard_of(entry.community_id, self.shards), []).append((entry.member, entry.due_ms))
        return parts.items()

    async def _send(self, shard: int, token: int, due_ms: Sequence[tuple[str, int | None]]) -> None:
        now = self._clock.now_ms()
        head = (token, now + self.window_ms + WINDOW_MARGIN_MS, now + _WORTH_WAKING_MS, WAKE_CHANNEL, shard)
        for chunk in _chunks(due_ms):
            flat: list[str | int | bytes] = list(head)
            for member, at in chunk:
                flat += (member.encode(errors=_ANY_BYTES), "" if at is None else self._score(member, at))
            await self._put.run([(self._keys(shard, "due", "leased"), flat)])

    def _fell_behind(self) -> None:
        self._behind = self._failed_again = True
        if self._repair is None or self._repair.done():
            self._repair = asyncio.create_task(self._drop_marks_when_back(), name="wheel-repair")

    async def _drop_marks_when_back(self) -> None:
        while self._behind:
            self._failed_again = False
            try:
                await self.drop_marks()
                # What failed meanwhile may have failed after its mark was dropped and the shard was loaded again.
                self._behind = self._failed_again
            except AWAY:
                await self._clock.sleep(0.2)


def _chunks(pairs: Sequence[T]) -> Iterable[Sequence[T]]:
    # A script holds Redis while it runs: 200 entries are well under a millisecond, and far from unpack()'s limit.
    return (pairs[start : start + _CHUNK] for start in range(0, len(pairs), _CHUNK))
