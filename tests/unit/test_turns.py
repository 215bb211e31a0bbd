"""The line in which communities take turns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.workers.turns import Turns


def _drained(turns: Turns[str]) -> list[str]:
    return [turns.pop() for _ in range(len(turns))]


def test_one_community_is_served_in_its_own_order() -> None:
    turns: Turns[str] = Turns()
    for item in "abc":
        turns.append(1, item)
    assert _drained(turns) == ["a", "b", "c"]


def test_who_comes_later_does_not_wait_for_all_of_a_crowd() -> None:
    turns: Turns[str] = Turns()
    for number in range(1000):
        turns.append(1, f"crowd {number}")
    assert turns.pop() == "crowd 0"
    turns.append(2, "alone")
    assert [turns.pop(), turns.pop()] == ["crowd 1", "alone"]
    assert turns.pop() == "crowd 2"


def test_what_is_put_back_comes_before_the_others_of_its_community() -> None:
    turns: Turns[str] = Turns()
    for item in "abc":
        turns.append(1, item)
    turns.put_back(1, turns.pop())
    assert _drained(turns) == ["a", "b", "c"]
    turns.put_back(1, "d")
    assert _drained(turns) == ["d"]


def test_nobody_in_line_is_nobodys_turn() -> None:
    turns: Turns[str] = Turns()
    with pytest.raises(StopIteration):
        turns.pop()
    turns.append(1, "a")
    assert list(turns) == ["a"]
    turns.clear()
    assert (len(turns), list(turns)) == (0, [])


@given(st.lists(st.integers(1, 5), max_size=60))
def test_everybody_comes_once_and_none_waits_for_more_than_one_of_each_other(communities: list[int]) -> None:
    turns: Turns[tuple[int, int]] = Turns()
    for place, community in enumerate(communities):
        turns.append(community, (community, place))
    served = [turns.pop() for _ in communities]
    assert sorted(place for _, place in served) == list(range(len(communities)))
    for community in set(communities):
        places = [position for position, (whose, _) in enumerate(served) if whose == community]
        assert [place for whose, place in served if whose == community] == sorted(
            place for whose, place in served if whose == community
        )
        assert all(
            later - earlier <= len(set(communities)) for earlier, later in zip([-1, *places], places, strict=False)
        )
