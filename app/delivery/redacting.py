"""Taking secrets out of what a target said back, in whatever usual escapes it says them.

Each encoder escapes what it likes, in its own spelling: `/` is `\\/` to one and `%2f` to another, `&` is `\\u0026` or
`&#38;`. So a text is read with its escapes undone, and where a secret then stands, the text as it came is masked. That
is linear in the text: a target must not be able to make this slow.
"""

import re
from bisect import bisect_right
from collections.abc import Collection

from app.core.sealing import MASK

SHORTEST_SECRET = 6
"""Shorter values are not looked for: they would be found in the middle of words."""
MOST_SECRETS = 500
"""What holds more of them is not looked through, and nothing of an answer to it is shown."""
# Repeated escaping adds backslashes, `25` and `amp;`.
_ESCAPED = re.compile(
    rb"""\\+(?:u(?P<json>[0-9a-f]{4})|(?P<behind>["'/]))?
      |  %(?:25)*(?P<percent>[0-9a-f]{2})
      |  &(?:amp;)*(?:\#0*(?P<number>[0-9]{1,6})|\#x0*(?P<hex>[0-9a-f]{1,5})|(?P<name>amp|lt|gt|quot|apos));
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NAMED = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}
_UNFINISHED = re.compile(rb"[\\%&][^\\%&]{0,15}\Z")
"""The beginning of an escape at the end of a text, as it may be cut off."""


def redacted(text: bytes, secrets: Collection[str], *, cut: bool = False) -> bytes:
    """A text without these secrets. One that was `cut` may end within one, and loses as much of its end as that may be.

    Secrets that contain others come first. Where there are too many to look for, nothing is left of the text.
    """
    if len(secrets) > MOST_SECRETS:
        return MASK.encode()
    for secret in secrets:
        text = text.replace(secret.encode(), MASK.encode())
    read = _Read(text)
    plain = {_Read(secret.encode()).plain for secret in secrets}
    spans = sorted(span for secret in plain if len(secret) >= SHORTEST_SECRET for span in read.spans(secret))
    end = read.end_without(max(map(len, plain), default=1) - 1) if cut else len(text)
    parts, at = [], 0
    for start, stop in spans:
        if start >= at:
            parts += [text[at:start], MASK.encode()]
        at = max(at, stop)
    if at >= end:
        # What is masked at the end stays masked: its mask is no part of a secret.
        return b"".join(parts)
    return b"".join([*parts, text[at:end]])


class _Read:
    """A text with its escapes undone, and where in it as it came each character stands."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._plain_ends: list[int] = []
        self._ends: list[int] = []
        parts, at, length = [], 0, 0
        for found in _ESCAPED.finditer(text):
            before, character = text[at : found.start()], _undone(found)
            at = found.end()
            parts += [before, character]
            length += len(before) + len(character)
            self._plain_ends.append(length)
            self._ends.append(at)
        self.plain = b"".join([*parts, text[at:]])

    def spans(self, secret: bytes) -> list[tuple[int, int]]:
        """From where to where a secret stands in the text as it came."""
        found, at = [], self.plain.find(secret)
        while at >= 0:
            found.append((self._place(at), self._place(at + len(secret))))
            at = self.plain.find(secret, at + len(secret))
        return found

    def end_without(self, characters: int) -> int:
        """Where the text ends without its last characters, and without the beginning of an escape behind them."""
        if unfinished := _UNFINISHED.search(self._text):
            characters += len(self._text) - unfinished.start()
        return self._place(max(len(self.plain) - characters, 0))

    def _place(self, position: int) -> int:
        before = bisect_right(self._plain_ends, position) - 1
        return position if before < 0 else self._ends[before] + position - self._plain_ends[before]


def _undone(found: re.Match[bytes]) -> bytes:
    kind = found.lastgroup
    if kind is None:
        return b"\\"
    value = found[kind]
    if kind == "behind":
        return value
    if kind == "name":
        return _NAMED[value.lower()]
    code = int(value, 10 if kind == "number" else 16)
    return bytes([code]) if kind == "percent" else chr(code).encode("utf-8", "replace")
