"""Who waits for rows that another has locked for long is remembered, and looked at by itself: nobody waits with it."""

from collections.abc import Sequence

from app.core.clock import Clock

_REMEMBERED_SECONDS = 10.0
"""No session keeps its locks for longer while it does nothing."""


class Locked:
    """Entries for which a look waited for locks in vain, and how long they are remembered since."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def add(self, member: str) -> bool:
        """Remember one; false where it was remembered already."""
        new = member not in self._until
        self._until[member] = self._clock.monotonic() + _REMEMBERED_SECONDS
        return new

    def remove(self, member: str) -> None:
        """Nobody has locked what it waits for."""
        self._until.pop(member, None)

    def parted(self, members: Sequence[str]) -> tuple[list[str], list[str]]:
        """Those that are not remembered, and those that are."""
        if not self._until:
            return list(members), []
        now = self._clock.monotonic()
        self._until = {member: until for member, until in self._until.items() if until > now}
        return (
            [member for member in members if member not in self._until],
            [member for member in members if member in self._until],
        )
