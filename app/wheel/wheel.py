"""The timer wheel: a sorted set a shard in Redis that knows what is due next.

Postgres is right, the wheel only has to be early enough: an entry says "look at this id at this time", and what is to
be done is decided from the locked row. So a stale, doubled or early entry costs a look, and a missing one is found by
the keepers. Nothing outside this package touches Redis.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.core.clock import Clock
from app.core.errors import ConfigurationException
from app.wheel.answers import Claimed, WheelState
from app.wheel.connection import AWAY, evicting_policy, log_in
from app.wheel.entries import Entry, shard_of
from app.wheel.rights import Trial, is_lacking, refusal, tells_of_rights
from app.wheel.script import Call, Script
from app.wheel.shards import CHUNK, KEEPER_SECONDS, Shards, chunks

WINDOW_MARGIN_MS = 120_000
"""How far past the window `put` still adds, so that nothing falls between two passes of the window keeper."""
WAKE_CHANNEL = "{ss}:wake"
_WORTH_WAKING_MS = 2_000
UNLEASED = -1
"""The token of entries that were claimed from Postgres, and hold no lease."""
_AT_ONCE_SECONDS = 0.5
"""How long firing, settling and callers wait for Redis; a claim that is repeated loses nothing."""
_REACH = 4
"""Times the claim-ahead: beside a crowd it takes so much longer until what was claimed is recorded."""
_PROBE = "{ss}:probe"
_ANY_BYTES = "surrogateescape"  # a stranger's member must be acknowledged as it stands

Done = tuple[int, int, Sequence[tuple[str, int | None]]]
"""What was looked at of one shard: the shard, the token of its lease, and each entry's next due time, null for none."""

log = structlog.get_logger()


