"""The keys of `SECRET_KEY`, and what is derived from them."""

import hashlib
import hmac

from app.core.errors import ConfigurationException

_SHORTEST_KEY = 32


def read_secret_keys(secret_key: str) -> tuple[bytes, ...]:
    """The keys of the setting: at least 32 characters each, comma-separated, newest first.

    Raises ConfigurationException, which does not repeat a key.
    """
    keys = [key for key in map(str.strip, secret_key.split(",")) if key]
    for position, key in enumerate(keys, start=1):
        if len(key) < _SHORTEST_KEY:
            raise ConfigurationException(
                f"SECRET_KEY: key {position} has {len(key)} characters; it needs at least {_SHORTEST_KEY}, "
                "as `openssl rand -base64 32` prints them"
            )
    return tuple(key.encode() for key in keys)


def derive(key: bytes, purpose: bytes) -> bytes:
    """32 bytes for one purpose: who learns them learns neither the key nor what was derived for another purpose."""
    return hmac.digest(key, purpose, hashlib.sha256)
