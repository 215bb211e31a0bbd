"""The circuit: opens after ten failures in a row, probes one at a time, and lets nothing old change what is new."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.core.breaker import FAILURES, Breaker, Circuit

PROBE_SECONDS = 35.0


def opened(breaker: Breaker, now: float) -> None:
    """Fail until it opens."""
    for number in range(1, FAILURES + 1):
        assert breaker.lets(now)
        assert breaker.failed(breaker.begin(now), now, 0.0) is (number == FAILURES)


def test_ten_failures_in_a_row_open_it_and_one_answer_starts_the_count_anew() -> None:
    breaker = Breaker(probe_seconds=PROBE_SECONDS)
    for _ in range(FAILURES - 1):
        assert not breaker.failed(breaker.begin(0), 0, 0.0)
    assert not breaker.answered()
    opened(breaker, 0)
    assert not breaker.lets(0)


def test_the_cool_down_doubles_up_to_half_a_minute_and_is_a_second_again_after_an_answer() -> None:
    breaker, now = Breaker(probe_seconds=PROBE_SECONDS), 100.0
    opened(breaker, now)
    for seconds in (1, 2, 4, 8, 10, 10):
        assert breaker.state(now + seconds - 0.001) is Circuit.OPEN
        assert not breaker.lets(now + seconds - 0.001)
        now += seconds
        assert breaker.state(now) is Circuit.HALF_OPEN
        assert not breaker.failed(breaker.begin(now), now, 0.0)
    assert breaker.answered()
    opened(breaker, now)
    assert breaker.lets(now + 1)


def test_chance_shortens_a_cool_down_by_a_fifth_at_most() -> None:
    for draw in (0.0, 0.5, 1.0):
        breaker = Breaker(probe_seconds=PROBE_SECONDS)
        for _ in range(FAILURES):
            breaker.failed(breaker.begin(0), 0, draw)
        assert abs(breaker.open_until - (1 - 0.2 * draw)) < 1e-9


def test_one_probe_at_a_time_and_none_for_ever() -> None:
    breaker = Breaker(probe_seconds=PROBE_SECONDS)
    opened(breaker, 0)
    lost = breaker.begin(1)
    assert not breaker.lets(1)
    assert not breaker.lets(1 + PROBE_SECONDS - 0.001)
    assert breaker.lets(1 + PROBE_SECONDS)
    assert breaker.begin(1 + PROBE_SECONDS) == lost


def test_a_probe_that_is_not_sent_makes_way_for_another() -> None:
    breaker = Breaker(probe_seconds=PROBE_SECONDS)
    old = breaker.begin(0)
    opened(breaker, 0)
    probe = breaker.begin(1)
    breaker.given_up(old)
    assert not breaker.lets(1)
    breaker.given_up(probe)
    assert breaker.lets(1)


def test_what_began_before_neither_prolongs_a_cool_down_nor_counts_against_a_host_that_is_back() -> None:
    breaker = Breaker(probe_seconds=PROBE_SECONDS)
    old = [breaker.begin(0) for _ in range(3 * FAILURES)]
    opened(breaker, 0)
    until = breaker.open_until
    for one in old[:FAILURES]:
        assert not breaker.failed(one, 0.5, 0.0)
    assert breaker.open_until == until
    breaker.begin(1)
    assert breaker.answered()
    for one in old[FAILURES:]:
        assert not breaker.failed(one, 30, 0.0)
    assert breaker.lets(30)


def test_an_answer_closes_it_whenever_its_attempt_began() -> None:
    breaker = Breaker(probe_seconds=PROBE_SECONDS)
    opened(breaker, 0)
    assert breaker.answered()
    assert breaker.lets(0)


class Host(RuleBasedStateMachine):
    """Attempts that begin whenever they may, and end in any order and in any way, beside a plain count."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(probe_seconds=PROBE_SECONDS)
        self.now = 0.0
        self.under_way: list[tuple[int, float]] = []
        self.probes: list[float] = []
        self.in_a_row = 0

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.9, 1.0, 5.0, 30.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.breaker.lets(self.now))
    @rule(number=st.integers(1, 12))
    def begin(self, number: int) -> None:
        for _ in range(number):
            if not self.breaker.closed:
                # Not before the shortest cool-down is over, and one at a time.
                assert self.now - self.breaker.failed_at >= 0.8
                self.probes = [began for began in self.probes if began + PROBE_SECONDS > self.now]
                assert not self.probes
                self.probes.append(self.now)
            self.under_way.append((self.breaker.begin(self.now), self.now))
            if not self.breaker.lets(self.now):
                break

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), draw=st.floats(0, 1))
    def fail(self, data: st.DataObject, draw: float) -> None:
        era, _ = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        current, before = era == self.breaker.era, self.breaker.open_until
        was_closed = self.breaker.closed
        opens = self.breaker.failed(era, self.now, draw)
        if not current:
            assert not opens
            assert (self.breaker.open_until, self.breaker.closed) == (before, was_closed)
            return
        self.in_a_row += 1
        assert opens is (was_closed and self.in_a_row == FAILURES)
        if not self.breaker.closed:
            self.probes.clear()
            assert 0.8 - 1e-9 <= self.breaker.open_until - self.now <= 10.0

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        was_closed = self.breaker.closed
        assert self.breaker.answered() is not was_closed
        self.in_a_row = 0
        self.probes.clear()

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        era, _ = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        if era == self.breaker.era:
            self.probes.clear()
        self.breaker.given_up(era)

    @invariant()
    def it_is_never_shut_for_good(self) -> None:
        assert self.breaker.lets(self.now + max(30.0, PROBE_SECONDS))
        assert self.breaker.closed == (self.breaker.state(self.now) is Circuit.CLOSED)
        assert self.breaker.closed == (self.in_a_row < FAILURES)


TestHost = Host.TestCase
TestHost.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
