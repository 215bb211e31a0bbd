"""The one place where requests leave: the seam behind which the HTTP client can be exchanged.

The client is pyreqwest, chosen by measurement (`make bench`): the HTTP client is the biggest cost of a firing.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.response import BaseResponse

BODY_LIMIT_BYTES = 64 * 1024
_IDLE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Reply:
    """A target's answer; `body` is at most its first 64 KiB, `retry_after` the header as it came."""

    status: int
    body: bytes
    retry_after: str | None


class TransportFailure(Exception):
    """No answer, or one that broke off; the message says what happened."""


class Transport(Protocol):
    """Sends one request."""

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Reply:
        """The answer to a POST; redirects are not followed.

        Raises TransportFailure.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class PooledTransport:
    """One connection pool for everything that a worker sends.

    The timeout is a deadline over the whole exchange, the body's end included: a target that trickles a byte a second
    does not outlive it. No proxy of the environment is used.
    """

    def __init__(self, *, timeout_seconds: float, connections: int, user_agent: str) -> None:
        self._client = (
            ClientBuilder()
            .timeout(timedelta(seconds=timeout_seconds))
            .connect_timeout(timedelta(seconds=min(timeout_seconds, 10)))
            .pool_max_idle_per_host(connections)
            .pool_idle_timeout(timedelta(seconds=_IDLE_SECONDS))
            .follow_redirects(False)
            .default_cookie_store(False)
            .no_proxy()
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .user_agent(user_agent)
            .build()
        )

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Reply:
        try:
            request = (
                self._client.post(url).headers(headers).body_bytes(body).streamed_read_buffer_limit(BODY_LIMIT_BYTES)
            )
            async with request.build_streamed() as response:
                answer = await response.body_reader.read(BODY_LIMIT_BYTES)
                reply = Reply(response.status, b"" if answer is None else bytes(answer), _retry_after(response))
        except PyreqwestError as failed:
            _end_if_cancelled()
            raise TransportFailure(_reason(failed)) from failed
        _end_if_cancelled()
        return reply

    async def close(self) -> None:
        await self._client.close()


def _end_if_cancelled() -> None:
    """A cancellation that comes in the instant of an answer is lost in the client, and its task would never end."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _retry_after(response: BaseResponse) -> str | None:
    try:
        return response.get_header("retry-after")
    except ValueError:
        # Bytes that are no text must not cost the answer.
        return None


def _reason(failed: PyreqwestError) -> str:
    """The innermost cause: the outer messages only say that a request failed."""
    causes = getattr(failed, "details", {}).get("causes") or []
    message = causes[-1]["message"] if causes else str(failed.message)
    return f"{type(failed).__name__}: {message}"
