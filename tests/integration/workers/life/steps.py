"""What may happen, and how it is drawn: some kinds of steps an example, so that many of a kind meet."""

from collections.abc import Sequence
from typing import Protocol

from hypothesis import strategies as st

from tests.integration.workers.life.asking import (
    Backfill,
    Cancel,
    Complete,
    Heartbeat,
    Patch,
    Pause,
    Remove,
    Replace,
    Resume,
    Retry,
    SkipNext,
    Trigger,
    UndoSkip,
)
from tests.integration.workers.life.life import Life
from tests.integration.workers.life.wanted import PATCHES, POLICIES, wanteds
from tests.integration.workers.life.working import (
    Break,
    Bury,
    Keep,
    Look,
    Lose,
    Send,
    Settle,
    Wait,
    WaitUntilDue,
    Work,
)


class Step(Protocol):
    """Something that happens."""

    async def take(self, life: Life) -> None:
        """Have it happen, and compare what is there then with what is to be there."""
        ...


_which = st.integers(0, 3)
_of = st.integers(0, 1)
_status_codes = st.lists(st.sampled_from((202, 202, 202, 503, 429, 409, 400, 410)), min_size=1, max_size=3).map(tuple)
_waits = st.builds(Wait, st.sampled_from((0.001, 0.049, 1.0, 5.0, 30.0, 61.0, 300.0, 3600.0, 50_000.0, 90_000.0)))
_until_due = st.builds(WaitUntilDue, _which, st.sampled_from((0, -50, -49, -1, 1, 2000, 5001, 60_001)))
_looks = st.builds(Look, _of)
_sends = st.builds(
    Send, _of, _status_codes, st.sampled_from((None, None, None, "cancelled", "completed", "failed")), st.booleans()
)
_settles = st.builds(Settle, _of)
_works = st.builds(Work, _of, _which, _status_codes)

_WORK = (_until_due, _until_due, _looks, _looks, _sends, _settles, _works, _works, _waits)
"""Without these nothing fires: they are in every example."""
_KINDS: tuple[st.SearchStrategy[Step], ...] = (
    st.builds(Replace, _of, wanteds()),
    st.builds(Patch, _of, st.sampled_from(PATCHES)),
    st.builds(Pause, _of),
    st.builds(Resume, _of),
    st.builds(SkipNext, _of),
    st.builds(UndoSkip, _of),
    st.builds(Trigger, _of, st.one_of(st.none(), POLICIES)),
    st.builds(Backfill, _of, st.sampled_from((0.0, 3600.0, 86_400.0)), st.integers(1, 5), st.integers(1, 3)),
    st.builds(Cancel, _which),
    st.builds(Complete, _which, st.booleans()),
    st.builds(Heartbeat, _which),
    st.builds(Retry, _which),
    st.builds(Break, _of, st.booleans()),
    st.builds(Bury, _of, st.booleans()),
    st.builds(Keep, _of),
    st.builds(Lose, st.booleans()),
    st.builds(Remove, _of),
)


@st.composite
def steps(draw: st.DrawFn) -> Sequence[Step]:
    """Some steps, of all the kinds that work and of some of the others."""
    kinds = draw(st.lists(st.sampled_from(range(len(_KINDS))), unique=True, min_size=1, max_size=6))
    some = st.one_of(*_WORK, *(_KINDS[kind] for kind in kinds))
    parts = draw(st.lists(st.lists(some, min_size=1, max_size=8), max_size=8))
    return [step for part in parts for step in part]
