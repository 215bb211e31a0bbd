"""`{{ name }}` in a target's URL, headers and body: substitution, and nothing else.

A name is a path of members, `execution_id` or `variables.report`. There is no escape, no default, no logic; what is
substituted is never read again. How a value is written depends on the place it stands in, which whoever renders says.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import gt
from string import ascii_letters, digits
from typing import Any
from urllib.parse import unquote

import orjson

MOST_PLACEHOLDERS = 500
"""Of one URL, of one body, of all headers together: each is looked up and encoded by itself."""
LONGEST_RENDERED_URL = 8192
"""Characters of a URL as it is sent: few servers take more (RFC 9110, 4.1, asks for 8000)."""
_OPENING = "{{"
_REMEMBERED_CHARACTERS = 1024
"""Longer templates are parsed each time: four thousand of 64 KiB would be a quarter of a gigabyte."""
_HOLDERS = frozenset({str, list, dict})
_DOTS = re.compile(r"(?<![^/\\])\.\.?(?![^/\\;])")
_PLACEHOLDER = re.compile(r"\{\{\s*([\w-]+(?:\.[\w-]+)*)\s*\}\}")
# What stands between placeholders, and each placeholder's name, in turns.
Template = tuple[str, ...]


class TemplateException(Exception):
    """A template that is wrong, or that has no value to put in; the message says which."""


def parse(text: str) -> Template:
    """Text and names in turns, beginning and ending with text.

    Raises TemplateException for an opening brace pair that is no placeholder, and for more than MOST_PLACEHOLDERS.
    """
    if text.count(_OPENING) > MOST_PLACEHOLDERS:
        raise _too_many()
    return _parse(text) if len(text) <= _REMEMBERED_CHARACTERS else _parse.__wrapped__(text)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Template:
    parts = tuple(_PLACEHOLDER.split(text))
    for stretch in parts[::2]:
        if _OPENING in stretch:
            # What follows is not repeated: it may be a secret.
            raise TemplateException("'{{' begins no placeholder here: one is written {{ execution_id }}")
    return parts


def names_in(text: str) -> tuple[str, ...]:
    """The names that a template asks for.

    Raises TemplateException.
    """
    return parse(text)[1::2]


def all_names_in(value: Any) -> list[str]:
    """The names that the strings of a JSON value ask for; keys are no templates.

    Raises TemplateException, also for more than MOST_PLACEHOLDERS.
    """
    names: list[str] = []
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, str):
            if _OPENING in each:
                names += names_in(each)
                if len(names) > MOST_PLACEHOLDERS:
                    raise _too_many()
        elif isinstance(each, list):
            left += filter(_may_hold_any, reversed(each))
        elif isinstance(each, dict):
            left += filter(_may_hold_any, reversed(each.values()))
    return names


def look_up(name: str, values: Mapping[str, Any]) -> Any:
    """What a name stands for.

    Raises TemplateException where a member is not there.
    """
    found: Any = values
    for member in name.split("."):
        if not isinstance(found, Mapping) or member not in found:
            raise TemplateException(f"there is no {{{{ {name} }}}}")
        found = found[member]
    return found


def characters_put_in(template: Any, values: Mapping[str, Any], length: Callable[[str], int] = len) -> int:
    """How many characters the placeholders of a JSON value stand for, by the `length` that each text has in its place.

    To be asked before rendering: a placeholder of 16 characters may stand for 64 KiB, and a template have hundreds.

    Raises TemplateException.
    """
    asked = Counter(all_names_in(template))
    return sum(number * length(as_text(look_up(name, values))) for name, number in asked.items())


def render(text: str, values: Mapping[str, Any], encode: Callable[[str], str]) -> str:
    """A template with its values put in, each encoded for its place.

    Raises TemplateException.
    """
    parts = parse(text)
    if len(parts) == 1:
        return text
    written = {name: encode(as_text(look_up(name, values))) for name in dict.fromkeys(parts[1::2])}
    return "".join([written[part] if place % 2 else part for place, part in enumerate(parts)])


def render_url(url: str, values: Mapping[str, Any]) -> str:
    """A URL with its values put in, each within its segment or parameter.

    Raises TemplateException, also where it would be longer than LONGEST_RENDERED_URL, and where the values make a
    segment `.` or `..`: no encoding keeps that in its place, because `%2E%2E` climbs as well (WHATWG's URL standard),
    and to every server that decodes a path before it resolves it `..%2F` does.
    """
    if characters_put_in(url, values, percent_encoded_length) > LONGEST_RENDERED_URL:
        raise _too_long()
    rendered = render(url, values, in_url)
    if len(in_header(rendered)) > LONGEST_RENDERED_URL:
        # What stands in a URL beside ASCII is sent percent-encoded.
        raise _too_long()
    if rendered != url and any(map(gt, _dot_segments(rendered), _dot_segments(url))):
        raise TemplateException("a segment of its path would be '.' or '..', which leads to another path")
    return rendered


def render_json(value: Any, values: Mapping[str, Any]) -> Any:
    """A JSON value with the templates of its strings rendered.

    A string that is one placeholder and nothing else becomes the value itself, so that a number stays a number, and an
    object an object.

    Raises TemplateException.
    """
    if isinstance(value, str):
        if _OPENING not in value:
            return value
        parts = parse(value)
        if len(parts) == 3 and not parts[0] and not parts[2]:
            return look_up(parts[1], values)
        return render(value, values, _as_it_is)
    if isinstance(value, dict):
        return {name: render_json(each, values) if _may_hold_any(each) else each for name, each in value.items()}
    if isinstance(value, list):
        return [render_json(each, values) if _may_hold_any(each) else each for each in value]
    return value


def as_text(value: Any) -> str:
    """A value inside a text: a string as it is, nothing for null, anything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()


def percent_encoded_length(text: str) -> int:
    """How long a text is where it is percent-encoded, without encoding it."""
    encoded = text.encode()
    return len(encoded) + 2 * len(encoded.translate(None, _UNRESERVED))


def _percent_encoder(kept: bytes) -> Callable[[str], str]:
    """What percent-encodes every byte but those that are kept (RFC 3986, 2.1).

    As `urllib.parse.quote`, at a fifth of its cost: what a tenant puts in is encoded while every other delivery waits.
    """
    written = [chr(byte) if byte in kept else f"%{byte:02X}" for byte in range(256)].__getitem__

    def encode(text: str) -> str:
        encoded = text.encode()
        return "".join(map(written, encoded)) if encoded.translate(None, kept) else text

    return encode


_UNRESERVED = f"{ascii_letters}{digits}-._~".encode()
_PRINTABLE = bytes(range(0x20, 0x7F))
_NOT_IN_XML = bytes(set(range(0x20)) - set(b"\t\n\r"))
in_url = _percent_encoder(_UNRESERVED)
"""Percent-encoded (RFC 3986): it can end neither its segment nor its query parameter."""
in_form = in_url
"""A value of application/x-www-form-urlencoded."""
in_header = _percent_encoder(_PRINTABLE)
"""Printable ASCII as it is, and all else percent-encoded: no value can end its line (RFC 9110, 5.5)."""


def in_json(text: str) -> str:
    """Inside the quotes of a JSON string."""
    return orjson.dumps(text).decode()[1:-1]


def in_xml(text: str) -> str:
    """Character data of XML, or an attribute's value, without the characters that XML cannot have (XML 1.0, 2.2)."""
    text = text.encode().translate(None, _NOT_IN_XML).decode().replace("\ufffe", "").replace("\uffff", "")
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&apos;")):
        text = text.replace(character, entity)
    return text


def _dot_segments(url: str) -> tuple[int, int]:
    """How many segments of a URL's path are `.` or `..` when it is decoded, and when it is decoded twice.

    Twice is what a proxy in front of a server does that decodes as well, and costs little to look for. To some a `;`
    ends a segment's name, and a backslash is a slash.
    """
    path = url.partition("://")[2].partition("?")[0].partition("/")[2]
    if "." not in path and "%2" not in path:
        return 0, 0
    once = unquote(path)
    return _count_dots(once), _count_dots(unquote(once))


def _count_dots(path: str) -> int:
    return len(_DOTS.findall(path))


def _may_hold_any(value: Any) -> bool:
    """Whether a JSON value may have a placeholder in it; there may be tens of thousands of others beside it."""
    return type(value) in _HOLDERS and bool(value)


def _as_it_is(text: str) -> str:
    return text


def _too_many() -> TemplateException:
    return TemplateException(f"it has more than {MOST_PLACEHOLDERS} placeholders")


def _too_long() -> TemplateException:
    return TemplateException(f"the URL would have more than {LONGEST_RENDERED_URL} characters, percent-encoded")
