"""What became of a request that was sent to try a target: all of it, but for what is secret."""

from urllib.parse import urlsplit

from app.core.sealing import MASK
from app.core.values import value
from app.delivery.answer import Verdict
from app.delivery.reply import Reply


@value
class ShownRequest:
    """A request as it was written to the wire; the values of hidden headers are masked."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@value
class Tried:
    """How it went. `request` is null where none could be put together, `reply` where no answer came."""

    duration_ms: int
    request: ShownRequest | None
    reply: Reply | None
    verdict: Verdict


def shown(url: str, written: bytes, hidden: frozenset[str]) -> ShownRequest:
    """The request to `url` that these bytes are."""
    head, _, body = written.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = tuple((name, text) for name, _, text in (line.partition(": ") for line in lines))
    authority = next(text for name, text in headers if name == "Host")
    masked = tuple((name, MASK if name in hidden else text) for name, text in headers)
    return ShownRequest(method, f"{urlsplit(url).scheme}://{authority}{path}", masked, body)
