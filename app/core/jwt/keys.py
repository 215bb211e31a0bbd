"""An issuer's public keys (RFC 7517), and which of them a token was signed with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWS
from jwt.exceptions import PyJWTError

from app.core.errors import InvalidTokenException
from app.core.jwt.algorithms import ALGORITHMS
from app.core.jwt.compact import Token

_SIGNATURES = PyJWS(algorithms=list(ALGORITHMS))
_PUBLIC = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_RSA_BITS = range(2048, 16_384 + 1)
"""Fewer are refused by RFC 7518, 3.3; OpenSSL verifies with no more."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key, its id where it has one, and the algorithms that it may have signed by."""

    key_id: str | None
    algorithms: frozenset[str]
    public: Any


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys that can be used here, of those that an issuer publishes; and how many cannot."""

    keys: tuple[Key, ...]
    passed_over: int = 0

    @classmethod
    def read(cls, document: object) -> "KeySet":
        """Read a JWK Set. Keys of other kinds, for other uses, or broken, are passed over (RFC 7517, 5).

        Raises ValueError where it is no JWK Set at all.
        """
        published = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(published, list):
            raise ValueError("they are no JWK Set: a JSON object with a list `keys`")
        read = [key for each in published if (key := _read(each)) is not None]
        return cls(tuple(read), len(published) - len(read))

    def find(self, token: Token) -> Key | None:
        """The key that a token says it was signed with; null where it is not here, or not yet.

        A token without a key id is one of the only key that fits. Raises InvalidTokenException where the key does not
        fit its algorithm, or several do.
        """
        key_id, algorithm = token.header.get("kid"), token.header["alg"]
        named = [key for key in self.keys if key_id is None or key.key_id == key_id]
        fitting = [key for key in named if algorithm in key.algorithms]
        if len(fitting) > 1:
            raise InvalidTokenException(
                "The token's key id (kid) must say with which of its issuer's keys it is signed."
            )
        if named and not fitting and key_id is not None:
            raise InvalidTokenException(f"The key that the token names (kid) is none of its algorithm {algorithm}.")
        return fitting[0] if fitting else None


def verify(token: Token, key: Key) -> None:
    """Refuse a token that this key did not sign.

    Raises InvalidTokenException.
    """
    algorithm = token.header["alg"]
    try:
        _SIGNATURES.decode_complete(token.text, key=key.public, algorithms=[algorithm])
    except PyJWTError:
        # Not from it: the cause may quote the token.
        raise InvalidTokenException("The token's signature is not that of its issuer.") from None


def _read(published: object) -> Key | None:
    """A key of a JWK Set; null for one that is of no use here."""
    if not isinstance(published, dict):
        return None
    key_id, algorithms = published.get("kid"), _algorithms(published)
    if not algorithms or not isinstance(key_id, str | None) or not _may_verify(published):
        return None
    members = {name: published.get(name) for name in ("kty", *_PUBLIC[published["kty"]])}
    if not all(isinstance(member, str) for member in members.values()):
        return None
    try:
        # Which of them does not matter: the key is the same.
        public = PyJWK(members, min(algorithms)).key
    except (PyJWTError, UnsupportedAlgorithm, ValueError, TypeError):
        return None
    if isinstance(public, RSAPublicKey) and public.key_size not in _RSA_BITS:
        return None
    return Key(key_id, algorithms, public)


def _algorithms(published: Mapping[str, Any]) -> frozenset[str]:
    """What a key may sign by: what its type and curve allow, and only what it says itself, where it does."""
    kind, curve = published.get("kty"), published.get("crv")
    fitting = {
        name
        for name, algorithm in ALGORITHMS.items()
        if algorithm.key_type == kind and (not algorithm.curves or curve in tuple(algorithm.curves))
    }
    said = published.get("alg")
    return frozenset(name for name in fitting if said is None or said == name)


def _may_verify(published: Mapping[str, Any]) -> bool:
    """Whether it is for signatures. One that is published with its private part is anybody's, and so nobody's."""
    operations = published.get("key_ops")
    meant = operations is None or (isinstance(operations, list) and "verify" in operations)
    return meant and published.get("use") in (None, "sig") and not _PRIVATE & published.keys()
