"""How much may be sent to a target host: how many at once, and how many a second."""

import re
from collections.abc import Mapping
from math import isfinite

from app.core.hosts import in_one_spelling
from app.core.values import value

ENGINE = "engine"
"""What the settings call the configured workflow engine."""
EVERY_OTHER = "*"
LEAST_RATE, _HIGHEST_RATE = 0.0001, 1_000_000
"""A second."""
_HOST_AND_PORT = re.compile(r"(\[[^\]]*\]|[^:]*)(:[0-9]+)?")


@value
class Limits:
    """The limits of every host. A host is text as in a URL's authority; null is the workflow engine.

    `per_second` is by host, `ENGINE` and `EVERY_OTHER` among them; who is not named has no rate.
    """

    max_concurrent: int
    per_second: Mapping[str, float]

    def rate_of(self, host: str | None) -> float | None:
        """How many attempts a second a host may get from all workers together; null for any number."""
        if host is None:
            return self.per_second.get(ENGINE)
        if host == ENGINE:
            return None
        # A host's text has no port that is its scheme's own; who sets its rate may have written it.
        named = (host, f"{host}:443", f"{host}:80", EVERY_OTHER)
        return next((self.per_second[name] for name in named if name in self.per_second), None)


def parse_rates(text: str) -> dict[str, float]:
    """Rates from `host=number-per-second`, comma-separated.

    Raises ValueError that says in one line what is wrong.
    """
    rates: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        host, equals, number = part.rpartition("=")
        host = host.strip().lower()
        if not equals or not host:
            raise ValueError(f"{part!r} is not host=number-per-second")
        if "/" in host or "=" in host or "@" in host or not host.isprintable() or " " in host:
            raise ValueError(f"{host!r} is not a host, as in api.example.com or 127.0.0.1:8080")
        host = _as_it_is_looked_up(host)
        if host in rates:
            raise ValueError(f"{host!r} is named twice")
        rates[host] = _rate(part, number)
    return rates


def _as_it_is_looked_up(host: str) -> str:
    found = _HOST_AND_PORT.fullmatch(host)
    if found is None or host in (ENGINE, EVERY_OTHER):
        return host
    return in_one_spelling(found[1]) + (found[2] or "")


def _rate(part: str, number: str) -> float:
    try:
        rate = float(number)
    except ValueError:
        raise ValueError(f"{part!r}: {number.strip()!r} is not a number") from None
    if not isfinite(rate) or not LEAST_RATE <= rate <= _HIGHEST_RATE:
        raise ValueError(f"{part!r}: a rate is {LEAST_RATE} to {_HIGHEST_RATE} a second")
    return rate


def burst_of(per_second: float) -> float:
    """How many may go at once after a pause: a second's worth, and one at least."""
    return max(1.0, per_second)
