"""Which tokens count here: by whom they are issued, for whom, until when, and how they may be signed."""

from dataclasses import dataclass
from math import isfinite
from typing import Any

from app.core.clock import utc_of_ms
from app.core.errors import InvalidTokenException
from app.core.jwt.compact import Token

LEEWAY_SECONDS = 30
"""How far the issuer's clock may be ahead of ours."""
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_LATEST_SHOWN_SECONDS = 253_402_300_799
_LONGEST_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Rules:
    """What a deployment asks of a token."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]

    def check(self, token: Token, *, now_ms: int) -> None:
        """Refuse what no signature could make good, before any key is asked for.

        Raises InvalidTokenException that says what is wrong.
        """
        self._check_header(token.header)
        self._check_issuer(token.claims)
        _check_times(token.claims, now_ms / 1000)
        self._check_audience(token.claims)

    def _check_header(self, header: dict[str, Any]) -> None:
        algorithm, kind, key_id = header.get("alg"), header.get("typ", "JWT"), header.get("kid", "")
        if not isinstance(algorithm, str) or algorithm not in self.algorithms:
            raise InvalidTokenException(
                f"The token's algorithm (alg) is {_short(algorithm)}; it must be {' or '.join(self.algorithms)}."
            )
        # One that is not understood must be refused (RFC 7515, 4.1.11), and none is.
        if "crit" in header or "b64" in header:
            raise InvalidTokenException("The token's header has an extension (crit) that is not understood here.")
        # What an issuer signs for another purpose, a logout for instance, says so (RFC 8725, 3.11; RFC 9068, 2.1).
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise InvalidTokenException(f"The token's type (typ) is {_short(kind)}; it must be JWT or at+jwt.")
        if not isinstance(key_id, str):
            raise InvalidTokenException("The token's key id (kid) must be a string.")

    def _check_issuer(self, claims: dict[str, Any]) -> None:
        if claims.get("iss") != self.issuer:
            raise InvalidTokenException(f"The token is of another issuer (iss); it must be of {self.issuer!r}.")

    def _check_audience(self, claims: dict[str, Any]) -> None:
        meant = claims.get("aud")
        if self.audience not in (meant if isinstance(meant, list) else [meant]):
            raise InvalidTokenException(f"The token is for another audience (aud); it must be for {self.audience!r}.")


def _check_times(claims: dict[str, Any], now_seconds: float) -> None:
    """RFC 7519, 4.1.4 to 4.1.6. The leeway is for clocks that differ; what ends has an end that is known ahead."""
    expires = _instant(claims, "exp")
    if expires is None:
        raise InvalidTokenException("The token must say when it expires (exp).")
    if expires <= now_seconds:
        raise InvalidTokenException(f"The token expired at {_when(expires)}.")
    valid_from = _instant(claims, "nbf")
    if valid_from is not None and valid_from > now_seconds + LEEWAY_SECONDS:
        raise InvalidTokenException(f"The token is not valid before {_when(valid_from)} (nbf).")
    issued = _instant(claims, "iat")
    if issued is not None and issued > now_seconds + LEEWAY_SECONDS:
        raise InvalidTokenException(f"The token says that it is issued at {_when(issued)} (iat), which is to come.")


def _instant(claims: dict[str, Any], name: str) -> float | None:
    """Seconds since the epoch, null where the claim is not there."""
    if name not in claims:
        return None
    found = claims[name]
    # True is a number to Python, and 1e999 is one without an end.
    if isinstance(found, bool) or not isinstance(found, int | float) or not _is_finite(found):
        raise InvalidTokenException(f"The token's {name} must be a number of seconds since 1970.")
    return found


def _is_finite(number: float) -> bool:
    # A whole number of any length is finite, and has no float.
    return isinstance(number, int) or isfinite(number)


def _when(seconds: float) -> str:
    """An instant, unless it is one that no calendar has."""
    return (
        utc_of_ms(int(seconds * 1000)) if 0 <= seconds <= _LATEST_SHOWN_SECONDS else "an instant beyond all calendars"
    )


def _short(value: object) -> str:
    return repr(value[:_LONGEST_SHOWN]) if isinstance(value, str) else "missing, or no string"
