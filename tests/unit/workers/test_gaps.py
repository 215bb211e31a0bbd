"""What can wait a moment is begun where nothing is to be sent for a while, or where that is longest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.workers.gaps import PATIENCE_MS, WIDE_MS, Gaps
from tests.clocks import ManualClock

AT_MS = 1_000


def gaps(due: list[int]) -> Gaps:
    return Gaps(ManualClock(), lambda until_ms: [one for one in sorted(due) if one <= until_ms])


@pytest.mark.parametrize(
    ("due", "begins"),
    [
        ([], 0),
        ([-5, -1], 0),
        ([WIDE_MS], 0),
        # Behind what is sent meanwhile, the millisecond in which it is sent included.
        ([WIDE_MS - 1], WIDE_MS),
        ([0], 1),
        ([3, 7], 8),
        ([3, 4 + WIDE_MS], 4),
        # Nowhere: where there is most time until the next.
        ([2, 9, 13, 18], 3),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0),
    ],
)
def test_it_begins_in_the_first_gap(due: list[int], begins: int) -> None:
    assert gaps([AT_MS + one for one in due]).after(AT_MS) - AT_MS == begins


@pytest.mark.parametrize(
    ("due", "begins"),
    [
        ([], 0),
        ([-1, WIDE_MS], 0),
        ([WIDE_MS - 1], -1),
        ([0], -WIDE_MS),
        ([2, 3, 4], 2 - WIDE_MS),
        ([2 - WIDE_MS - 1, 2], 2 - WIDE_MS),
        # Something would be sent meanwhile, now as well as then.
        ([2 - WIDE_MS, 2], 0),
        ([-1, 2], 0),
    ],
)
def test_what_may_not_be_later_begins_where_it_ends_before_the_next(due: list[int], begins: int) -> None:
    assert gaps([AT_MS + one for one in due]).before(AT_MS) - AT_MS == begins


@given(st.lists(st.integers(-30, 60), max_size=40))
def test_nobody_waits_for_long_and_no_gap_is_passed_over(due: list[int]) -> None:
    begins = gaps([AT_MS + one for one in due]).after(AT_MS) - AT_MS

    def width(begin: int) -> float:
        return min((one - begin for one in due if one >= begin), default=float("inf"))

    possible = [begin for begin in range(PATIENCE_MS + 1) if begin == 0 or begin - 1 in due]
    wide = [begin for begin in possible if width(begin) >= WIDE_MS]
    assert begins == (wide[0] if wide else max(possible, key=width))


@pytest.mark.parametrize(
    ("due", "seconds", "sleeps"),
    [
        ([], 0.0025, 0.003),
        ([5], 0.0025, 0.006),
        # It would end within the millisecond in which something is sent.
        ([2], 0.0025, 0.003),
        ([5], 0.0055, 0.006),
    ],
)
async def test_sleep_takes_as_long_as_it_is_told_to_and_ends_in_a_gap(
    due: list[int], seconds: float, sleeps: float
) -> None:
    clock = ManualClock()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    clock.sleep = sleep  # type: ignore[method-assign]
    now_ms = clock.now_ms()
    await Gaps(clock, lambda until_ms: [now_ms + one for one in due]).sleep(seconds)
    assert slept == [sleeps]
