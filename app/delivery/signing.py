"""Signatures by the rules of Standard Webhooks (standardwebhooks.com, specification 1.0)."""

import base64
import hashlib
from collections.abc import Sequence

from app.core.errors import ConfigurationException

_PREFIX = "whsec_"
_BLOCK_BYTES = 64


class Signer:
    """Signs with every key at once, newest first, so that receivers can follow a rotation at their own pace."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keyed = tuple((_padded(key, 0x36), _padded(key, 0x5C)) for key in keys)

    @classmethod
    def from_setting(cls, secrets: str) -> "Signer":
        """The signer for `WEBHOOK_SIGNING_SECRETS`: `whsec_` and base64, comma-separated.

        Raises ConfigurationException, which does not repeat the secret.
        """
        keys = []
        for position, secret in enumerate(filter(None, map(str.strip, secrets.split(","))), start=1):
            try:
                key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
            except ValueError:
                # Not base64, or not even ASCII.
                key = b""
            if not secret.startswith(_PREFIX) or not 24 <= len(key) <= 64:
                raise ConfigurationException(
                    f"WEBHOOK_SIGNING_SECRETS: secret {position} must be whsec_ and the base64 of 24 to 64 bytes"
                )
            keys.append(key)
        return cls(keys)

    def sign(self, message_id: str, timestamp_seconds: int, body: bytes) -> str | None:
        """The `webhook-signature` header; null without a key."""
        if not self._keyed:
            return None
        content = b"%s.%d.%s" % (message_id.encode(), timestamp_seconds, body)
        return " ".join([_signature(inner, outer, content) for inner, outer in self._keyed])


def _padded(key: bytes, pad: int) -> "hashlib._Hash":
    """One of the two hashes of HMAC (RFC 2104), begun with the key, for each message to go on from a copy.

    The `hmac` module does the same at twice the cost. A key is no longer than a block of SHA-256.
    """
    return hashlib.sha256(bytes(byte ^ pad for byte in key.ljust(_BLOCK_BYTES, b"\0")))


def _signature(inner: "hashlib._Hash", outer: "hashlib._Hash", content: bytes) -> str:
    message, digest = inner.copy(), outer.copy()
    message.update(content)
    digest.update(message.digest())
    return "v1," + base64.b64encode(digest.digest()).decode()
