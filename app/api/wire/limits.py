"""How large and how deep a caller's own JSON may be."""

from typing import Any, TypeVar

import orjson
from pydantic_core import PydanticCustomError

MAX_JSON_BYTES = 65_536
MAX_JSON_DEPTH = 32

T = TypeVar("T")


def check_size(value: T) -> T:
    """Refuse a JSON value that is too large or too deep to be kept with a row."""
    encoded = orjson.dumps(value)
    if len(encoded) > MAX_JSON_BYTES:
        raise PydanticCustomError(
            "context_size", f"must be at most {MAX_JSON_BYTES} bytes encoded, and is {len(encoded)}"
        )
    # Only what has so many brackets can be so deep.
    if encoded.count(b"{") + encoded.count(b"[") > MAX_JSON_DEPTH and _depth(value) > MAX_JSON_DEPTH:
        raise PydanticCustomError("context_depth", f"must be at most {MAX_JSON_DEPTH} deep")
    return value


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)
