"""What stands in the wheel: "look at this id at this time"."""

from datetime import datetime
from uuid import UUID
from zlib import crc32

from app.core.clock import to_ms
from app.core.values import value
from app.wheel.members import execution_member, schedule_member


@value
class Entry:
    """An entry, by the name of its member, and when it is due, in milliseconds since the epoch."""

    community_id: int
    member: str
    due_ms: int


def schedule_entry(community_id: int, schedule_id: UUID, next_due_at: datetime) -> Entry:
    """An entry that is looked at when the schedule's next occurrence is due."""
    return Entry(community_id, schedule_member(schedule_id), to_ms(next_due_at))


def execution_entry(community_id: int, execution_id: UUID, wake_at: datetime) -> Entry:
    """An entry that is looked at when the execution's `wake_at` has come."""
    return Entry(community_id, execution_member(execution_id), to_ms(wake_at))


def shard_of(community_id: int, shards: int) -> int:
    """The part of the wheel in which a community's entries stand."""
    return crc32(str(community_id).encode()) % shards
