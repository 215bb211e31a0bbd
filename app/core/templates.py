"""`{{ name }}` in a target's URL, headers and body: substitution, and nothing else.

A name is a path of members, `execution_id` or `variables.report`. There is no escape, no default, no logic; what is
substituted is never read again. How a value is written depends on the place it stands in, which whoever renders says.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

import orjson

_OPENING = "{{"
_REMEMBERED_CHARACTERS = 1024
"""Longer templates are parsed each time: four thousand of 64 KiB would be a quarter of a gigabyte."""
_PLACEHOLDER = re.compile(r"\{\{\s*([\w-]+(?:\.[\w-]+)*)\s*\}\}")
# What stands between placeholders, and each placeholder's name, in turns.
Template = tuple[str, ...]


class TemplateException(Exception):
    """A template that is wrong, or that has no value to put in; the message says which."""


def parse(text: str) -> Template:
    """Text and names in turns, beginning and ending with text.

    Raises TemplateException for an opening brace pair that is no placeholder.
    """
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

    Raises TemplateException.
    """
    if isinstance(value, str):
        return list(names_in(value))
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [name for each in inner for name in all_names_in(each)]


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


def characters_put_in(template: Any, values: Mapping[str, Any]) -> int:
    """How many characters the placeholders of a JSON value stand for, before they are encoded for their places.

    To be asked before rendering: a placeholder of 16 characters may stand for 64 KiB, and a template have thousands.

    Raises TemplateException.
    """
    asked = Counter(all_names_in(template))
    return sum(number * len(as_text(look_up(name, values))) for name, number in asked.items())


def render(text: str, values: Mapping[str, Any], encode: Callable[[str], str]) -> str:
    """A template with its values put in, each encoded for its place.

    Raises TemplateException.
    """
    parts = parse(text)
    if len(parts) == 1:
        return text
    return "".join(encode(as_text(look_up(part, values))) if place % 2 else part for place, part in enumerate(parts))


def render_url(url: str, values: Mapping[str, Any]) -> str:
    """A URL with its values put in, each within its segment or parameter.

    Raises TemplateException, also where they make a segment `.` or `..`: no encoding keeps that in its place, because
    `%2E%2E` climbs as well (WHATWG's URL standard, and every server that decodes a path before it resolves it).
    """
    rendered = render(url, values, in_url)
    if _dot_segments(rendered) > _dot_segments(url):
        raise TemplateException("a segment of its path would be '.' or '..', which leads to another path")
    return rendered


def render_json(value: Any, values: Mapping[str, Any]) -> Any:
    """A JSON value with the templates of its strings rendered.

    A string that is one placeholder and nothing else becomes the value itself, so that a number stays a number, and an
    object an object.

    Raises TemplateException.
    """
    if isinstance(value, str):
        parts = parse(value)
        if len(parts) == 3 and not parts[0] and not parts[2]:
            return look_up(parts[1], values)
        return render(value, values, _as_it_is)
    if isinstance(value, dict):
        return {name: render_json(each, values) for name, each in value.items()}
    if isinstance(value, list):
        return [render_json(each, values) for each in value]
    return value


def as_text(value: Any) -> str:
    """A value inside a text: a string as it is, nothing for null, anything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()


def in_url(text: str) -> str:
    """Percent-encoded (RFC 3986): it can end neither its segment nor its query parameter."""
    return quote(text, safe="")


def in_header(text: str) -> str:
    """Printable ASCII as it is, and all else percent-encoded: no value can end its line (RFC 9110, 5.5)."""
    return quote(text, safe=_PRINTABLE)


def in_json(text: str) -> str:
    """Inside the quotes of a JSON string."""
    return orjson.dumps(text).decode()[1:-1]


def in_form(text: str) -> str:
    """A value of application/x-www-form-urlencoded."""
    return quote(text, safe="")


def in_xml(text: str) -> str:
    """Character data of XML, or an attribute's value."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&apos;")):
        text = text.replace(character, entity)
    return text


def _dot_segments(url: str) -> int:
    path = url.partition("://")[2].partition("?")[0]
    return sum(unquote(segment) in (".", "..") for segment in path.split("/")[1:])


def _as_it_is(text: str) -> str:
    return text


_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
