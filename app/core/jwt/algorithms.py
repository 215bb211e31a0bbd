"""The algorithms by which tokens may be signed (RFC 7518, 3.1; RFC 8037): only those with a public key.

With HMAC whoever can check a token can make one, and `none` is no signature.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Algorithm:
    """The type of key that it needs, and the curves that the key may be of; none for a type without."""

    key_type: str
    curves: frozenset[str] = frozenset()


ALGORITHMS = {
    **{f"{family}{bits}": Algorithm("RSA") for family in ("RS", "PS") for bits in (256, 384, 512)},
    "ES256": Algorithm("EC", frozenset({"P-256"})),
    "ES384": Algorithm("EC", frozenset({"P-384"})),
    "ES512": Algorithm("EC", frozenset({"P-521"})),
    "EdDSA": Algorithm("OKP", frozenset({"Ed25519", "Ed448"})),
}


def read_algorithms(setting: str) -> tuple[str, ...]:
    """The names in a comma-separated list, in its order.

    Raises ValueError that says in one line what is wrong.
    """
    names = tuple(dict.fromkeys(filter(None, map(str.strip, setting.split(",")))))
    for name in names:
        if name not in ALGORITHMS:
            raise ValueError(f"{name!r} is none of {', '.join(ALGORITHMS)}: a token needs a signature by a public key")
    if not names:
        raise ValueError("must name at least one algorithm, as in RS256,ES256")
    return names
