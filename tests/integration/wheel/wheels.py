"""What the tests of the wheel stand on: a small wheel, entries by name, and a look behind it."""

from typing import Any

from redis.asyncio import Redis

from app.core.clock import Clock
from app.wheel.answers import Claimed
from app.wheel.entries import Entry, shard_of
from app.wheel.wheel import Wheel

SHARDS = 4
AHEAD_MS = 50
LEASE_MS = 5_000
WINDOW_MS = 3_600_000
COMMUNITY = 1
SHARD = shard_of(COMMUNITY, SHARDS)


def wheel_of(
    client: Redis, clock: Clock, *, shards: int = SHARDS, allow_eviction: bool = False, deployment: str = ""
) -> Wheel:
    """A wheel of four shards."""
    return Wheel(
        client,
        clock,
        shards=shards,
        window_seconds=WINDOW_MS // 1000,
        claim_ahead_ms=AHEAD_MS,
        allow_eviction=allow_eviction,
        deployment=deployment,
    )


def entry(member: str, due_ms: int, community_id: int = COMMUNITY) -> Entry:
    """An entry by its whole name."""
    return Entry(community_id, member, due_ms)


def community_in(shard: int) -> int:
    """A community whose entries stand in that shard."""
    return next(community for community in range(10_000) if shard_of(community, SHARDS) == shard)


async def claim(wheel: Wheel, *, limit: int = 100, shard: int = SHARD, lease_ms: int = LEASE_MS) -> Claimed:
    """A claim from one shard."""
    (claimed,) = await wheel.claim([shard], limit=limit, lease_ms=lease_ms)
    return claimed


async def drop_marks(wheel: Wheel) -> None:
    """Have Redis lose the mark of every shard."""
    await wheel.client.delete(*(f"{{ss:{shard}}}:mark" for shard in range(wheel.shards)))


async def standing(wheel: Wheel, name: str = "due", shard: int = SHARD) -> dict[str, int]:
    """The members of `due` or `leased` with their scores."""
    pairs: Any = await wheel.client.zrange(f"{{ss:{shard}}}:{name}", 0, -1, withscores=True)
    return {member.decode(): int(score) for member, score in pairs}
