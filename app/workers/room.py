"""How much to claim: what goes out within a moment at the rate at which a worker delivers of late."""

from app.core.clock import Clock

HELD_AT_MOST = 1_000
"""What is recorded but not sent is what a crash delays."""
FEW = 50
"""Room of its own for what little is due beside a crowd: it does not wait until the crowd leaves some."""
_FOR_A_CROWD = HELD_AT_MOST - FEW
LARGEST_BATCH = 250
"""Entries in one batch at most: a larger one holds Redis and Postgres for longer than it saves."""
_LEAST_BATCH = 100
_FIRST_BATCH = 25
"""While next to nothing goes out: of a crowd that is due at one instant the first are to be recorded before it."""
_BATCH_SECONDS = 0.02
_ROUNDS_AHEAD = 4
_SECONDS_AHEAD = 0.15
_WORTH_A_CLAIM = 0.25
_FADES_WITHIN_SECONDS = 1.0


class Room:
    """Knows the rate, of which half of what was a second ago counts."""

    def __init__(self, clock: Clock, *, concurrency: int) -> None:
        self._clock = clock
        self._concurrency = concurrency
        self._delivered = 0.0
        self._counted_at = clock.monotonic()

    def delivered(self) -> None:
        """One more was."""
        self._delivered = self._per_second() + 1 / _FADES_WITHIN_SECONDS
        self._counted_at = self._clock.monotonic()

    def left(self, *, waiting: int, in_flight: int) -> int:
        """How many more executions could be delivered soon.

        The high-water mark is what goes out within a moment at the present rate, at least a few rounds of the
        concurrency, at most 1000: more would only make its tail late, and out of the other workers' reach. Below a
        quarter of it there is no room, so that batches are worth their transaction.
        """
        room = self._below_the_mark(waiting, in_flight)
        return room if room >= min(self._mark(), _FOR_A_CROWD) * _WORTH_A_CLAIM else 0

    def has_plenty(self, *, waiting: int) -> bool:
        """Whether half of the mark is free: what is only due later is not to take the room of what is due now."""
        return 2 * waiting <= self._mark()

    def left_for_few(self, *, waiting: int, in_flight: int) -> int:
        """The same for what little is due beside a crowd: also when there is no room for more of that."""
        return self._below_the_mark(waiting, in_flight) + FEW

    def batch(self) -> int:
        """How many entries to record at once: what goes out within a moment at the present rate.

        More would share the round trips among more, and make a community that comes meanwhile wait for longer.
        """
        at_this_rate = int(self._per_second() * _BATCH_SECONDS)
        return min(max(at_this_rate, _LEAST_BATCH if at_this_rate else _FIRST_BATCH), LARGEST_BATCH)

    def _below_the_mark(self, waiting: int, in_flight: int) -> int:
        return min(self._mark() - in_flight, _FOR_A_CROWD) - waiting

    def _mark(self) -> int:
        return int(max(self._per_second() * _SECONDS_AHEAD, _ROUNDS_AHEAD * self._concurrency))

    def _per_second(self) -> float:
        faded: float = 0.5 ** ((self._clock.monotonic() - self._counted_at) / _FADES_WITHIN_SECONDS)
        return self._delivered * faded
