"""Named points on the way of a firing, where tests stop, look, or kill; free in production."""

from enum import StrEnum


class Point(StrEnum):
    """Where a worker can be met."""

    CLAIMED = "claimed"
    RECORDED = "recorded"
    ACKED = "acked"
    ANSWERED = "answered"
    SETTLED = "settled"


class Signals:
    """Does nothing; a test passes one that does."""

    async def reached(self, point: Point) -> None:
        """A stage has just passed this point."""
