"""Identifiers: random ones that sort by time, and execution ids, which are derived and so the same for whoever asks."""

import hashlib
import os
import struct
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from app.core.clock import from_ms, to_ms

_YEAR_10000_MS = 253_402_300_800_000
_MASK_74 = (1 << 74) - 1
_SEED = struct.Struct(">qq")


def new_id(now_ms: int) -> UUID:
    """A version 7 UUID (RFC 9562, 5.7): 48 bits of milliseconds, then random bits."""
    random = int.from_bytes(os.urandom(10), "big") & _MASK_74
    return _stamped(now_ms, random, version=7)


def made_at(id_: UUID) -> datetime | None:
    """The instant that a `new_id` carries; None for an id that is none."""
    milliseconds = id_.int >> 80
    return from_ms(milliseconds) if id_.version == 7 and milliseconds < _YEAR_10000_MS else None


def execution_id(schedule_id: UUID, scheduled_for: datetime, recorded_for: datetime, trigger_key: int = 0) -> UUID:
    """The id of an execution, the same for whoever computes it.

    A version 8 UUID (RFC 9562, 5.8): 48 bits of `recorded_for` in milliseconds, so that inserts stay at the right
    edge of the index and a look-up by id opens one partition; then the first 74 bits of BLAKE2b over the schedule's
    id, `scheduled_for` in milliseconds and the trigger key (0 for a schedule's own occurrences).
    """
    scheduled_ms = to_ms(scheduled_for)
    recorded_ms = scheduled_ms if recorded_for is scheduled_for else to_ms(recorded_for)
    seed = schedule_id.bytes + _SEED.pack(scheduled_ms, trigger_key)
    digest = int.from_bytes(hashlib.blake2b(seed, digest_size=10).digest(), "big") >> 6
    return _stamped(recorded_ms, digest, version=8)


def recorded_for(execution_id: UUID) -> datetime | None:
    """The instant that an execution's id carries; None when no execution can have this id."""
    milliseconds = execution_id.int >> 80
    if execution_id.version != 8 or milliseconds >= _YEAR_10000_MS:
        return None
    return from_ms(milliseconds)


def recorded_between(execution_ids: Collection[UUID]) -> tuple[datetime, datetime]:
    """The earliest and the latest `recorded_for` of some executions; there is at least one.

    Without these bounds a statement on executions opens every partition.

    Raises ValueError for an id that no execution can have.
    """
    instants = [instant for one in execution_ids if (instant := recorded_for(one)) is not None]
    if len(instants) < len(execution_ids):
        raise ValueError("not the id of an execution")
    return min(instants), max(instants)


def _stamped(milliseconds: int, bits_74: int, *, version: int) -> UUID:
    high = (milliseconds & ((1 << 48) - 1)) << 16 | version << 12 | bits_74 >> 62
    low = 0b10 << 62 | bits_74 & ((1 << 62) - 1)
    return UUID(int=high << 64 | low)