class Wheel(Shards):
    """The wheel as one process sees it. Due times are milliseconds since the epoch.

    An `x:` entry stands at `wake_at` plus the claim-ahead: a claim reaches that far ahead, and so meets it exactly at
    its time, not early and not late.
    """

    def __init__(
        self,
        client: Redis,
        clock: Clock,
        *,
        shards: int,
        window_seconds: int,
        claim_ahead_ms: int,
        allow_eviction: bool = False,
        deployment: str = "",
    ) -> None:
        """`deployment` is the name by which this one's wheel is known from another's; where it is empty, it is not."""
        super().__init__(
            client, clock, shards=shards, claim_ahead_ms=claim_ahead_ms, deployment=deployment, mend=self._mend
        )
        self.window_ms = window_seconds * 1000
        self.reach_ms = claim_ahead_ms * _REACH
        self._clock = clock
        self._allow_eviction = allow_eviction
        self._claim, self._put = Script(client, "claim"), Script(client, "put")
        self._trial = Trial(client, WAKE_CHANNEL)
        self._behind = self._stale = self._failed_again = False
        self.may_evict = False

    async def close(self) -> None:
        """Let go of the connections."""
        await self._circuit.close()
        # A connection that does not let go within a second is left as it is, and fails nobody's end: Redis may be
        # silent, and on a busy machine this process may have stood still for that second.
        with suppress(*AWAY):
            await self.client.aclose()

    # Whether it can be relied on

    @property
    def away(self) -> bool:
        """Whether Redis is known to be away: everything but `put` then raises at once."""
        return self._circuit.error is not None

    @property
    def behind(self) -> bool:
        """Whether a put failed and the marks were not dropped yet."""
        return self._behind

    async def refuse_login(self) -> None:
        """Refuse a Redis that refuses this one's password or database, or a right; one that is away may come back.

        Raises ConfigurationException with what Redis says.
        """
        try:
            async with self._circuit.command(KEEPER_SECONDS):
                await log_in(self.client)
                try:
                    await self._trial.run(self._clock.now_ms())
                except RedisError as refused:
                    if not is_lacking(refused):
                        raise
                    raise refusal(refused) from refused
        except AWAY:
            return

    async def refuse_eviction(self) -> None:
        """Refuse a Redis that may evict entries of the wheel; one that is away is looked at when it is back.

        Raises ConfigurationException with what to set instead.
        """
        try:
            async with self._circuit.command(KEEPER_SECONDS):
                policy = await evicting_policy(self.client)
        except AWAY:
            return
        if policy is not None and not self._allow_eviction:
            raise ConfigurationException(
                f"Redis has maxmemory-policy {policy} and may evict what is due: set it to noeviction, "
                "or ALLOW_EVICTION=1 to go on nevertheless"
            )

    async def take(self) -> None:
        """Find out whether the wheel is this deployment's, at the start.

        Where it is another's it counts as away from here on, until the other has been silent for minutes. A Redis that
        does not answer is asked when it is back.
        """
        with suppress(*AWAY):
            async with self._circuit.command(KEEPER_SECONDS):
                await self._own()

    def distrust(self) -> None:
        """This worker claims from Postgres: where Redis is away meanwhile, what stands in the wheel gets old.

        Before Redis is used again all of it is thrown away, and so loaded anew. Where Redis is there nothing gets old.
        """
        if self.away:
            self._behind = self._stale = self._failed_again = True

    # What callers and the settling of executions use

    async def put(self, entries: Sequence[Entry]) -> None:
        """Make sure that each entry is looked at no later than its due time.

        Never raises because Redis is away: the process then drops the wheel's mark first thing when it is back, which
        makes the window keeper load the wheel from Postgres.
        """
        try:
            await self._send([(shard, UNLEASED, part) for shard, part in self._by_shard(entries)])
        except AWAY:
            self._behind = self._failed_again = True

    # What a worker uses

    async def claim(self, shards: Sequence[int], *, limit: int, lease_ms: int, far: bool = False) -> list[Claimed]:
        """Claim up to `limit` entries of each shard that are due within the claim-ahead, in one round trip.

        The oldest first; where more are late than fit, an eighth of the room is for the newest schedules that are due
        within `reach_ms`. With `far` the others are claimed so far ahead, too; executions never are.

        Raises one of `AWAY` when Redis does not answer; what was claimed is then claimed again after its lease.
        """
        now = self._clock.now_ms()
        until, reach = now + self.claim_ahead_ms, now + self.reach_ms
        arguments = (now, until, limit, lease_ms, self.shards, reach if far else until, reach)
        calls = [(self._keys(shard, "due", "leased", "token", "mark"), arguments) for shard in shards]
        async with self._circuit.command(_AT_ONCE_SECONDS):
            answers = await self._claim.run(calls)
        return [
            Claimed(
                shard,
                int(token),
                None if int(nearest) < 0 else int(nearest),
                mark > 0,
                mark > 1,
                tuple(dict.fromkeys(member.decode(errors=_ANY_BYTES) for member in members)),
                passing,
            )
            for shard, (token, nearest, mark, members, passing) in zip(shards, answers, strict=True)
        ]

    async def ack(self, done: Sequence[Done]) -> None:
        """Drop the leases of what was looked at, and put each entry's next due time where it has one.

        What little there is of many shards goes in one round trip.

        Raises one of `AWAY`: the leases then expire, and the rows say what is true. What is `UNLEASED` has none, and
        counts as a put that failed.
        """
        try:
            await self._send(done)
        except AWAY:
            if any(token == UNLEASED for _, token, _ in done):
                self._behind = self._failed_again = True
            if any(token != UNLEASED for _, token, _ in done):
                raise

    # What health and metrics use

    async def state(self) -> WheelState:
        """How the wheel does, without raising."""
        try:
            async with self._circuit.command(KEEPER_SECONDS), self.client.pipeline(transaction=False) as pipeline:
                for shard in range(self.shards):
                    pipeline.zcard(self._key(shard, "due"))
                    pipeline.zcard(self._key(shard, "leased"))
                return WheelState(True, sum(await pipeline.execute()), None)
        except AWAY as away:
            return WheelState(False, 0, str(away) or type(away).__name__)

    def _by_shard(self, entries: Sequence[Entry]) -> Iterable[tuple[int, list[tuple[str, int | None]]]]:
        parts: dict[int, list[tuple[str, int | None]]] = {}
        for entry in entries:
            parts.setdefault(shard_of(entry.community_id, self.shards), []).append((entry.member, entry.due_ms))
        return parts.items()

    async def _send(self, done: Sequence[Done]) -> None:
        calls: list[Call] = []
        entries = 0
        for shard, token, due_ms in done:
            for chunk in chunks(due_ms):
                if entries + len(chunk) > CHUNK:
                    await self._run(calls)
                    calls, entries = [], 0
                calls.append(self._call(shard, token, chunk))
                entries += len(chunk)
        if calls:
            await self._run(calls)

    async def _run(self, calls: Sequence[Call]) -> None:
        async with self._circuit.command(_AT_ONCE_SECONDS):
            await self._put.run(calls)

    def _call(self, shard: int, token: int, due_ms: Sequence[tuple[str, int | None]]) -> Call:
        now = self._clock.now_ms()
        horizon, wake_until = now + self.window_ms + WINDOW_MARGIN_MS, now + _WORTH_WAKING_MS
        flat: list[str | int | bytes] = [token, horizon, wake_until, WAKE_CHANNEL, shard]
        for member, at in due_ms:
            flat += (member.encode(errors=_ANY_BYTES), "" if at is None else self._score(member, at))
        return self._keys(shard, "due", "leased"), flat

    async def _mend(self) -> bool:
        """Find out whether Redis does what the wheel needs, and have the wheel loaded again where it fell behind.

        False when more has failed meanwhile. Raises one of `AWAY`.
        """
        # Those that were cut off without a word would each cost the next command its time.
        await self.client.connection_pool.disconnect(inuse_connections=False)
        await self._own()
        # A write that needs memory: a replica, and a Redis that is full, answer to everything else.
        await self.client.set(_PROBE, 1, px=1000)
        if tells_of_rights(self._circuit.error or ""):
            # Else it would be back, and away again with the next command. It takes time that nobody else is to wait.
            await self._trial.run(self._clock.now_ms())
        policy = await evicting_policy(self.client)
        self.may_evict = policy is not None and not self._allow_eviction
        if self.may_evict:
            log.error("redis_may_evict", category="ERROR", policy=policy)
        if self._behind:
            self._failed_again = False
            await self._unlink(*(("mark", "due", "leased") if self._stale else ("mark",)))
            # What failed meanwhile may have failed after its mark was dropped and the shard was loaded again.
            if self._failed_again:
                return False
            self._behind = self._stale = False
        return True
