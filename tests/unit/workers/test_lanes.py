"""Lanes by themselves: whatever order things end in, no host has more than its places, and nobody is lost."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.core.assignment import Assignment
from app.core.breaker import FAILURES
from app.core.limits import Limits
from app.core.schedule import RetryPolicy
from app.core.target import Target, host_of
from app.delivery.answer import Meaning, Verdict
from app.delivery.sender import Delivered
from app.metrics import Metrics
from app.wheel.rate import Rates
from app.workers.giving import GiveBack
from app.workers.lane import WAIT_AT_MOST, Due
from app.workers.lanes import Lanes
from app.workers.later import Behind, Later
from app.workers.shares import Repute
from tests.clocks import START, ManualClock
from tests.unit.delivery.assignments import assignment

BOUND = 3
_ENDS = [200, 404, 429, 500, 503, None, None, None]


class Given(GiveBack):
    """Takes note of who is given back."""

    def __init__(self) -> None:
        self.given: list[Later] = []

    def __len__(self) -> int:
        return 0

    def add(self, one: Later) -> None:
        self.given.append(one)

    def clear(self) -> list[Assignment]:
        return []


class NoRates(Rates):
    """Nobody has a rate."""

    def __init__(self) -> None:
        self.forgotten: list[str | None] = []

    def forget(self, host: str | None) -> None:
        self.forgotten.append(host)


@dataclass
class Rig:
    """Lanes on a clock by hand, and who got a place."""

    clock: ManualClock
    lanes: Lanes
    giving: Given
    entered: list[Due]
    changes: list[float]
    metrics: Metrics
    rates: NoRates
    number: int = 0

    @classmethod
    def make(cls, bound: int = BOUND, draw: float = 0.0, concurrency: int = 2_000) -> "Rig":
        clock, giving, metrics, rates = ManualClock(), Given(), Metrics(), NoRates()
        entered: list[Due] = []
        changes: list[float] = []
        lanes = Lanes(
            clock,
            metrics,
            Limits(bound, {}),
            rates,
            giving,
            concurrency=concurrency,
            request_seconds=30,
            changed=lambda: changes.append(clock.monotonic()),
            draw=lambda: draw,
        )
        lanes.enter = entered.append
        return cls(clock, lanes, giving, entered, changes, metrics, rates)

    def add(self, host: str | None = "a", **fields: Any) -> Assignment:
        """One more is due."""
        self.number += 1
        one = assignment(execution_id=UUID(int=self.number), host=host, retry_since=self.clock.now(), **fields)
        due = self.lanes.add(one)
        if due is not None:
            self.entered.append(due)
        return one

    def answer(
        self,
        due: Due,
        status: int | None,
        meaning: Meaning | None = None,
        *,
        error: str | None = None,
        asked: bool = True,
        duration_ms: int = 10,
        cut: bool = False,
    ) -> None:
        """It is sent, and ends so."""
        self.entered.remove(due)
        if due.void:
            self.lanes.back(due)
            return
        due.lane.sending += 1
        taken = status is not None and status < 300
        error = None if taken else error or f"HTTP {status}"
        verdict = Verdict(meaning or (Meaning.TAKEN if taken else Meaning.RETRY), error)
        delivered = Delivered(due.assignment, self.clock.now_ms(), duration_ms, status, verdict, asked, cut)
        self.lanes.ended(due, delivered)

    def open(self, host: str | None = "a", **fields: Any) -> None:
        """The host fails until its circuit is open."""
        for _ in range(FAILURES):
            self.add(host, **fields)
            self.answer(self.entered[-1], 503)

    def look(self, seconds: float = 0.0) -> None:
        """Time passes, and the lanes are looked at."""
        self.clock.move(seconds)
        self.lanes.look(self.clock.monotonic())

    def value(self, name: str, **labels: str) -> float:
        """A metric."""
        value = self.metrics.registry.get_sample_value(f"schedule_service_{name}", labels)
        assert value is not None
        return value


def test_a_host_has_so_many_places_and_another_its_own() -> None:
    rig = Rig.make()
    for host in ("a", "a:8080"):
        for _ in range(BOUND + 2):
            rig.add(host)
    assert [due.lane.host for due in rig.entered] == ["a"] * BOUND + ["a:8080"] * BOUND
    assert rig.value("waiting_behind_limits") == 4
    rig.answer(rig.entered[0], 200)
    assert len(rig.entered) == 2 * BOUND
    assert rig.giving.given == []


def test_the_engine_has_no_bound_of_its_own() -> None:
    rig = Rig.make()
    for _ in range(500):
        rig.add(None)
    assert len(rig.entered) == 500


def test_communities_take_turns_in_a_lane() -> None:
    rig = Rig.make(bound=1)
    for community_id in (1, 1, 1, 1, 2, 3):
        rig.add(community_id=community_id)
    order = []
    while rig.entered:
        order.append(rig.entered[0].assignment.community_id)
        rig.answer(rig.entered[0], 200)
    assert order == [1, 1, 2, 3, 1, 1]


def test_a_host_is_forgotten_once_it_is_idle_and_healthy() -> None:
    rig = Rig.make()
    for number in range(100):
        rig.add(f"host-{number}")
    for due in list(rig.entered):
        rig.answer(due, 404, Meaning.REFUSED)
    assert rig.lanes._lanes == {}


def test_a_host_that_failed_is_forgotten_after_minutes_in_which_nothing_was_due_for_it() -> None:
    rig = Rig.make()
    rig.open("a")
    rig.add("b")
    rig.answer(rig.entered[-1], 500)
    rig.look(299)
    assert set(rig.lanes._lanes) == {"http://a", "http://b"}
    rig.look(61)
    assert rig.lanes._lanes == {}


@pytest.mark.parametrize(
    ("fails", "works"),
    [
        ("http://a/", "https://a/"),
        ("https://a/", "http://a/"),
        # Who does not understand http there may well speak TLS.
        ("http://a:443/", "https://a/"),
        ("http://a:8443/", "https://a:8443/"),
    ],
)
def test_a_circuit_is_of_a_port_and_of_what_is_spoken_there(fails: str, works: str) -> None:
    rig = Rig.make(bound=BOUND)
    rig.open(None, target=Target(fails))
    rig.add(None, target=Target(fails))
    assert rig.entered == []
    for _ in range(BOUND + 1):
        rig.add(None, target=Target(works))
    assert [due.assignment.target for due in rig.entered] == [Target(works)] * BOUND
    assert {(told["host"], told["circuit"]) for told in rig.lanes.told()} == {
        (host_of(fails), "open"),
        (host_of(works), "closed"),
    }


def test_what_is_left_of_a_rate_is_a_hosts_and_forgotten_with_its_last_lane() -> None:
    rig = Rig.make()
    for scheme in ("http", "https"):
        rig.add(None, target=Target(f"{scheme}://a:81/"))
    rig.answer(rig.entered[0], 200)
    assert rig.rates.forgotten == []
    rig.answer(rig.entered[0], 200)
    assert rig.rates.forgotten == ["a:81"]


def test_behind_an_open_circuit_one_waits_to_be_the_probe_and_the_others_are_given_back() -> None:
    rig = Rig.make(draw=0.5)
    rig.open()
    probe, *others = [rig.add() for _ in range(4)]
    assert rig.entered == []
    assert [one.assignment for one in rig.giving.given] == others
    assert all(one.behind is Behind.CIRCUIT and one.error is None for one in rig.giving.given)
    # By half the chance the cool-down is nine tenths of a second. They come after it, spread over four times as long.
    assert {one.wake_at for one in rig.giving.given} == {START + timedelta(seconds=3)}
    assert rig.value("target_circuits", state="open") == 1
    rig.look(0.8)
    assert rig.entered == []
    rig.look(0.1)
    assert [due.assignment for due in rig.entered] == [probe]
    assert rig.value("target_circuits", state="half_open") == 1


def test_what_had_a_place_and_was_not_sent_before_the_circuit_opened_is_taken_back() -> None:
    rig = Rig.make(bound=20)
    for _ in range(15):
        rig.add()
    for due in rig.entered[:FAILURES]:
        rig.answer(due, 503)
    left = list(rig.entered)
    assert len(left) == 5
    assert all(due.void for due in left)
    for due in left:
        rig.answer(due, 200)
    # Not sent: one is the next probe, the others come later.
    assert len(rig.giving.given) == 4
    rig.look(1)
    (probe,) = rig.entered
    rig.answer(probe, 200)
    rig.add()
    assert len(rig.entered) == 1
    assert len(rig.changes) == 2
    assert rig.value("target_circuit_opened_total") == 1


def test_after_a_failed_probe_who_waits_is_the_next_and_after_an_answer_all_go() -> None:
    rig = Rig.make()
    rig.open()
    for _ in range(4):
        rig.add()
    rig.look(1)
    rig.answer(rig.entered[0], None)
    rig.add()
    rig.look(1.9)
    assert rig.entered == []
    rig.look(0.1)
    assert len(rig.entered) == 1
    # While it is under way nobody else goes.
    rig.add()
    assert len(rig.entered) == 1
    rig.answer(rig.entered[0], 429)
    assert len(rig.entered) == 1
    for _ in range(BOUND):
        rig.add()
    assert len(rig.entered) == BOUND


def test_a_probe_that_turned_out_to_be_cancelled_makes_way_for_the_next() -> None:
    rig = Rig.make()
    rig.open()
    rig.add()
    rig.look(1)
    rig.add()
    rig.lanes.left(rig.entered.pop())
    assert len(rig.entered) == 1


def test_what_was_refused_before_it_left_says_nothing_of_the_host() -> None:
    rig = Rig.make()
    for _ in range(2 * FAILURES):
        rig.add()
        rig.answer(rig.entered[-1], None, Meaning.REFUSED, asked=False)
    assert rig.value("target_circuit_opened_total") == 0


def test_more_than_fit_are_given_back_in_the_order_in_which_they_came() -> None:
    rig = Rig.make()
    for _ in range(200):
        rig.add()
    wakes = [one.wake_at for one in rig.giving.given]
    assert len(wakes) == 200 - BOUND - 30
    assert wakes == sorted(wakes)
    assert wakes[0] >= START + timedelta(seconds=1)
    # A tenth of a second each, as far as anybody knows, in three places.
    assert START + timedelta(seconds=6) < wakes[-1] < START + timedelta(seconds=7)
    assert {one.behind for one in rig.giving.given} == {Behind.CONCURRENCY}


def test_where_nothing_moves_who_waits_is_given_back_within_seconds() -> None:
    rig = Rig.make()
    for _ in range(BOUND + 5):
        rig.add()
    rig.look(1.9)
    assert rig.giving.given == []
    rig.look(0.2)
    assert len(rig.giving.given) == 5
    # And the longer nothing moves, the further apart are those that come again.
    wakes = [one.wake_at for one in rig.giving.given]
    assert wakes[-1] - wakes[0] > timedelta(seconds=2)


def test_no_more_than_a_thousand_wait_in_all() -> None:
    rig = Rig.make(bound=1)
    rig.open("dead")
    for number in range(WAIT_AT_MOST + 500):
        rig.add(f"host-{number % 400}")
    assert rig.value("waiting_behind_limits") == WAIT_AT_MOST
    assert len(rig.giving.given) == 100
    # But each host has one that may be its probe.
    rig.look(1)
    before = len(rig.entered)
    rig.add("dead")
    assert [due.lane.host for due in rig.entered[before:]] == ["dead"]


def test_a_host_that_is_back_is_as_quick_as_it_ever_was() -> None:
    rig = Rig.make()
    rig.add()
    lane = rig.entered[0].lane
    for _ in range(BOUND - 1 + 50):
        rig.add()
    rig.clock.move(30)
    while rig.entered:
        rig.answer(rig.entered[0], None)
    rig.add()
    rig.look(1)
    rig.answer(rig.entered[0], 200)
    now = rig.clock.monotonic()
    assert lane.pace(now) == BOUND / 0.1
    assert lane.free_at == now


def test_who_would_come_again_too_late_ends_with_the_reason() -> None:
    rig = Rig.make()
    rig.open("api.example.com")
    rig.add("api.example.com", retry=RetryPolicy(max_age_seconds=3600))
    rig.add("api.example.com", retry=RetryPolicy(max_age_seconds=0))
    (given,) = rig.giving.given
    assert given.error == (
        "it waited behind the open circuit of api.example.com and was never answered within max_age_seconds (0); "
        "the last that was tried there: HTTP 503"
    )


def test_what_a_host_said_to_one_community_is_told_to_no_other() -> None:
    rig = Rig.make()
    for _ in range(FAILURES):
        rig.add(community_id=1)
        rig.answer(rig.entered[-1], 503, error="HTTP 503: no such invoice: ada@example.com")
    rig.add(community_id=2)
    rig.add(community_id=2, retry=RetryPolicy(max_age_seconds=0))
    (given,) = rig.giving.given
    assert (given.error or "").endswith("the last that was tried there: HTTP 503")
    (state,) = rig.lanes.told()
    assert state["last_error"] == "HTTP 503"


def test_the_next_probe_that_gets_too_old_meanwhile_ends_and_another_takes_its_place() -> None:
    rig = Rig.make()
    rig.open()
    old = rig.add(retry=RetryPolicy(max_age_seconds=2))
    rig.look(0.5)
    young = rig.add()
    assert [one.assignment for one in rig.giving.given] == [young]
    rig.look(0.5)
    (probe,) = rig.entered
    assert probe.assignment == old
    waiting = rig.add(retry=RetryPolicy(max_age_seconds=1))
    rig.answer(probe, None)
    assert rig.giving.given[-1].assignment == waiting
    assert rig.giving.given[-1].error is not None


def places(rig: Rig) -> dict[str | None, int]:
    """Who has how many."""
    return dict(Counter(due.lane.host for due in rig.entered))


def quick(rig: Rig, host: str) -> None:
    """The host shows that it is."""
    rig.add(host)
    rig.answer(rig.entered[-1], 200)


def test_hosts_that_have_not_answered_yet_leave_a_quarter_of_the_places_to_those_that_have() -> None:
    rig = Rig.make(bound=6, concurrency=16)
    quick(rig, "quick")
    for number in range(5):
        for _ in range(6):
            rig.add(f"hangs-{number}")
    assert places(rig) == {"hangs-0": 6, "hangs-1": 6}
    for _ in range(6):
        rig.add("quick")
    rig.add(None)
    assert places(rig) == {"hangs-0": 6, "hangs-1": 6, "quick": 6, None: 1}


def test_a_place_that_comes_free_is_the_next_ones_in_turn() -> None:
    rig = Rig.make(bound=4, concurrency=4)
    for host in ("a", "b", "c"):
        for _ in range(4):
            rig.add(host)
    assert places(rig) == {"a": 3}
    order = []
    for _ in range(6):
        # Slow, each of them: none becomes quick by it.
        rig.answer(rig.entered[0], 200, duration_ms=60_000)
        rig.look(0.02)
        order.append(rig.entered[-1].lane.host)
    assert order == ["a", "b", "c", "b", "c", "b"]


def test_a_host_that_answers_slowly_of_late_is_slow_and_one_that_is_quick_again_is_not() -> None:
    rig = Rig.make(concurrency=4)
    quick(rig, "a")
    for _ in range(3):
        rig.add("a")
    assert {due.lane.repute for due in rig.entered} == {Repute.QUICK}
    while rig.entered:
        rig.answer(rig.entered[0], 200, duration_ms=2_000)
    found = []
    for _ in range(20):
        rig.add("a")
        found.append(rig.entered[0].lane.repute)
        rig.answer(rig.entered[0], 200, duration_ms=10)
    assert (found[0], found[-1]) == (Repute.SLOW, Repute.QUICK)


def test_those_that_were_quick_and_hang_together_count_as_slow() -> None:
    rig = Rig.make(bound=6, concurrency=16)
    for host in ("a", "b"):
        quick(rig, host)
        for _ in range(6):
            rig.add(host)
    rig.add("new")
    assert places(rig) == {"a": 6, "b": 6, "new": 1}
    rig.clock.move(0.3)
    rig.add("new")
    assert places(rig) == {"a": 6, "b": 6, "new": 1}
    assert {due.lane.repute for due in rig.entered} == {Repute.SLOW}


def test_probes_leave_half_of_the_places_to_hosts_that_do_not_fail() -> None:
    rig = Rig.make(bound=20, concurrency=8)
    for number in range(8):
        rig.open(f"dead-{number}")
        rig.add(f"dead-{number}")
    rig.look(1)
    assert len(places(rig)) == len(rig.entered) == 4
    for _ in range(4):
        rig.add("new")
    assert places(rig)["new"] == 2


def test_who_waits_for_a_place_that_others_hold_is_given_back_within_seconds() -> None:
    rig = Rig.make(bound=4, concurrency=4)
    for _ in range(3):
        rig.add("hangs")
    rig.clock.move(100)
    waits = rig.add("new")
    rig.look(1.9)
    assert rig.giving.given == []
    rig.look(0.2)
    assert [one.assignment for one in rig.giving.given] == [waits]
    assert rig.giving.given[0].behind is Behind.CONCURRENCY


def kept(rig: Rig, host: str) -> None:
    """The host answers, and then fails once: its lane stays."""
    quick(rig, host)
    rig.add(host)
    rig.answer(rig.entered[-1], 503)


def test_who_was_asked_nothing_for_minutes_was_not_silent() -> None:
    rig = Rig.make(concurrency=4)
    kept(rig, "a")
    rig.clock.move(120)
    rig.add("a")
    rig.add("a")
    assert [due.lane.repute for due in rig.entered] == [Repute.QUICK, Repute.QUICK]


def test_who_waits_for_others_places_is_given_its_seconds_after_a_long_rest_too() -> None:
    rig = Rig.make(bound=4, concurrency=4)
    kept(rig, "slow")
    for status in (200, 503) * 10:
        rig.add("slow")
        rig.answer(rig.entered[-1], status, duration_ms=5_000)
    rig.clock.move(100)
    for _ in range(3):
        rig.add("hangs")
    rig.add("slow")
    rig.look(1.9)
    assert rig.giving.given == []
    rig.look(0.2)
    assert len(rig.giving.given) == 1


def test_of_those_in_good_repute_the_last_thousand_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.workers.lane_book._GOOD_AT_MOST", 2)
    rig = Rig.make()
    for host in ("a", "b", "a", "c"):
        quick(rig, host)
    assert rig.lanes._lanes == {}
    for host in ("a", "b", "c"):
        rig.add(host)
    assert [due.lane.repute for due in rig.entered] == [Repute.QUICK, Repute.SLOW, Repute.QUICK]


def test_who_says_more_than_is_read_is_in_no_good_repute_until_it_says_less() -> None:
    rig = Rig.make()
    quick(rig, "a")
    found = []
    for cut in (False, True, False):
        one = rig.add("a")
        rig.answer(rig.entered[-1], 200, cut=cut)
        found.append(rig.lanes.in_good_repute(one))
    assert found == [True, False, True]


def test_what_was_never_sent_says_nothing_of_the_repute_of_its_host() -> None:
    rig = Rig.make(concurrency=4)
    quick(rig, "a")
    found = []
    for host in ("a", "new"):
        one = rig.add(host)
        rig.answer(rig.entered[-1], None, asked=False, duration_ms=0)
        found.append(rig.lanes.in_good_repute(one))
    assert found == [True, False]
    # It hangs. What others cannot even put together for it does not show that it answers.
    for _ in range(3):
        rig.add("a")
    rig.look(1)
    rig.answer(rig.entered[-1], None, asked=False, duration_ms=0)
    assert rig.entered[-1].lane.judged(rig.clock.monotonic()) is Repute.SLOW


def test_who_holds_a_place_for_long_without_being_asked_is_slow() -> None:
    rig = Rig.make()
    quick(rig, "a")
    one = rig.add("a")
    # Another is on its way meanwhile, or the lane would be forgotten.
    rig.add("a")
    rig.answer(rig.entered[-2], None, asked=False, duration_ms=10_000)
    assert not rig.lanes.in_good_repute(one)


def test_those_due_together_are_seen_to_by_what_their_hosts_have_shown() -> None:
    rig = Rig.make()
    quick(rig, "good")
    quick(rig, "refuses")
    rig.add("refuses")
    rig.answer(rig.entered[-1], 404, Meaning.REFUSED)
    rig.open("dead")
    quick(rig, "busy")
    for _ in range(BOUND + 1):
        rig.add("busy")
    hosts = ["dead", "new", "busy", "refuses", "good", None]
    ordered = sorted((assignment(host=host) for host in hosts), key=rig.lanes.order)
    assert [one.host for one in ordered] == ["good", None, "new", "refuses", "dead", "busy"]


def test_who_waits_while_nobody_sees_to_them_is_seen() -> None:
    rig = Rig.make()
    rig.look(600)
    for _ in range(BOUND + 1):
        rig.add()
    assert rig.lanes.stands_seconds() == 0
    rig.clock.move(40)
    rig.add()
    assert rig.lanes.stands_seconds() == 40
    rig.look()
    assert rig.lanes.stands_seconds() == 0
    # All that waited were given back.
    rig.clock.move(40)
    assert rig.lanes.stands_seconds() == 0


def test_what_waits_is_returned_at_the_end() -> None:
    rig = Rig.make()
    added = [rig.add(host) for host in ("a", "b") for _ in range(BOUND + 2)]
    assert len(rig.lanes.clear()) == 4
    for due in list(rig.entered):
        rig.answer(due, 200)
    assert rig.entered == []
    assert rig.value("waiting_behind_limits") == 0
    assert len(added) == 10


def test_what_is_told_is_what_is_the_matter() -> None:
    rig = Rig.make()
    rig.add("healthy")
    assert rig.lanes.told() == []
    rig.add(None)
    rig.answer(rig.entered[-1], 503)
    rig.open("dead")
    rig.add("dead")
    for _ in range(BOUND + 1):
        rig.add("busy")
    dead, engine, busy = rig.lanes.told()
    assert dead == {
        "host": "dead",
        "circuit": "open",
        "failures": FAILURES,
        "open_until": rig.clock.now_ms() + 1000,
        "last_error": "HTTP 503",
        "waiting": 1,
        "in_flight": 0,
    }
    assert (engine["host"], engine["circuit"], engine["failures"]) == (None, "closed", 1)
    assert (busy["host"], busy["waiting"], busy["open_until"], busy["last_error"]) == ("busy", 1, None, None)


class Walk(RuleBasedStateMachine):
    """Anything, in any order, on two hosts and the engine."""

    @initialize(bound=st.integers(1, 4), concurrency=st.sampled_from([1, 2, 4, 8, 100]))
    def begin(self, bound: int, concurrency: int) -> None:
        self.bound = bound
        self.rig = Rig.make(bound, concurrency=concurrency)
        self.out: set[UUID] = set()
        self.added = 0
        self.looked = True

    @rule(host=st.sampled_from(["a", "b", None]), number=st.integers(1, 30), age=st.sampled_from([2, 86_400]))
    def add(self, host: str | None, number: int, age: int) -> None:
        self.looked = False
        for _ in range(number):
            self.rig.add(host, retry=RetryPolicy(max_age_seconds=age))
            self.added += 1

    @precondition(lambda self: self.rig.entered)
    @rule(
        data=st.data(), status=st.sampled_from([200, 404, 429, 500, 503, None, None, None]), number=st.integers(1, 12)
    )
    def end(self, data: st.DataObject, status: int | None, number: int) -> None:
        self.looked = False
        for _ in range(min(number, len(self.rig.entered))):
            due = self.rig.entered[data.draw(st.integers(0, len(self.rig.entered) - 1))]
            if not due.void:
                self.out.add(due.assignment.execution_id)
            self.rig.answer(due, status)

    @precondition(lambda self: self.rig.entered)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        self.looked = False
        due = self.rig.entered.pop(data.draw(st.integers(0, len(self.rig.entered) - 1)))
        self.out.add(due.assignment.execution_id)
        self.rig.lanes.left(due)

    @rule(seconds=st.sampled_from([0.0, 0.02, 0.5, 1.0, 3.0, 31.0, 400.0]))
    def wait(self, seconds: float) -> None:
        self.rig.look(seconds)
        self.looked = True

    @invariant()
    def no_host_has_more_than_its_places(self) -> None:
        for host in ("a", "b"):
            assert sum(due.lane.host == host for due in self.rig.entered) <= self.bound

    @invariant()
    def everybody_is_in_one_place(self) -> None:
        waiting = [due.assignment.execution_id for lane in self.rig.lanes._lanes.values() for due in lane.waiting]
        entered = [due.assignment.execution_id for due in self.rig.entered]
        given = [one.assignment.execution_id for one in self.rig.giving.given]
        assert len(waiting) == self.rig.value("waiting_behind_limits")
        everybody = waiting + entered + given + list(self.out)
        assert len(everybody) == len(set(everybody)) == self.added

    @invariant()
    def nobody_waits_beside_a_free_place(self) -> None:
        now = self.rig.clock.monotonic()
        for lane in self.rig.lanes._lanes.values():
            assert lane.taken == sum(due.lane is lane for due in self.rig.entered)
            # Of a host that is not sent to, one waits at most; its turn comes with the next look, as it does where slow
            # hosts share what is free.
            in_turn = not lane.breaker.closed or (lane.repute is Repute.SLOW and not self.looked)
            assert not lane.waiting or not self.rig.lanes._has_place(lane, now) or in_turn
            assert lane.breaker.closed or len(lane.waiting) <= 1

    @invariant()
    def what_the_slow_hold_is_counted(self) -> None:
        held = Counter[Repute]()
        for lane in self.rig.lanes._lanes.values():
            held[lane.repute] += lane.taken if lane.host is not None else 0
        assert self.rig.lanes._shares._taken == [held[repute] for repute in Repute]


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
