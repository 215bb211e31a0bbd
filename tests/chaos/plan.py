"""Which faults a run has, and when: drawn from its seed alone, so that the same seed breaks the same things again."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.faults import FAULTS, Fault


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault, when it begins (in seconds from the run's start, unless another still holds what it needs), to whom."""

    at_seconds: float
    fault: Fault
    worker: int
    seed: str


def plan(seed: int, *, seconds: float, gap_seconds: float, workers: int, named: Sequence[str] = ()) -> list[Planned]:
    """Faults about every `gap_seconds`, each kind once before any comes again; all end before `seconds` are over.

    `named` are the beginnings of the names of those that are wanted; empty: all of them.
    """
    rng = random.Random(f"plan-{seed}")
    wanted = [fault for fault in FAULTS if not named or any(fault.name.startswith(one) for one in named)]
    if not wanted:
        raise ValueError(
            f"no fault begins with {' or '.join(named)}: there are {', '.join(one.name for one in FAULTS)}"
        )
    planned: list[Planned] = []
    at_seconds, left = 1.0, list[Fault]()
    while at_seconds < seconds:
        left = left or rng.sample(wanted, len(wanted))
        fitting = next((fault for fault in left if at_seconds + fault.seconds < seconds), None)
        if fitting is None and not any(at_seconds + fault.seconds < seconds for fault in wanted):
            break
        if fitting is None:
            left = []
            continue
        left.remove(fitting)
        planned.append(Planned(at_seconds, fitting, rng.randrange(workers), f"{seed}-{len(planned)}"))
        at_seconds += rng.uniform(0.3, 1.7) * gap_seconds
    return planned
