"""The end of every example: time passes, workers work, and nothing is left over."""

from datetime import timedelta

from app.core.execution import ExecutionStatus as Status
from tests.integration.workers.life import rules
from tests.integration.workers.life.asking import Pause
from tests.integration.workers.life.life import Life
from tests.integration.workers.life.working import Bury, Keep, Look, Send, Settle

_PASSES = 3
_MOST_INSTANTS = 200
_MOST_TURNS = 100
_PASS_SECONDS = 6.0
"""Longer than a lease; the passes together are longer than it takes to find that nobody knows of a run."""


async def end(life: Life) -> None:
    """Let the keepers mend what was broken, stop the schedules, and let every run come to its end."""
    for number in range(len(life.crews)):
        await Settle(number).take(life)
        await Bury(number).take(life)
    for _ in range(_PASSES):
        life.clock.move(_PASS_SECONDS)
        await Keep().take(life)
        await _work(life)
    rules.nothing_is_overdue(life.seen, life.now - timedelta(seconds=2))
    for number in range(len(life.books)):
        await Pause(number).take(life)
    for _ in range(_MOST_INSTANTS):
        unfinished = list(life.seen.unfinished())
        if not unfinished:
            break
        # A queued run looks for room every few seconds, and finds none before another ends.
        waited_for = [run for run in unfinished if run.stands] or unfinished
        at = min(run.wake_at for run in waited_for if run.wake_at is not None)
        # What the wheel has lost is found by the sweep, once it is overdue.
        life.clock.move_to(at if at > life.now else life.now + timedelta(seconds=_PASS_SECONDS))
        await Keep().take(life)
        await _work(life)
    assert not list(life.seen.unfinished())
    for run in life.seen.runs.values():
        if run.status == Status.SUCCEEDED:
            assert run.execution_id in life.target.received | life.reported, f"never sent: {run}"


async def _work(life: Life) -> None:
    """A worker works until nothing is left to do at this instant."""
    for _ in range(_MOST_TURNS):
        before = life.seen.runs
        await Look().take(life)
        await Send().take(life)
        await Settle().take(life)
        if life.seen.runs == before:
            return
    raise AssertionError("a worker finds ever more to do at one instant")
