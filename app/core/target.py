"""A target of a schedule's own: where its executions are sent instead of to the configured workflow engine."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from app.core.hosts import has_stray_brackets, in_one_spelling
from app.core.sealing import Sealed
from app.core.templates import TemplateException, characters_put_in, parse, percent_encoded_length, render_url

LONGEST_URL = 2048
MOST_HEADERS = 50
LONGEST_HEADER = 8192
LONGEST_HEADERS = 1 << 15
"""All values together, as they are written: servers take 8 to 64 KiB of them."""
MOST_IN_HEADERS = 1 << 14
"""So many characters may the placeholders of all headers together stand for, percent-encoded."""
MOST_IN_FORM = 1 << 16
"""The same of a form. Filling in more would hold up every other delivery: what is percent-encoded costs most."""
MOST_IN_BODY = 1 << 18
"""So many characters may the placeholders of any other body stand for."""
DEFAULT_PORTS = {"http": 80, "https": 443}
# RFC 9110, 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VISIBLE = re.compile(r"[\x20-\x7e]*")
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# What this service says about a request: the identity of a delivery is not a caller's to set.
_OURS = frozenset({"host", "content-length", "idempotency-key", "traceparent", "tracestate", "user-agent"})


class Method(StrEnum):
    """How a target is called."""

    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    GET = "GET"
    DELETE = "DELETE"


BODILESS = frozenset({Method.GET, Method.DELETE})
"""Methods that send no body unless one is defined; a GET never sends one."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where, and how. The strings of `url`, `cancel_url`, `headers` and `body` are templates.

    `headers` are sealed: nothing but a delivery opens them. A null `body` is the body that the workflow engine would
    get; an object or array is sent as JSON, a string as it is. `cancel_url` is told that an execution was cancelled.
    """

    url: str
    method: Method = Method.POST
    headers: Mapping[str, Sealed] = field(default_factory=dict)
    body: Any = None
    cancel_url: str | None = None

    @property
    def host(self) -> str:
        """Which host it is sent to, with the port where it is not the scheme's own: what rates go by, and is shown."""
        return host_of(self.url)


@lru_cache(maxsize=1024)
def host_of(url: str) -> str:
    """`host` or `host:port` of a checked URL, however it is spelt: rates go by it, and are not to be evaded."""
    parts = urlsplit(url)
    name = in_one_spelling(parts.hostname or "")
    return name if parts.port in (None, DEFAULT_PORTS.get(parts.scheme)) else f"{name}:{parts.port}"


def hosts_meant(text: str) -> tuple[str, ...]:
    """The hosts, as `host_of` gives them, that somebody means who writes `host` or `host:port`.

    That is one, however it is spelt; two where the port is a scheme's own, which a host's text leaves out.

    Raises ValueError that says what would be right.
    """
    urls = [f"{scheme}://{text}" for scheme in DEFAULT_PORTS]
    if any(map(url_problem, urls)) or {"/", "?", "*"} & set(text):
        raise ValueError("must be a host as it stands in a URL, and no pattern: hooks.example, or hooks.example:8443")
    return tuple(dict.fromkeys(map(host_of, urls)))


@lru_cache(maxsize=1024)
def origin_of(url: str) -> str:
    """Scheme, host and port of a checked URL: what has a lane, and has to be the same for a secret to be sent along."""
    return f"{urlsplit(url).scheme}://{host_of(url)}"


def bound_to(url: str, header: str) -> str:
    """What the sealed value of a header belongs to: it is not taken along to another host, nor out of TLS."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}\n{header.lower()}"


def url_problem(url: str) -> str | None:
    """Why a text is no URL of a target; null where it is one. What addresses it may have is another question."""
    if len(url) > LONGEST_URL:
        return f"must have at most {LONGEST_URL} characters"
    if not url.startswith(("http://", "https://")):
        return "must begin with http:// or https://"
    if not url.isprintable() or " " in _without_placeholders(url) or "\\" in url:
        return "must have no spaces, line breaks or backslashes"
    authority = re.split(r"[/?#]", url.split("://", 1)[1], maxsplit=1)[0]
    if "{" in authority or "}" in authority:
        return "its host must be written out: no placeholder can stand in it"
    if "@" in authority:
        return "must hold no credentials: they belong into a header, which is kept secret"
    if has_stray_brackets(authority):
        return "is no URL: brackets stand around a whole IPv6 address, or not at all"
    if "#" in url:
        return "must have no fragment: it is never sent"
    try:
        parts = urlsplit(url)
        # Raises by itself where it is no port.
        port = parts.port
    except ValueError as wrong:
        return f"is no URL: {wrong}"
    if not parts.hostname or port == 0:
        return "must be http(s)://host[:port][/path]"
    return None


def header_problem(name: str, value: str) -> str | None:
    """Why a header cannot be set, without repeating its value; null where it can."""
    lowered = name.lower()
    if not _TOKEN.fullmatch(name):
        return "its name must be a token: letters, digits, hyphens"
    if lowered in _HOP_BY_HOP:
        return "it belongs to the connection, not to the request"
    if lowered in _OURS or lowered.startswith("webhook-"):
        return "it is set by this service"
    if len(value) > LONGEST_HEADER:
        return f"its value must have at most {LONGEST_HEADER} characters"
    if not _VISIBLE.fullmatch(value) or value != value.strip():
        return "its value must be visible ASCII, without spaces around it"
    return None


def template_problems(
    texts: Mapping[str, Any], known: Mapping[str, Any], *, form: bool = False
) -> Iterator[tuple[str, str]]:
    """Placeholders that are none, are not known, or stand for too much: the field of each, and what is wrong.

    `headers` are the values of all of them; of a `form` the body is percent-encoded.
    """
    for name, value in texts.items():
        try:
            problem = _template_problem(name, value, known, form)
        except TemplateException as wrong:
            problem = str(wrong)
        if problem is not None:
            yield name, problem


def _template_problem(name: str, value: Any, known: Mapping[str, Any], form: bool) -> str | None:
    if name in ("url", "cancel_url"):
        if value is not None:
            render_url(value, known)
        return None
    headers, form = name == "headers", name == "body" and form and isinstance(value, str)
    if headers and sum(map(len, filter(None, value))) > LONGEST_HEADERS:
        return f"they have more than {LONGEST_HEADERS} characters together"
    most = MOST_IN_HEADERS if headers else MOST_IN_FORM if form else MOST_IN_BODY
    if characters_put_in(value, known, percent_encoded_length if headers or form else len) > most:
        return f"its placeholders stand for more than {most} characters{', percent-encoded' if headers or form else ''}"
    return None


def _without_placeholders(url: str) -> str:
    try:
        return "".join(parse(url)[::2])
    except TemplateException:
        # Told of where the templates are checked.
        return re.sub(r"\{\{[^}]*\}?\}?", "", url)
