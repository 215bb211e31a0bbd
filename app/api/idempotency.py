"""`Idempotency-Key`: what makes repeating a POST safe."""

import json
from hashlib import sha256
from typing import Any

import orjson
from starlette.requests import Request

from app.core.errors import InvalidScheduleException
from app.core.queries import Idempotency

LONGEST_KEY = 255


def idempotency(request: Request, body: Any) -> Idempotency | None:
    """The request's key and fingerprint; null when it has no key.

    The body counts as JSON, whatever its white space and the order of its members.

    Raises InvalidScheduleException for a key that is not 1 to 255 printable ASCII characters, or for several.
    """
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    key = keys[0]
    if len(keys) > 1 or not 1 <= len(key) <= LONGEST_KEY or not (key.isascii() and key.isprintable()):
        message = f"Idempotency-Key must be one of 1 to {LONGEST_KEY} printable ASCII characters"
        raise InvalidScheduleException.of("Idempotency-Key", message)
    parts = (request.method.encode(), request.url.path.encode(), _canonical(body))
    return Idempotency(key, sha256(b"\0".join(parts)).digest())


def _canonical(body: Any) -> bytes:
    try:
        return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # A batch may hold integers of more than 64 bits in a schedule that is refused, while others are not.
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
