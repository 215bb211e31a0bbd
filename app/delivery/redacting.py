"""Taking secrets out of what a target said back, in whatever usual escapes it says them.

Each encoder escapes what it likes, in its own spelling: `/` is `\\/` to one and `%2f` to another, `&` is `\\u0026` or
`&#38;`. So a text is read with its escapes undone, and where a secret then stands, the text as it came is masked. That
is linear in the text, and what would compare too often is not shown at all: no target must be able to make this slow.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable
from functools import lru_cache
from itertools import accumulate

from app.core.sealing import MASK

SHORTEST_SECRET = 6
"""Shorter values are not looked for: they would be found in the middle of words."""
MOST_SECRETS = 100
"""What holds more of them is not looked through, and nothing of an answer to it is shown."""
MOST_COMPARED = 20_000
"""So often is a secret compared with what begins as it does; of a text that asks for more nothing is shown."""
# Repeated escaping adds backslashes, `25` and `amp;`.
_ESCAPED = re.compile(
    rb"""( \\+(?:u[0-9a-f]{4}|["'/])?
        |  %(?:25)*[0-9a-f]{2}
        |  &(?:amp;)*(?:\#0*[0-9]{1,6}|\#x0*[0-9a-f]{1,5}|amp|lt|gt|quot|apos);
         )""",
    re.VERBOSE | re.IGNORECASE,
)
_NAMED = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}
_UNFINISHED = re.compile(rb"\\(?:u[0-9a-f]{0,3})?|%(?:25)*[0-9a-f]?|&(?:amp;)*(?:\#x?[0-9a-f]*|[a-z]*)", re.IGNORECASE)
"""The beginning of an escape at the end of a text, as it may be cut off."""
_REMEMBERED_BYTES = 16


class _TooOftenException(Exception):
    """Looking for the secrets in this text would take too long."""


def redacted(text: bytes, secrets: Collection[str], *, cut: bool = False) -> bytes:
    """A text without these secrets. One that was `cut` may end within one, and loses as much of its end as that may be.

    Where there are too many to look for, nothing is left of the text.
    """
    if not secrets:
        return text
    if len(secrets) > MOST_SECRETS:
        return MASK.encode()
    try:
        return _redacted(text, [secret.encode() for secret in secrets], cut)
    except _TooOftenException:
        return MASK.encode()


def beginning_of(text: bytes, length: int, secrets: Collection[str], *, cut: bool = False) -> bytes:
    """The first `length` bytes of a text, or fewer, without these secrets; `cut` says that it was before.

    What stands behind is not looked at, but for what a secret needs that begins before.
    """
    most = length + max((len(secret.encode()) for secret in secrets), default=0)
    return redacted(text[:most], secrets, cut=cut or len(text) > most)[:length]


def _redacted(text: bytes, secrets: list[bytes], cut: bool) -> bytes:
    # As they are first: what stands around one may be read as an escape together with it.
    text = _masked(text, _found(text, secrets), len(text))
    read = _Read(text)
    plain = (_Read(secret).plain for secret in secrets)
    spans = [read.place(*span) for span in _found(read.plain, (each for each in plain if len(each) >= SHORTEST_SECRET))]
    return _masked(text, spans, read.end_without(max(map(len, secrets)) - 1) if cut else len(text))


def _found(text: bytes, secrets: Iterable[bytes]) -> list[tuple[int, int]]:
    """From where to where secrets stand in a text, in their order: of those that begin at one place the longest."""
    alike: dict[bytes, list[bytes]] = {}
    for secret in sorted(set(secrets), key=len, reverse=True):
        alike.setdefault(secret[:SHORTEST_SECRET], []).append(secret)
    found, compared = [], 0
    for beginning, candidates in alike.items():
        at = text.find(beginning)
        while at >= 0:
            compared += len(candidates)
            if compared > MOST_COMPARED:
                raise _TooOftenException
            for secret in candidates:
                if text.startswith(secret, at):
                    found.append((at, at + len(secret)))
                    break
            at = text.find(beginning, at + 1)
    return sorted(found)


def _masked(text: bytes, spans: Iterable[tuple[int, int]], end: int) -> bytes:
    """A text up to its end with masks over these spans, those that overlap as one. A mask at the end stays."""
    parts, at = [], 0
    for start, stop in spans:
        if start >= at:
            parts += [text[at:start], MASK.encode()]
        at = max(at, stop)
    return b"".join([*parts, text[at:end]])


class _Read:
    """A text with its escapes undone, and where in it as it came each character stands."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        # What is no escape and what is one, in turns.
        pieces = _ESCAPED.split(text)
        self._ends = list(accumulate(map(len, pieces)))
        pieces[1::2] = [
            _undone(escape) if len(escape) <= _REMEMBERED_BYTES else _undone.__wrapped__(escape)
            for escape in pieces[1::2]
        ]
        self._plain_ends = list(accumulate(map(len, pieces)))
        self.plain = b"".join(pieces)

    def place(self, start: int, stop: int) -> tuple[int, int]:
        """From where to where a stretch stands in the text as it came: of an escape all."""
        last = bisect_left(self._plain_ends, stop)
        return self._place(start), self._ends[last] if last % 2 else self._ends[last] - self._plain_ends[last] + stop

    def end_without(self, characters: int) -> int:
        """Where the text ends without its last characters, and without the beginning of an escape behind them."""
        begins = max(self._text.rfind(character) for character in (b"\\", b"%", b"&"))
        if begins >= 0 and _UNFINISHED.fullmatch(self._text, begins):
            characters += len(self._text) - begins
        return self._place(max(len(self.plain) - characters, 0))

    def _place(self, position: int) -> int:
        piece = bisect_right(self._plain_ends, position)
        if piece == len(self._ends):
            return len(self._text)
        return self._ends[piece - 1] if piece % 2 else self._ends[piece] - self._plain_ends[piece] + position


@lru_cache(maxsize=4096)
def _undone(escape: bytes) -> bytes:
    kind, rest = escape[:1], escape.lstrip(b"\\").lower()
    if kind == b"%":
        return bytes([int(rest[-2:], 16)])
    if kind == b"\\":
        return _character(rest[1:], 16) if rest.startswith(b"u") else rest or kind
    name = rest[1:-1].rpartition(b";")[2]
    if name.startswith(b"#x"):
        return _character(name[2:], 16)
    return _character(name[1:], 10) if name.startswith(b"#") else _NAMED[name]


def _character(number: bytes, base: int) -> bytes:
    # Python refuses to read a number of thousands of digits, be they zeros.
    return chr(int(number.lstrip(b"0") or b"0", base)).encode("utf-8", "replace")
