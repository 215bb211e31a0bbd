"""A stable delay that spreads firings: the same schedule and occurrence always wait the same time."""

import hashlib
import struct
from datetime import datetime
from uuid import UUID

from app.core.clock import to_ms
from app.core.occurrences.instants import MAX_MS, from_millisecond
from app.core.occurrences.search import next_occurrence
from app.core.occurrences.timing import Timing


def due_at(timing: Timing, schedule_id: UUID, occurrence: datetime) -> datetime:
    """When an occurrence is to be fired: its nominal instant and a pseudo-random part of `jitter_seconds`.

    To the millisecond, and always before the next nominal occurrence, so that firings keep their order. Without
    jitter it is the nominal instant itself, at no cost. Raises as `next_occurrence` does.
    """
    if timing.jitter_seconds == 0:
        return occurrence
    nominal = to_ms(occurrence)
    longest = min(timing.jitter_seconds * 1000, MAX_MS - nominal)
    following = next_occurrence(timing, occurrence)
    if following is not None:
        longest = min(longest, to_ms(following) - nominal - 1)
    seed = schedule_id.bytes + struct.pack(">q", nominal)
    digest = int.from_bytes(hashlib.blake2b(seed, digest_size=8, person=b"jitter").digest(), "big")
    return from_millisecond(nominal + digest % (longest + 1))
