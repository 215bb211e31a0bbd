"""What the wheel answers."""

from collections.abc import Container
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Claimed:
    """What one shard gave: the members, the token of their lease, and when the shard has something next.

    `next_ms` is null when the shard is empty. `marked` is false when the shard was lost, or was loaded for another
    number of shards, and must be loaded again; `loaded` is false until that is done. The last `passing` of the members
    were due later than others that are left: they pass a backlog by.
    """

    shard: int
    token: int
    next_ms: int | None
    marked: bool
    loaded: bool
    members: tuple[str, ...]
    passing: int = 0

    def parted(self) -> "tuple[Claimed, Claimed]":
        """The backlog, and what passes it by; under the one lease."""
        parts = len(self.members) - self.passing
        return (
            replace(self, members=self.members[:parts], passing=0),
            replace(self, members=self.members[parts:], passing=0),
        )

    def among(self, wanted: Container[str]) -> "Claimed":
        """Those of its members that are wanted, under the same lease."""
        return replace(self, members=tuple(member for member in self.members if member in wanted), passing=0)


@dataclass(frozen=True, slots=True)
class WheelState:
    """What health and metrics show of the wheel."""

    connected: bool
    entries: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a shard is loaded: a random epoch, and the due time in ms up to which it is complete."""

    epoch: str
    loaded_until_ms: int
    shards: int
