"""The names of the wheel's entries: which schedule, or which execution, is to be looked at."""

from enum import StrEnum
from uuid import UUID

from app.core.ids import recorded_for


class Kind(StrEnum):
    """What an entry is about: a schedule's next occurrence, or an execution that waits for its `wake_at`."""

    SCHEDULE = "s:"
    EXECUTION = "x:"


def member_of(kind: Kind, row_id: UUID) -> str:
    """The entry of a row."""
    return f"{kind.value}{row_id}"


def schedule_member(schedule_id: UUID) -> str:
    """A schedule's entry."""
    return f"s:{schedule_id}"


def execution_member(execution_id: UUID) -> str:
    """An execution's entry."""
    return f"x:{execution_id}"


def is_execution(member: str) -> bool:
    """Whether an entry is about an execution."""
    return member.startswith("x:")


def schedule_in(member: str) -> UUID | None:
    """The schedule that an entry names; null for another's, and for what a stranger left in the wheel."""
    return _id_in(member) if member.startswith("s:") else None


def execution_in(member: str) -> UUID | None:
    """The execution that an entry names; null for another's, and for an id that no execution can have."""
    row_id = _id_in(member) if is_execution(member) else None
    return None if row_id is None or recorded_for(row_id) is None else row_id


def row_in(member: str) -> UUID | None:
    """Whichever of the two it names; null where it names neither."""
    return schedule_in(member) or execution_in(member)


def _id_in(member: str) -> UUID | None:
    try:
        return UUID(member[2:])
    except ValueError:
        return None
