"""Callback tokens: what lets a target report on the one execution that it was sent, and on nothing else."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from uuid import UUID

from app.core.secret_keys import read_secret_keys

PREFIX = "cb_"
_PURPOSE = b"schedule-service callback\0"


class CallbackTokens:
    """Makes tokens with the newest key, and accepts those of every key: so keys can be rotated while runs go on.

    A token is the HMAC-SHA256 of the execution's id: nothing is stored, and it is the same at every attempt. Who knows
    one knows nothing of another's.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    @classmethod
    def from_setting(cls, secret_key: str) -> "CallbackTokens":
        """Those of `SECRET_KEY`.

        Raises ConfigurationException.
        """
        return cls(read_secret_keys(secret_key))

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
