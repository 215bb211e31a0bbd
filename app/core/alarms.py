"""An alarm to some fifty microseconds, where the timers of an event loop are good to a millisecond or two.

uvloop counts whole milliseconds, from when it last looked at the time. On Linux an alarm is a timer of the kernel's
(timerfd_create(2)), which wakes the loop as a socket does.
"""

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

FINE_WITHIN_SECONDS = 1.0
"""What is further away is not worth a timer of the kernel's: whoever waits looks at the clock, and waits again."""
_NANOSECONDS = 1_000_000_000
_EXPIRATIONS_BYTES = 8
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

SetAlarm = Callable[[float], bool]


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


@contextmanager
def alarm(ring: Callable[[], object]) -> Iterator[SetAlarm]:
    """For the length of a block, have `ring` called once, so many seconds after the alarm was set last.

    Setting it answers false where it cannot be had: too far away, on another system, or with no file left to open.
    """
    timer = -1 if _libc is None else _libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if timer < 0:
        yield lambda _seconds: False
        return

    def rung() -> None:
        # It may have been set again meanwhile.
        with suppress(BlockingIOError):
            os.read(timer, _EXPIRATIONS_BYTES)
            ring()

    loop = asyncio.get_running_loop()
    loop.add_reader(timer, rung)
    try:
        yield lambda seconds: seconds <= FINE_WITHIN_SECONDS and _set(timer, seconds)
    finally:
        loop.remove_reader(timer)
        os.close(timer)


def _set(timer: int, seconds: float) -> bool:
    assert _libc is not None
    # Zero would switch it off.
    whole, rest = divmod(max(round(seconds * _NANOSECONDS), 1), _NANOSECONDS)
    setting = _Setting(_Timespec(0, 0), _Timespec(whole, rest))
    return bool(_libc.timerfd_settime(timer, 0, ctypes.byref(setting), None) == 0)
