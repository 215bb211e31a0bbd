"""What comes of a request: a target's answer, or none."""

from dataclasses import dataclass

BODY_LIMIT_BYTES = 64 * 1024
"""So much of an answer's body is read: what a target says is an excerpt in a record, not a download."""


@dataclass(slots=True)
class Reply:
    """A target's answer; `body` is at most its first 64 KiB, `retry_after` the header as it came.

    `cut` says that there was more of the body, which was not read: it may end within anything.
    `headers` are all of them, in their order and as they came, where the request asked to keep them.
    """

    status: int
    body: bytes
    retry_after: str | None
    headers: tuple[tuple[str, str], ...] = ()
    cut: bool = False


class TransportFailure(Exception):
    """No answer, or one that broke off; the message says in one line what happened."""


class Unanswered(TransportFailure):
    """The target closed the connection without a byte of an answer, as it does with one that was idle for too long."""


class Unsendable(TransportFailure):
    """There is no request that could be sent: the target was not asked, and it says nothing of its host."""
