"""Callback tokens: what lets a target report on the one execution that it was sent, and on nothing else."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from uuid import UUID

from app.core.errors import ConfigurationException

PREFIX = "cb_"
_PURPOSE = b"schedule-service callback\0"
_SHORTEST_KEY = 32


class CallbackTokens:
    """Makes tokens with the newest key, and accepts those of every key: so keys can be rotated while runs go on.

    A token is the HMAC-SHA256 of the execution's id: nothing is stored, and it is the same at every attempt. Who knows
    one knows nothing of another's.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    @classmethod
    def from_setting(cls, secret_key: str) -> "CallbackTokens":
        """Those of `SECRET_KEY`: keys of at least 32 characters, comma-separated, newest first.

        Raises ConfigurationException, which does not repeat a key.
        """
        keys = [key for key in map(str.strip, secret_key.split(",")) if key]
        for position, key in enumerate(keys, start=1):
            if len(key) < _SHORTEST_KEY:
                raise ConfigurationException(
                    f"SECRET_KEY: key {position} has {len(key)} characters; it needs at least {_SHORTEST_KEY}, "
                    "as `openssl rand -base64 32` prints them"
                )
        return cls([key.encode() for key in keys])

    def __bool__(self) -> bool:
        return bool(self._keys)

    def token(self, execution_id: UUID) -> str:
        """The token of an execution; to be asked for only where there is a key."""
        return _token(self._keys[0], execution_id)

    def opens(self, token: str, execution_id: UUID) -> bool:
        """Whether a token is that of this execution."""
        given = token.encode("utf-8", "replace")
        # Compared whole, so that the time of an answer does not tell how much of it was right.
        return any(hmac.compare_digest(given, _token(key, execution_id).encode()) for key in self._keys)


def _token(key: bytes, execution_id: UUID) -> str:
    digest = hmac.digest(key, _PURPOSE + execution_id.bytes, hashlib.sha256)
    return PREFIX + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
