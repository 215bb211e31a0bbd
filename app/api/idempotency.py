"""`Idempotency-Key`: what makes repeating a POST safe."""

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
    canonical = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    parts = (request.method.encode(), request.url.path.encode(), canonical)
    return Idempotency(key, sha256(b"\0".join(parts)).digest())
