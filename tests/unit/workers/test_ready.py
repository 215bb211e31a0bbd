"""Who is sent next: communities take turns, and in each its hosts."""

import random
from collections import deque
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.workers.lane import Due, Lane
from app.workers.ready import Ready
from app.workers.shares import Repute
from tests.unit.delivery.assignments import assignment


def lane(host: str | None, *, good: bool = True) -> Lane:
    """A host's, in good repute or not."""
    repute = Repute.QUICK if good else Repute.SLOW
    return Lane(f"https://{host}", host, bound=100, rate=None, probe_seconds=1, now=0, repute=repute)


def due(where: Lane, community_id: int = 1, number: int = 0) -> Due:
    """One for that host."""
    return Due(assignment(execution_id=UUID(int=number), community_id=community_id, host=where.host), where, 0)


def drained(ready: Ready) -> list[tuple[int, str | None]]:
    """Everybody, in turn."""
    return [(one.assignment.community_id, one.lane.host) for one in (ready.pop() for _ in range(len(ready)))]


def test_hosts_take_turns_within_the_turns_of_their_community() -> None:
    ready, crowd = Ready(), lane("crowd")
    for _ in range(3):
        ready.append(due(crowd))
    ready.append(due(lane("other")))
    ready.append(due(lane(None)))
    ready.append(due(crowd, community_id=2))
    assert drained(ready) == [(1, "crowd"), (2, "crowd"), (1, "other"), (1, None), (1, "crowd"), (1, "crowd")]


def test_those_that_are_slow_or_take_nothing_have_one_turn_together() -> None:
    ready, refuses = Ready(), lane("refuses")
    refuses.took = False
    new = lane("new", good=False)
    for host in (new, new, refuses, lane("slow", good=False)):
        ready.append(due(host))
    for _ in range(2):
        ready.append(due(lane("good")))
    ready.put_back(ready.pop())
    assert [host for _, host in drained(ready)] == ["good", "refuses", "good", "slow", "new", "new"]


def test_what_is_put_back_comes_before_the_others_of_its_host() -> None:
    ready, host = Ready(), lane("a")
    for number in range(3):
        ready.append(due(host, number=number))
    ready.put_back(ready.pop())
    assert [one.assignment.execution_id.int for one in ready] == [0, 1, 2]
    assert len(ready) == 3


def test_nobody_in_line_is_nobodys_turn() -> None:
    ready = Ready()
    with pytest.raises(StopIteration):
        ready.pop()
    ready.append(due(lane("a")))
    ready.clear()
    assert (len(ready), list(ready)) == (0, [])


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), max_size=60), st.randoms())
def test_everybody_comes_once_in_the_order_of_its_line_and_waits_for_one_of_each_other(
    entries: list[tuple[int, int]], rng: random.Random
) -> None:
    ready, lines = Ready(), dict[tuple[int, int], deque[int]]()
    hosts = {number: lane(f"host-{number}") for number in range(1, 5)}
    waited: dict[tuple[int, int], int] = {}
    left = list(enumerate(entries))
    while left or len(ready):
        if left and (not len(ready) or rng.random() < 0.6):
            number, key = left.pop(0)
            ready.append(due(hosts[key[1]], community_id=key[0], number=number))
            lines.setdefault(key, deque()).append(number)
            waited.setdefault(key, 0)
            continue
        one = ready.pop()
        key = one.assignment.community_id, int((one.lane.host or "-")[-1])
        assert one.assignment.execution_id.int == lines[key].popleft()
        for other in list(waited):
            waited[other] += 1
        waited[key] = 0
        if not lines[key]:
            del lines[key], waited[key]
        # Three communities of four hosts each.
        assert all(turns < 3 * 4 for turns in waited.values())
    assert not lines
