"""When a child process that has ended by itself is started again, and how its end is told."""

import contextlib
import signal

_SECOND_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 10.0
_STABLE_SECONDS = 30.0
"""Who ran that long has come up well: its next end is a first one."""


class Restarts:
    """The ends of one child: after each it waits for twice as long as before, up to ten seconds."""

    def __init__(self, *, first_delay_seconds: float = 0.0) -> None:
        self._first_seconds = self._next_seconds = first_delay_seconds

    def delay_seconds(self, ran_seconds: float) -> float:
        """How long to wait before the next start of one that ended after so long, or could not be started."""
        if ran_seconds > _STABLE_SECONDS:
            self._next_seconds = self._first_seconds
        delay_seconds = self._next_seconds
        self._next_seconds = min(max(2 * delay_seconds, _SECOND_DELAY_SECONDS), _LONGEST_DELAY_SECONDS)
        return delay_seconds


def spoken(status: int) -> str:
    """An exit status in words, as `subprocess` has it: negative for a signal."""
    if status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
    return f"status {status}"
