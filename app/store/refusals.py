"""What Postgres itself refuses of a caller's values, as the error that a caller can act on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import asyncpg
import orjson

from app.core.errors import InvalidScheduleException


@contextmanager
def refused_values() -> Iterator[None]:
    """Turn a refusal of a value (SQLSTATE class 22: a NUL in a text, a number out of range) into a caller's error.

    The API refuses such values by name before they come here; this is what keeps one that it let through from being
    an internal error.

    Raises InvalidScheduleException.
    """
    try:
        yield
    except asyncpg.DataError as refused:
        raise InvalidScheduleException(f"a value cannot be stored: {str(refused).splitlines()[0]}") from refused


def json_text(field: str, value: Mapping[str, Any]) -> str:
    """A JSON object of a caller's, encoded.

    Raises InvalidScheduleException for what JSON as others read it cannot hold: an integer of more than 64 bits, half
    a surrogate pair.
    """
    try:
        return orjson.dumps(value if isinstance(value, dict) else dict(value)).decode()
    except TypeError as refused:
        raise InvalidScheduleException.of(field, f"{field} cannot be stored: {refused}") from refused
