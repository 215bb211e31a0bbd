"""A token's text, read: three parts in base64url, of which two are JSON objects (RFC 7515, 3.1; RFC 7519, 7.2).

Stricter than RFC 7515 lets one be: a name that stands twice is refused, because two readers may each take another of
them; and so are NaN, a byte that is no UTF-8, and padding. Nothing that is raised here shows the token.
"""

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from app.core.errors import InvalidTokenException

LONGEST = 16 * 1024
"""Characters of a token. Those with all groups of a user have some eight thousand."""
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)")


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says, of which nothing is to be believed yet."""

    text: str
    header: dict[str, Any]
    claims: dict[str, Any]

    def __repr__(self) -> str:
        return "Token(********)"


def read_token(text: str) -> Token:
    """Read a token; its signature is not looked at.

    Raises InvalidTokenException.
    """
    if len(text) > LONGEST:
        raise InvalidTokenException(f"The token must have at most {LONGEST} characters.")
    parts = _COMPACT.fullmatch(text)
    if parts is None:
        raise InvalidTokenException(
            "The token is no JWT: three parts of base64url, parted by dots. (An API key begins with ss_.)"
        )
    return Token(text, _json_object("header", parts[1]), _json_object("payload", parts[2]))


def _json_object(name: str, encoded: str) -> dict[str, Any]:
    try:
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        found = json.loads(decoded.decode("utf-8"), object_pairs_hook=_once_each, parse_constant=_refuse)
    except (ValueError, RecursionError):
        # Not from it: the cause quotes the token.
        found = None
    if not isinstance(found, dict):
        raise InvalidTokenException(f"The token's {name} must be a JSON object in base64url, with each name once.")
    return found


def _once_each(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
