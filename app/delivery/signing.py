"""Signatures by the rules of Standard Webhooks (standardwebhooks.com, specification 1.0)."""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from app.core.errors import ConfigurationException

_PREFIX = "whsec_"


class Signer:
    """Signs with every key at once, newest first, so that receivers can follow a rotation at their own pace."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        # Keyed once and copied for each message, which unlike hmac.digest does not let go of the interpreter's lock.
        self._keyed = tuple(hmac.new(key, digestmod=hashlib.sha256) for key in keys)

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
        return " ".join(_signature(keyed, content) for keyed in self._keyed)


def _signature(keyed: hmac.HMAC, content: bytes) -> str:
    message = keyed.copy()
    message.update(content)
    return "v1," + base64.b64encode(message.digest()).decode()
