"""Asking an issuer of tokens for its public keys: by OpenID Connect Discovery 1.0, or at an address that is set."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from app import __version__
from app.core.jwt.keys import KeySet
from app.core.jwt.urls import discovery_url, keys_url_of

_DEADLINE_SECONDS = 5.0
"""For both requests together, whatever the issuer does."""
_LARGEST_BYTES = 256 * 1024
"""Of an answer: the largest issuers publish some twenty kilobytes of keys."""
_HEADERS = {
    "Accept": "application/json",
    # What is packed small may unpack without an end.
    "Accept-Encoding": "identity",
    "User-Agent": f"schedule-service/{__version__}",
}


class KeysNotFetched(Exception):
    """The issuer did not answer with keys that can be used; its message says why, for the log."""


class Issuer:
    """Asks where the keys are, and for them, each time: an issuer may move them.

    Follows no redirect and no proxy of the environment, and trusts whom OpenSSL does (`SSL_CERT_FILE`).
    """

    def __init__(self, client: httpx.AsyncClient, issuer: str, keys_url: str) -> None:
        """`keys_url` is empty where the issuer says it."""
        self._client = client
        self._issuer = issuer
        self._keys_url = keys_url

    @classmethod
    @asynccontextmanager
    async def reached(cls, issuer: str, keys_url: str) -> AsyncIterator["Issuer"]:
        """An issuer, and a client of its own for it."""
        client = httpx.AsyncClient(
            headers=_HEADERS,
            verify=ssl.create_default_context(),
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            follow_redirects=False,
            timeout=_DEADLINE_SECONDS,
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        async with client:
            yield cls(client, issuer, keys_url)

    async def keys(self) -> KeySet:
        """The keys that the issuer publishes now; there may be none that can be used.

        Raises KeysNotFetched.
        """
        url = self._keys_url or discovery_url(self._issuer)
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                if not self._keys_url:
                    url = keys_url_of(await self._document(url), self._issuer)
                return KeySet.read(await self._document(url))
        except TimeoutError:
            raise KeysNotFetched(f"{url} did not answer whole within {_DEADLINE_SECONDS:g} seconds") from None
        except (httpx.HTTPError, httpx.InvalidURL) as failed:
            raise KeysNotFetched(f"{url}: {str(failed) or type(failed).__name__}") from failed
        except ValueError as refused:
            raise KeysNotFetched(f"{url}: {refused}") from None

    async def _document(self, url: str) -> object:
        """The JSON at an address. Raises ValueError for any other answer, and what httpx raises."""
        body = bytearray()
        async with self._client.stream("GET", url) as answer:
            if answer.is_redirect:
                raise ValueError(f"it answered {answer.status_code}, and a redirect is not followed")
            if answer.status_code != httpx.codes.OK:
                raise ValueError(f"it answered {answer.status_code}")
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise ValueError("its answer is packed, though that was not asked for")
            async for part in answer.aiter_raw():
                body += part
                if len(body) > _LARGEST_BYTES:
                    raise ValueError(f"its answer has more than {_LARGEST_BYTES} bytes")
        try:
            found: object = json.loads(body.decode("utf-8"))
        except (ValueError, RecursionError):
            raise ValueError("its answer is no JSON") from None
        return found
