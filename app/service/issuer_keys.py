"""The keys of the issuer of tokens, kept: who checks a token waits for the issuer only where its key is not known.

They are fetched at the start and every five minutes, so that a key that the issuer withdraws counts no longer than that
while it answers. While it does not, the last ones count for a day. A token whose key is not known has them fetched
anew, for that key may be new; but all such tokens together, made up or not, cause one fetch in five seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from math import inf
from typing import NoReturn

import structlog

from app.core.clock import Clock
from app.core.errors import IssuerUnavailableException
from app.core.jwt.keys import KeySet
from app.core.tasks import end
from app.issuer import KeysNotFetched
from app.metrics import Metrics

KEPT_SECONDS = 300.0
"""How old keys become before they are fetched again."""
STALE_SECONDS = 86_400.0
"""How old they may become where that fails: who cannot reach the issuer for longer cannot know what it withdrew."""
APART_SECONDS = 5.0
"""Between two fetches at least."""
MOST_WAITING = 200
"""Requests that wait for keys at once; each holds a connection, and anyone can make up a token."""
_SAID_AGAIN_SECONDS = 300.0

log = structlog.get_logger()


class IssuerKeys:
    """Fetches by `fetch`, and keeps what it got; `keep` has to run meanwhile."""

    def __init__(self, fetch: Callable[[], Awaitable[KeySet]], clock: Clock, metrics: Metrics) -> None:
        self._fetch = fetch
        self._clock = clock
        self._metrics = metrics
        self._keys: KeySet | None = None
        self._fetched_at = clock.monotonic()
        self._tried_at = -inf
        self._said_at = -inf
        self._failing = False
        self._fetching: asyncio.Task[None] | None = None
        self._waiting = 0
        metrics.jwks_age_seconds.set_function(lambda: clock.monotonic() - self._fetched_at)

    async def keep(self) -> None:
        """Fetch at once, and again and again, until cancelled."""
        try:
            while True:
                await self._fetched()
                await self._clock.sleep(APART_SECONDS if self._failing else KEPT_SECONDS)
        finally:
            if self._fetching is not None:
                await end(self._fetching)

    async def current(self) -> KeySet:
        """The keys by which a token is checked first; waits for the issuer only where none are known.

        Raises IssuerUnavailableException.
        """
        under_way = self._fetching is not None and not self._fetching.done()
        if self._usable() is None and (under_way or self._tried_at == -inf):
            await self._wait()
        return self._usable() or _refuse("The keys of the tokens' issuer are not known")

    async def newer(self, than: KeySet) -> KeySet:
        """The keys as of a later fetch, which is made where there was none since.

        Raises IssuerUnavailableException where it fails: whether the key is new cannot be told.
        """
        if self._keys is than:
            await self._wait()
        found = self._usable()
        return found if found is not None and found is not than else _refuse("The token's key is not known here yet")

    def _usable(self) -> KeySet | None:
        """The keys that count: null where there are none, or where the last are too old."""
        if self._clock.monotonic() - self._fetched_at > STALE_SECONDS:
            return None
        return self._keys if self._keys is not None and self._keys.keys else None

    async def _wait(self) -> None:
        if self._waiting >= MOST_WAITING:
            _refuse("Too many requests wait for the keys of the tokens' issuer")
        self._waiting += 1
        try:
            await self._fetched()
        finally:
            self._waiting -= 1

    async def _fetched(self) -> None:
        """Wait for the fetch that is under way, or for the next. All share it: one that gives up does not end it."""
        if self._fetching is None or self._fetching.done():
            # In a context of its own: what it logs is no matter of the one request that came first.
            self._fetching = asyncio.create_task(self._fetch_once(), name="issuer keys", context=Context())
        await asyncio.shield(self._fetching)

    async def _fetch_once(self) -> None:
        await self._clock.sleep(max(0.0, self._tried_at + APART_SECONDS - self._clock.monotonic()))
        self._tried_at = self._clock.monotonic()
        try:
            fetched = await self._fetch()
        except KeysNotFetched as failed:
            self._failed(str(failed))
            return
        except Exception:
            # Whatever an issuer sends, the next fetch is made.
            log.exception("jwks_poison", category="ERROR")
            self._failed("an error that nothing expected")
            return
        # Whatever it is, it is the issuer's word, and it may have been broken into: what it withdrew counts no longer.
        self._keys = fetched
        if fetched.keys:
            self._fetched_at = self._clock.monotonic()
            self._succeeded(fetched)
        else:
            self._failed(f"it publishes {fetched.passed_over} keys, and none that can be used here")

    def _succeeded(self, fetched: KeySet) -> None:
        self._metrics.jwks_fetches.labels("succeeded").inc()
        if self._failing or self._said_at == -inf:
            log.info("jwks_fetched", category="SYSTEM", keys=len(fetched.keys), passed_over=fetched.passed_over)
        self._failing, self._said_at = False, self._clock.monotonic()

    def _failed(self, why: str) -> None:
        self._metrics.jwks_fetches.labels("failed").inc()
        now = self._clock.monotonic()
        if not self._failing or now - self._said_at >= _SAID_AGAIN_SECONDS:
            self._said_at = now
            log.warning("jwks_away", category="ERROR", error=why, keys=len(self._keys.keys) if self._keys else 0)
        self._failing = True


def _refuse(why: str) -> NoReturn:
    raise IssuerUnavailableException(f"{why}: whether the token is good cannot be told. Try again in a moment.")
