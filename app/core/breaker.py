"""The circuit of one target host: a host that keeps failing is left alone, and asked now and then whether it is back.

    closed ──10 failures in a row──▶ open ──cool-down──▶ half-open ──the probe is answered──▶ closed
                                      ▲                      │
                                      └──── the probe fails ─┘   (the cool-down doubles, up to 10 s)

Pure: time is a parameter, in seconds on a clock that only runs forward.
"""

from enum import StrEnum

FAILURES = 10
"""So many in a row, with no answer between them, open the circuit."""
COOL_DOWN_SECONDS = 1.0
LONGEST_COOL_DOWN_SECONDS = 10.0
_JITTER = 0.2
"""How much of a cool-down is left to chance, so that workers do not probe in step."""
_NEVER = -float("inf")


class Circuit(StrEnum):
    """Whether a host is sent to; in the half-open state one attempt at a time is, as a probe."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class Breaker:
    """Counts the failures of a host. Every attempt begins with `begin`, and ends with one of the other three.

    An attempt is known by the era in which it began: each opening and each closing begins another. So a failure of an
    attempt that began before neither prolongs the cool-down nor counts against a host that has come back meanwhile. An
    answer counts whenever it comes: the host works.

    The cool-down runs from the last failure: where attempts are rare, it is over before the next.
    """

    __slots__ = ("_cool_down_seconds", "_probe_seconds", "_probe_until", "closed", "era", "failed_at", "failures",
                 "open_until")  # fmt: skip

    def __init__(self, *, probe_seconds: float) -> None:
        """`probe_seconds`: a probe that has not ended after so long does not hold up the next."""
        self.era = 0
        self.closed = True
        self.failures = 0
        self.failed_at = _NEVER
        self.open_until = _NEVER
        self._probe_seconds = probe_seconds
        self._probe_until = _NEVER
        self._cool_down_seconds = COOL_DOWN_SECONDS

    def state(self, now: float) -> Circuit:
        """What the circuit shows."""
        if self.closed:
            return Circuit.CLOSED
        return Circuit.OPEN if now < self.open_until else Circuit.HALF_OPEN

    def lets(self, now: float) -> bool:
        """Whether an attempt may begin."""
        return self.closed or (now >= self.open_until and now >= self._probe_until)

    def begin(self, now: float) -> int:
        """An attempt begins. Returns its era; to be called only where `lets` says so."""
        if not self.closed:
            self._probe_until = now + self._probe_seconds
        return self.era

    def answered(self) -> bool:
        """The host works. Returns whether the circuit is closed by it."""
        self.failures = 0
        if self.closed:
            return False
        self.closed = True
        self.era += 1
        self._probe_until = _NEVER
        self._cool_down_seconds = COOL_DOWN_SECONDS
        return True

    def failed(self, era: int, now: float, draw: float) -> bool:
        """An attempt had no answer, or one that says that the host does not work; `draw` is chance, 0 to 1.

        Returns whether a closed circuit is opened by it.
        """
        if era != self.era:
            return False
        self.failures += 1
        self.failed_at = now
        opens = self.closed
        if opens and self.failures < FAILURES:
            return False
        if not opens:
            self._cool_down_seconds = min(self._cool_down_seconds * 2, LONGEST_COOL_DOWN_SECONDS)
        self.closed = False
        self.era += 1
        self.open_until = now + self._cool_down_seconds * (1 - _JITTER * draw)
        self._probe_until = _NEVER
        return opens

    def given_up(self, era: int) -> None:
        """An attempt was not made after all, or says nothing of the host: if it was the probe, another may begin."""
        if era == self.era:
            self._probe_until = _NEVER

    @property
    def cool_down_seconds(self) -> float:
        """How long the circuit stays open at present, where it does."""
        return self._cool_down_seconds
