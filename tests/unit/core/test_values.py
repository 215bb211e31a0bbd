"""Values of the hot path are values: equal by what they hold, usable as keys, and without a place for more."""

from dataclasses import replace

import pytest

from app.core.values import value


@value
class Point:
    """What a value looks like."""

    x: int
    label: str = "here"


def test_it_is_equal_and_hashed_by_what_it_holds() -> None:
    assert Point(1) == Point(1, "here") != Point(2)
    assert len({Point(1), Point(1), Point(2)}) == 2


def test_it_is_replaced_and_shown_as_a_dataclass() -> None:
    assert replace(Point(1), x=2) == Point(2)
    assert repr(Point(1)) == "Point(x=1, label='here')"


def test_it_has_no_place_for_what_it_does_not_name() -> None:
    with pytest.raises(AttributeError):
        Point(1).z = 3  # type: ignore[attr-defined]
