"""Who is calling, and what they may do."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a caller may do; each role includes the ones before it.

    A viewer reads; an editor also writes schedules; an operator also triggers, retries, cancels and reads the audit
    trail; an admin also manages keys.
    """

    VIEWER = "viewer"
    EDITOR = "editor"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Whether this role may do all that the other may."""
        return _ORDER[self] >= _ORDER[other]


class NotCaller(StrEnum):
    """Those by whom the audit trail has what no caller did; no caller is called so."""

    TARGET = "target"
    """Who reports with a callback token."""
    COMMAND_LINE = "command line"
    """Who makes and revokes keys."""
    SERVICE = "schedule-service"
    """The service itself."""


HIGHEST_COMMUNITY = 2**63 - 1
"""A community is a bigint."""
_ORDER = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller: every query is bound to its community. `user` is the name that `created_by` and the audit show."""

    community_id: int
    user: str
    role: Role
    request_id: str | None = None
