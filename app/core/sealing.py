"""Secrets at rest: the values of targets' headers, encrypted under `SECRET_KEY`.

AES-256-GCM (NIST SP 800-38D) with a random nonce for each value. A value is bound to what it is for: its header, its
host, and http or https. Moved to where one of these is another, it does not open; in another row that has all three, it
does. It names its key, so that keys can be rotated: the newest seals, any opens.
"""

import base64
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.core.secret_keys import derive, read_secret_keys

MASK = "********"
"""What stands for a secret wherever one is shown."""
_PLAIN = "plain:"
_VERSION = "v1"
_NONCE_BYTES = 12


class Sealed:
    """A secret as it is stored. It does not show itself, and nothing encodes it by accident."""

    __slots__ = ("stored",)

    def __init__(self, stored: str) -> None:
        self.stored = stored

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and other.stored == self.stored

    def __hash__(self) -> int:
        return hash(self.stored)

    def __repr__(self) -> str:
        return f"Sealed({MASK})"

    @property
    def encrypted(self) -> bool:
        """Whether it is stored encrypted: where there was no key, it is not."""
        return not self.stored.startswith(_PLAIN)

    @property
    def key_id(self) -> str | None:
        """Which key it was encrypted with; null for a plain one."""
        return self.stored.partition(":")[2].partition(":")[0] if self.encrypted else None


class UnknownKeyException(Exception):
    """A stored secret does not open: its key is not among those of `SECRET_KEY`, or it was tampered with."""


class SecretBox:
    """Seals with the newest key, and opens what any of the keys has sealed; without a key it stores plainly."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        named = [(key_id(key), AESGCM(derive(key, b"schedule-service sealing"))) for key in keys]
        self._newest = named[0] if named else None
        self._ciphers = dict(named)

    @classmethod
    def from_setting(cls, secret_key: str) -> "SecretBox":
        """The box of `SECRET_KEY`.

        Raises ConfigurationException.
        """
        return cls(read_secret_keys(secret_key))

    @property
    def newest_key_id(self) -> str | None:
        """The key that seals; null where nothing is encrypted."""
        return None if self._newest is None else self._newest[0]

    def holds(self, key: str) -> bool:
        """Whether what the key of that id has sealed can be opened."""
        return key in self._ciphers

    def seal(self, secret: str, bound_to: str) -> Sealed:
        """A secret as it is to be stored; `bound_to` has to be given again to open it."""
        if self._newest is None:
            return Sealed(_PLAIN + secret)
        name, cipher = self._newest
        nonce = os.urandom(_NONCE_BYTES)
        encrypted = nonce + cipher.encrypt(nonce, secret.encode(), bound_to.encode())
        return Sealed(f"{_VERSION}:{name}:{base64.urlsafe_b64encode(encrypted).decode()}")

    def open(self, sealed: Sealed, bound_to: str) -> str:
        """The secret.

        Raises UnknownKeyException, whose message has nothing of it.
        """
        if not sealed.encrypted:
            return sealed.stored.removeprefix(_PLAIN)
        name = sealed.key_id
        cipher = self._ciphers.get(name or "")
        if cipher is None:
            raise UnknownKeyException(f"it was encrypted with the key {name}, which SECRET_KEY does not hold")
        try:
            encrypted = base64.urlsafe_b64decode(sealed.stored.rpartition(":")[2])
            opened = cipher.decrypt(encrypted[:_NONCE_BYTES], encrypted[_NONCE_BYTES:], bound_to.encode())
        except (InvalidTag, ValueError):
            raise UnknownKeyException("it was stored for another header or host, or was tampered with") from None
        return opened.decode()


def key_id(key: bytes) -> str:
    """The name of a key, which tells nothing of it."""
    return derive(key, b"schedule-service key id").hex()[:8]
