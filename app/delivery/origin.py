"""Where a URL leads, and what is asked for there."""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from app.core.hosts import has_stray_brackets, read_host
from app.core.target import DEFAULT_PORTS
from app.delivery.reply import Unsendable

_PATH_BEGINS = re.compile(r"[/?]")
_AS_THEY_ARE = "/%:=&?~+!$,;'@()*[]"
"""What a path and a query may hold beside letters, digits and `_.-` (RFC 3986, 3.3 and 3.4), and the brackets that
everybody sends as they are.
"""
_NEEDS_NO_QUOTING = re.compile(f"[A-Za-z0-9_.{re.escape(_AS_THEY_ARE)}-]*")


class Origin(NamedTuple):
    """Where a URL leads: what a connection belongs to. `authority` is what the `Host` header says.

    A trusted one is another than one that is not: a connection that was made without the guard serves nobody else.
    """

    scheme: str
    host: str
    port: int
    authority: str
    trusted: bool


def split_url(url: str, trusted: bool = False) -> tuple[Origin, str]:
    """Where a URL leads, and the request target that is asked for there (RFC 9112, 3.2.1).

    Raises Unsendable for what is no URL of a target.
    """
    begins = _PATH_BEGINS.search(url, 8)
    base, path = (url, "/") if begins is None else (url[: begins.start()], url[begins.start() :])
    if path[0] == "?":
        path = f"/{path}"
    if _NEEDS_NO_QUOTING.fullmatch(path) is None:
        path = quote(path.partition("#")[0], safe=_AS_THEY_ARE)
    return _origin(base, trusted), path


@lru_cache(maxsize=1024)
def _origin(base: str, trusted: bool) -> Origin:
    try:
        parts = urlsplit(base)
        host, port = parts.hostname, parts.port
    except ValueError as refused:
        raise Unsendable(f"not a URL: {refused}") from None
    misplaced = parts.query or parts.fragment or parts.username or has_stray_brackets(parts.netloc)
    if parts.scheme not in DEFAULT_PORTS or not host or misplaced:
        raise Unsendable("not a URL of a target: http(s)://host[:port][/path]")
    if not host.isascii() or ("%" in host and ":" not in host):
        # As the guard reads it, so that the target is told the name whose address was dialled.
        try:
            host = str(read_host(host))
        except ValueError as refused:
            raise Unsendable(f"not a host: {refused}") from None
    shown = f"[{host}]" if ":" in host else host
    default = DEFAULT_PORTS[parts.scheme]
    authority = shown if port in (None, default) else f"{shown}:{port}"
    return Origin(parts.scheme, host, default if port is None else port, authority, trusted)
