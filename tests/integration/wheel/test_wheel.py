"""Claim, put, ack, offer and the marks, against a real Redis."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from app.core.clock import to_ms
from app.wheel.answers import Mark
from app.wheel.entries import execution_entry, schedule_entry
from app.wheel.script import Call
from app.wheel.wheel import UNLEASED, WINDOW_MARGIN_MS, Wheel
from tests.clocks import START, ManualClock
from tests.integration.wheel.wheels import (
    AHEAD_MS,
    COMMUNITY,
    LEASE_MS,
    SHARD,
    SHARDS,
    WINDOW_MS,
    claim,
    community_in,
    drop_marks,
    entry,
    standing,
)

NOW = to_ms(START)
ID = UUID("0192f3a0-0000-7000-8000-00000000c0de")


# claim


async def test_what_is_due_within_the_claim_ahead_is_claimed_earliest_first(wheel: Wheel) -> None:
    await wheel.put([entry("s:c", NOW + AHEAD_MS), entry("s:a", NOW - 9), entry("s:b", NOW)])
    await wheel.put([entry("s:later", NOW + AHEAD_MS + 1)])
    claimed = await claim(wheel)
    assert claimed.members == ("s:a", "s:b", "s:c")
    assert (claimed.next_ms, claimed.marked, claimed.shard) == (NOW + AHEAD_MS + 1, False, SHARD)
    assert await standing(wheel) == {"s:later": NOW + AHEAD_MS + 1}
    assert await standing(wheel, "leased") == dict.fromkeys(claimed.members, claimed.token)


async def test_an_empty_shard_gives_nothing(wheel: Wheel) -> None:
    claimed = await claim(wheel)
    assert (claimed.members, claimed.next_ms, claimed.marked) == ((), None, False)
    assert await wheel.client.keys() == []


async def test_a_far_claim_takes_schedules_further_ahead_and_executions_at_their_time(wheel: Wheel) -> None:
    reach_ms = wheel.reach_ms
    assert reach_ms > AHEAD_MS + 1
    await wheel.put([entry("s:now", NOW), entry("s:reach", NOW + reach_ms), entry("s:later", NOW + reach_ms + 1)])
    await wheel.put([entry("x:now", NOW), entry("x:soon", NOW + 1), entry("s:after", NOW + AHEAD_MS + 2)])
    (claimed,) = await wheel.claim([SHARD], limit=10, lease_ms=LEASE_MS, far=True)
    assert claimed.members == ("s:now", "x:now", "s:after", "s:reach")
    assert set(await standing(wheel)) == {"x:soon", "s:later"}
    assert set(await standing(wheel, "leased")) == set(claimed.members)
    # What is taken ahead takes nobody's room.
    await wheel.put([entry("s:ahead", NOW + AHEAD_MS + 1), entry("s:due", NOW)])
    (claimed,) = await wheel.claim([SHARD], limit=1, lease_ms=LEASE_MS, far=True)
    assert claimed.members == ("s:due",)
    await wheel.put([entry("s:ahead2", NOW + AHEAD_MS + 1), entry("s:due", NOW)])
    (claimed,) = await wheel.claim([SHARD], limit=2, lease_ms=LEASE_MS, far=True)
    assert claimed.members == ("s:due", "s:ahead")


async def test_past_a_backlog_schedules_are_claimed_further_ahead_too(wheel: Wheel) -> None:
    await wheel.put([entry(f"s:late{n:02}", NOW - 1_000 + n // 20) for n in range(40)])
    await wheel.put([entry("s:ahead", NOW + wheel.reach_ms), entry("x:soon", NOW + 1), entry("x:now", NOW)])
    claimed = await claim(wheel, limit=16)
    _, passing = claimed.parted()
    assert passing.members[0] == "s:ahead"
    assert {"x:soon", "x:now"}.isdisjoint(claimed.members)


async def test_an_execution_is_met_exactly_at_its_time(wheel: Wheel, clock: ManualClock) -> None:
    await wheel.put([execution_entry(COMMUNITY, ID, START), schedule_entry(COMMUNITY, ID, START)])
    clock.step_back(0.050)
    assert (await claim(wheel)).members == (f"s:{ID}",)
    clock.move(0.049)
    assert (await claim(wheel)).members == ()
    clock.move(0.001)
    assert (await claim(wheel)).members == (f"x:{ID}",)


async def test_a_claim_takes_no_more_than_there_is_room_for(wheel: Wheel) -> None:
    await wheel.put([entry(f"s:{n}", NOW - 100 + n) for n in range(10)])
    assert (await claim(wheel, limit=4)).members == ("s:0", "s:1", "s:2", "s:3")
    assert (await claim(wheel, limit=0)).members == ()
    assert len((await claim(wheel)).members) == 6


async def test_where_more_are_late_than_fit_the_newest_get_an_eighth(wheel: Wheel) -> None:
    await wheel.put([entry(f"s:late{n:02}", NOW - 1_000 + n // 20) for n in range(40)])
    await wheel.put([entry(f"s:new{n}", NOW + n) for n in range(4)])
    claimed = await claim(wheel, limit=16)
    assert claimed.members == (*(f"s:late{n:02}" for n in range(14)), "s:new3", "s:new2")
    backlog, passing = claimed.parted()
    assert (backlog.members, passing.members) == (claimed.members[:14], ("s:new3", "s:new2"))
    assert backlog.token == passing.token == claimed.token
    # Each part gives back its own.
    await wheel.ack([(SHARD, passing.token, [(member, None) for member in passing.members])])
    assert set(await standing(wheel, "leased")) == set(backlog.members)
    assert set(await standing(wheel)).isdisjoint(claimed.members)


async def test_of_the_newest_occurrences_come_before_what_is_looked_at_again(wheel: Wheel) -> None:
    await wheel.put([entry(f"x:late{n:02}", NOW - 1_000) for n in range(20)])
    await wheel.put([entry("s:new", NOW)] + [entry(f"x:again{n}", NOW - 9 + n) for n in range(5)])
    claimed = await claim(wheel, limit=16)
    assert claimed.members[-claimed.passing :] == ("s:new", "x:again4")
    assert set(claimed.members[: -claimed.passing]) == {f"x:late{n:02}" for n in range(14)}


async def test_past_a_backlog_executions_are_claimed_at_their_time_and_not_before(wheel: Wheel) -> None:
    await wheel.put([entry(f"x:late{n:02}", NOW - 1_000) for n in range(20)])
    await wheel.put([entry("x:soon", NOW + 1), entry("x:now", NOW)])
    assert wheel.reach_ms > AHEAD_MS + 1
    claimed = await claim(wheel, limit=16)
    assert claimed.members[-claimed.passing :] == ("x:now",)


@pytest.mark.parametrize(
    ("late", "new", "why"),
    [
        (14, 2, "all of them fit"),
        (40, 0, "all are as old"),
        (0, 40, "none is late"),
    ],
)
async def test_nobody_passes_others_by_where(wheel: Wheel, late: int, new: int, why: str) -> None:
    await wheel.put([entry(f"s:late{n:02}", NOW - 1) for n in range(late)])
    await wheel.put([entry(f"s:new{n:02}", NOW + n) for n in range(new)])
    claimed = await claim(wheel, limit=16)
    assert (len(claimed.members), claimed.passing) == (16, 0), why
    assert list(claimed.members) == sorted(claimed.members)


async def test_of_little_room_nothing_is_for_the_newest(wheel: Wheel) -> None:
    await wheel.put([entry(f"s:late{n}", NOW - 9) for n in range(9)] + [entry("s:new", NOW)])
    assert (await claim(wheel, limit=7)).passing == 0
    # What is left of the room is what expired leases leave of it.
    assert len((await claim(wheel)).members) == 3


async def test_tokens_are_unique_within_one_millisecond(wheel: Wheel) -> None:
    await wheel.put([entry(f"s:{n}", NOW) for n in range(50)])
    claims = [await claim(wheel, limit=5) for _ in range(10)]
    tokens = [claimed.token for claimed in claims]
    assert tokens == [NOW + LEASE_MS + n for n in range(10)]
    for token in tokens[:5]:
        # Each drops its own five, and nobody else's.
        await wheel.ack([(SHARD, token, [(f"s:{n}", None) for n in range(50)])])
    assert len(await standing(wheel, "leased")) == 25


async def test_tokens_stay_unique_where_clocks_and_leases_differ(wheel: Wheel, clock: ManualClock) -> None:
    await wheel.put([entry(f"s:{n}", NOW - 100_000) for n in range(9)])
    tokens = []
    for back, lease_ms in ((0.0, 9_000), (0.9, 1_000), (30.0, 1), (0.0, 5_000)):
        clock.step_back(back)
        tokens.append((await claim(wheel, limit=2, lease_ms=lease_ms)).token)
    assert tokens == sorted(set(tokens))


async def test_tokens_stay_unique_when_the_wheel_is_thrown_away(wheel: Wheel) -> None:
    await wheel.put([entry("s:a", NOW)])
    first = await claim(wheel)
    await wheel.clear()
    await wheel.put([entry("s:a", NOW)])
    second = await claim(wheel)
    assert second.token > first.token
    await wheel.ack([(SHARD, first.token, [("s:a", None)])])
    assert await standing(wheel, "leased") == {"s:a": second.token}


async def test_expired_leases_come_before_what_is_due(wheel: Wheel, clock: ManualClock) -> None:
    await wheel.put([entry("s:lost", NOW), entry("s:lost2", NOW)])
    lost = await claim(wheel)
    clock.move(LEASE_MS / 1000 - 0.001)
    await wheel.put([entry("s:new", NOW - 99_999)])
    assert (await claim(wheel, limit=0)).next_ms == NOW - 99_999
    clock.move(0.001)
    claimed = await claim(wheel, limit=2)
    assert claimed.members == ("s:lost", "s:lost2")
    assert claimed.token > lost.token
    assert (await claim(wheel)).members == ("s:new",)
    # What the first one does late is its own lease's, which is gone.
    await wheel.ack([(SHARD, lost.token, [("s:lost", NOW + 10), ("s:lost2", None)])])
    assert (await standing(wheel, "leased"))["s:lost"] == claimed.token
    assert await standing(wheel) == {"s:lost": NOW + 10}


async def test_a_lease_that_ends_later_than_any_can_is_claimed_anew(wheel: Wheel, clock: ManualClock) -> None:
    await wheel.put([entry("s:a", NOW)])
    await claim(wheel, lease_ms=60_000)
    # The longest that may be, given by a process whose clock is ahead of this one's.
    clock.step_back(5)
    assert (await claim(wheel)).members == ()
    clock.step_back(0.001)
    assert (await claim(wheel)).members == ("s:a",)


async def test_a_late_ack_leaves_the_lease_alone_that_a_clock_that_was_set_back_has_given(
    wheel: Wheel, clock: ManualClock
) -> None:
    await wheel.put([entry("s:a", NOW)])
    lost = await claim(wheel)
    clock.step_back(3_600)
    again = await claim(wheel)
    assert again.token < lost.token
    await wheel.ack([(SHARD, lost.token, [("s:a", None)])])
    assert await standing(wheel, "leased") == {"s:a": again.token}


async def test_of_expired_and_stranded_leases_no_more_are_claimed_than_there_is_room_for(
    wheel: Wheel, clock: ManualClock
) -> None:
    await wheel.put([entry("s:stranded", NOW), entry("s:stranded2", NOW)])
    await claim(wheel)
    clock.step_back(3_600)
    await wheel.client.zadd(f"{{ss:{SHARD}}}:leased", {"s:expired": NOW - 3_600_000})
    claimed = await claim(wheel, limit=2)
    assert len(claimed.members) == 2
    assert claimed.members[0] == "s:expired"


async def test_a_lease_is_known_by_when_it_wants_a_look(wheel: Wheel) -> None:
    await wheel.put([entry("s:a", NOW)])
    await wheel.put([entry("s:later", NOW + LEASE_MS + 1)])
    claimed = await claim(wheel)
    assert claimed.next_ms == NOW + LEASE_MS
    await wheel.put([entry("s:b", NOW + 900)])
    assert (await claim(wheel)).next_ms == NOW + 900


async def test_an_entry_that_is_leased_and_due_at_once_comes_once(wheel: Wheel, clock: ManualClock) -> None:
    await wheel.put([entry("s:a", NOW)])
    await claim(wheel)
    await wheel.put([entry("s:a", NOW + 1)])
    clock.move(LEASE_MS / 1000)
    claimed = await claim(wheel)
    assert claimed.members == ("s:a",)
    await wheel.ack([(SHARD, claimed.token, [("s:a", None)])])
    assert await standing(wheel) == await standing(wheel, "leased") == {}


async def test_shards_are_claimed_apart_in_the_order_asked_for(wheel: Wheel) -> None:
    await wheel.put([entry(f"s:{shard}", NOW, community_in(shard)) for shard in range(SHARDS)])
    order = [2, 0, 3, 1]
    claims = await wheel.claim(order, limit=10, lease_ms=LEASE_MS)
    assert [(claimed.shard, claimed.members) for claimed in claims] == [(shard, (f"s:{shard}",)) for shard in order]
    assert await wheel.claim([], limit=10, lease_ms=LEASE_MS) == []


async def test_claims_at_once_share_what_is_due_without_an_overlap(wheel: Wheel) -> None:
    await wheel.put([entry(f"s:{n}", NOW - n) for n in range(1000)])
    claims = await asyncio.gather(*(claim(wheel, limit=77) for _ in range(16)))
    taken = Counter(member for claimed in claims for member in claimed.members)
    assert set(taken) == {f"s:{n}" for n in range(1000)}
    assert set(taken.values()) == {1}
    assert len({claimed.token for claimed in claims if claimed.members}) == sum(bool(one.members) for one in claims)


# put and ack


@pytest.mark.parametrize("kind", ["s", "x"])
async def test_no_put_ack_or_offer_ever_moves_an_entry_later(wheel: Wheel, kind: str) -> None:
    member, shift = f"{kind}:{ID}", AHEAD_MS if kind == "x" else 0
    await wheel.begin_load(SHARD, "epoch")
    generator = random.Random(7)
    least = None
    for _ in range(60):
        at = NOW + generator.randrange(100_000)
        how = generator.choice(["put", "ack", "offer"])
        if how == "put":
            await wheel.put([entry(member, at)])
        elif how == "ack":
            await wheel.ack([(SHARD, 12345, [(member, at)])])
        else:
            await wheel.offer(SHARD, "epoch", [(member, at)])
        least = at + shift if least is None else min(least, at + shift)
        assert await standing(wheel) == {member: least}


async def test_what_is_due_beyond_the_window_and_its_margin_is_left_to_the_keeper(wheel: Wheel) -> None:
    horizon = NOW + WINDOW_MS + WINDOW_MARGIN_MS
    await wheel.put([entry("s:in", horizon), entry("s:out", horizon + 1)])
    await wheel.ack([(SHARD, 1, [("s:acked", horizon), ("s:gone", horizon + 1), ("s:none", None)])])
    assert set(await standing(wheel)) == {"s:in", "s:acked"}


async def test_an_ack_drops_the_lease_and_puts_what_comes_next(wheel: Wheel) -> None:
    await wheel.put([entry("s:a", NOW), entry("s:b", NOW), entry("x:c", NOW - AHEAD_MS)])
    claimed = await claim(wheel)
    due: list[tuple[str, int | None]] = [("s:a", NOW + 60_000), ("s:b", None), ("x:c", NOW + 9)]
    await wheel.ack([(SHARD, claimed.token, due)])
    assert await standing(wheel, "leased") == {}
    assert await standing(wheel) == {"s:a": NOW + 60_000, "x:c": NOW + 9 + AHEAD_MS}
    # The same answer again, as after a lost one, changes nothing.
    await wheel.ack([(SHARD, claimed.token, due)])
    assert await standing(wheel) == {"s:a": NOW + 60_000, "x:c": NOW + 9 + AHEAD_MS}


async def test_what_little_there_is_of_many_shards_goes_in_one_round_trip(wheel: Wheel) -> None:
    trips: list[int] = []
    run = wheel._put.run

    async def noted(calls: Sequence[Call]) -> list[Any]:
        trips.append(len(calls))
        return await run(calls)

    wheel._put.run = noted  # type: ignore[method-assign]
    await wheel.put([entry(f"s:{shard}", NOW, community_in(shard)) for shard in range(SHARDS)])
    claims = await wheel.claim(range(SHARDS), limit=10, lease_ms=LEASE_MS)
    await wheel.ack([(one.shard, one.token, [(one.members[0], NOW + 9)]) for one in claims])
    assert trips == [SHARDS, SHARDS]
    for shard in range(SHARDS):
        assert await standing(wheel, "leased", shard) == {}
        assert await standing(wheel, "due", shard) == {f"s:{shard}": NOW + 9}
    # However many they are, no trip holds Redis for long.
    trips.clear()
    many: list[tuple[str, int | None]] = [(f"s:{number}", NOW) for number in range(450)]
    await wheel.ack([(0, UNLEASED, many), (1, UNLEASED, many[:150])])
    assert trips == [1, 1, 2]
    await wheel.ack([(0, UNLEASED, many[:300]), (1, UNLEASED, many[:100]), (2, UNLEASED, [])])
    assert trips[3:] == [1, 2]


async def test_a_put_takes_no_lease_away(wheel: Wheel) -> None:
    await wheel.put([entry("s:a", NOW)])
    claimed = await claim(wheel)
    await wheel.put([entry("s:a", NOW + 5)])
    assert await standing(wheel, "leased") == {"s:a": claimed.token}
    assert await standing(wheel) == {"s:a": NOW + 5}


async def test_thousands_of_entries_go_in_and_out(wheel: Wheel) -> None:
    await wheel.put([])
    await wheel.put([entry(f"s:{n}", NOW, n % 50) for n in range(5_001)])
    assert (await wheel.state()).entries == 5_001
    seen: set[str] = set()
    for shard in range(SHARDS):
        while (claimed := await claim(wheel, limit=500, shard=shard)).members:
            seen |= set(claimed.members)
            await wheel.ack([(shard, claimed.token, [(member, None) for member in claimed.members])])
    assert len(seen) == 5_001
    state = await wheel.state()
    assert (state.connected, state.entries, state.error) == (True, 0, None)


async def test_far_and_odd_times_are_no_trouble(wheel: Wheel) -> None:
    await wheel.put([entry("s:past", -(10**15)), entry("s:epoch", 0), entry("s:future", 253_402_300_799_999)])
    assert (await claim(wheel)).members == ("s:past", "s:epoch")
    assert await standing(wheel) == {}


# offer, marks, loads


async def test_an_offer_mends_what_is_missing_or_stands_later_and_counts_it(wheel: Wheel) -> None:
    await wheel.begin_load(SHARD, "epoch")
    await wheel.put([entry("s:later", NOW + 500), entry("s:same", NOW + 100), entry("s:earlier", NOW + 50)])
    await wheel.put([entry("s:leased", NOW)])
    claimed = await claim(wheel, limit=1)
    assert claimed.members == ("s:leased",)
    offered = [(f"s:{name}", NOW + 100) for name in ("later", "same", "earlier", "leased", "missing")]
    assert await wheel.offer(SHARD, "epoch", offered) == 2
    assert await standing(wheel) == {
        "s:later": NOW + 100,
        "s:same": NOW + 100,
        "s:earlier": NOW + 50,
        "s:missing": NOW + 100,
    }
    assert await standing(wheel, "leased") == {"s:leased": claimed.token}
    assert await wheel.offer(SHARD, "epoch", offered) == 0
    assert await wheel.offer(SHARD, "epoch", []) == 0


async def test_an_offer_of_thousands_is_whole(wheel: Wheel) -> None:
    await wheel.begin_load(SHARD, "epoch")
    assert await wheel.offer(SHARD, "epoch", [(f"x:{n}", NOW + n) for n in range(4_321)]) == 4_321
    assert (await standing(wheel))["x:4320"] == NOW + 4_320 + AHEAD_MS


async def test_an_offer_under_a_lost_epoch_does_nothing(wheel: Wheel) -> None:
    assert await wheel.offer(SHARD, "never", [("s:a", NOW)]) is None
    await wheel.begin_load(SHARD, "first")
    await wheel.begin_load(SHARD, "second")
    assert await wheel.offer(SHARD, "first", [("s:a", NOW)]) is None
    assert not await wheel.raise_mark(SHARD, "first", NOW)
    await wheel.client.flushall()
    assert await wheel.offer(SHARD, "second", [("s:a", NOW)]) is None
    assert not await wheel.raise_mark(SHARD, "second", NOW)
    assert await wheel.client.keys() == []


async def test_a_mark_is_raised_by_the_load_that_began_it(wheel: Wheel) -> None:
    assert await wheel.marks() == [None] * SHARDS
    mark = await wheel.begin_load(SHARD, "epoch")
    assert mark == Mark("epoch", 0, SHARDS)
    claimed = await claim(wheel)
    assert (claimed.marked, claimed.loaded) == (True, False)
    assert await wheel.raise_mark(SHARD, "epoch", NOW + 7)
    assert (await claim(wheel)).loaded
    expected: list[Mark | None] = [None] * SHARDS
    expected[SHARD] = Mark("epoch", NOW + 7, SHARDS)
    assert await wheel.marks() == expected
    # A load that was overtaken has not read what was lost since.
    assert not await wheel.raise_mark(SHARD, "an earlier one", NOW + 9)
    assert await wheel.marks() == expected
    await drop_marks(wheel)
    assert not await wheel.raise_mark(SHARD, "epoch", NOW + 9)
    assert await wheel.marks() == [None] * SHARDS


async def test_a_mark_for_another_number_of_shards_is_none(wheel: Wheel) -> None:
    await wheel.begin_load(SHARD, "epoch")
    await wheel.raise_mark(SHARD, "epoch", NOW)
    claimed = await claim(wheel)
    assert (claimed.marked, claimed.loaded) == (True, True)
    await wheel.client.hset(f"{{ss:{SHARD}}}:mark", "shards", SHARDS + 1)
    assert await wheel.marks() == [None] * SHARDS
    claimed = await claim(wheel)
    assert (claimed.marked, claimed.loaded) == (False, False)


@pytest.mark.parametrize("lost", ["epoch", "loaded_until", "shards"])
async def test_half_a_mark_is_none(wheel: Wheel, lost: str) -> None:
    await wheel.begin_load(SHARD, "epoch")
    await wheel.client.hdel(f"{{ss:{SHARD}}}:mark", lost)
    assert await wheel.marks() == [None] * SHARDS
    assert not (await claim(wheel)).marked


async def test_a_shard_that_lost_its_mark_is_lost_and_its_entries_are_claimed(wheel: Wheel) -> None:
    for shard in range(SHARDS):
        await wheel.begin_load(shard, "epoch")
    await wheel.put([entry("s:a", NOW)])
    await drop_marks(wheel)
    assert await wheel.marks() == [None] * SHARDS
    claimed = await claim(wheel)
    assert (claimed.members, claimed.marked) == (("s:a",), False)


async def test_clearing_throws_everything_away(wheel: Wheel) -> None:
    for shard in range(SHARDS):
        await wheel.begin_load(shard, "epoch")
        await wheel.put([entry("s:a", NOW, community_in(shard)), entry("s:b", NOW + 999, community_in(shard))])
        await claim(wheel, shard=shard)
    await wheel.clear()
    assert (await wheel.state()).entries == 0
    assert await wheel.marks() == [None] * SHARDS


async def test_every_key_of_a_shard_has_one_hash_tag(wheel: Wheel) -> None:
    await wheel.begin_load(SHARD, "epoch")
    await wheel.put([entry("s:a", NOW), entry("s:b", NOW + 999)])
    await claim(wheel)
    assert set(await wheel.client.keys()) == {
        f"{{ss:{SHARD}}}:{name}".encode() for name in ("due", "leased", "token", "mark")
    }
