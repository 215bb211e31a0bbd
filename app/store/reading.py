"""Reading one row for a caller, who is told which it is where this release cannot."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from uuid import UUID

from app.core.errors import UnreadableRowException


@contextmanager
def reading(what: Literal["schedule", "execution"], row_id: UUID) -> Iterator[None]:
    """Read a row within this. Raises UnreadableRowException for whatever goes wrong, which is its cause."""
    try:
        yield
    except Exception as poison:
        raise UnreadableRowException.of(what, row_id) from poison
