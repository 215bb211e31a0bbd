"""Whether a URL of the settings can be one, before anything connects; a refusal shows none of its secrets.

The drivers' own parsers come too late, answer with errors of their own, and take some wrong URLs for others.
"""

from collections.abc import Sequence
from urllib.parse import SplitResult, parse_qs, urlsplit

from app.core.hosts import has_stray_brackets

_ENCODE = "in a user or password all but letters, digits and -._~ is written %.., as %2F for /"
_HIGHEST_PORT = 65_535
_SESSIONS = ("any", "primary", "standby", "read-write", "read-only", "prefer-standby")
_NOT_OF_A_URL = (
    "connection_class",
    "decode_responses",
    "encoding",
    "encoding_errors",
    "max_connections",
    "parser_class",
    "redis_connect_func",
    "retry",
)
"""What redis-py takes from a query, and this service depends on or cannot be said in one."""


def check_postgres_url(url: str) -> None:
    """Refuse what asyncpg cannot read. It takes several hosts, comma-separated, each with a port of its own.

    Raises ValueError.
    """
    parts = _parts(url)
    if parts.netloc.count("@") > 1:
        raise ValueError(f"its host must hold no @: {_ENCODE}")
    query = parse_qs(parts.query, keep_blank_values=True)
    _check_hosts(_split(parts.netloc.rpartition("@")[2]))
    for hosts in query.get("host", ()):
        _check_hosts(_split(hosts))
    for ports in query.get("port", ()):
        _check_ports(_split(ports))
    for session in query.get("target_session_attrs", ()):
        if session not in _SESSIONS:
            raise ValueError(f"its target_session_attrs must be one of {', '.join(_SESSIONS)}")


def check_redis_url(url: str) -> None:
    """Refuse what redis-py cannot read, or would take for database 0, and what would make its answers unreadable.

    Raises ValueError.
    """
    parts = _parts(url)
    for name in parse_qs(parts.query, keep_blank_values=True):
        if name in _NOT_OF_A_URL:
            raise ValueError(f"its query must not hold {name}, which is the service's own")
    if parts.scheme == "unix":
        return
    _check_hosts([parts.netloc.rpartition("@")[2]])
    database = parts.path.strip("/")
    if database and not _is_number(database):
        raise ValueError("its path must be the number of a database, as in redis://host:6379/0")


def check_http_url(url: str, *, like: str) -> SplitResult:
    """Refuse what is no http or https URL that can be called as it stands. `like` is what would be right.

    Raises ValueError.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # Its own words hold what was taken for the host or the port: a part of a password, where that is not encoded.
        raise ValueError(f"must be {like}") from None
    # urlsplit drops line breaks silently.
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"must be {like}")
    if not url.isprintable() or " " in url or "\\" in url or "#" in url or has_stray_brackets(parts.netloc):
        raise ValueError(f"must be {like}")
    if "@" in parts.netloc:
        raise ValueError("must hold no credentials: they would not be sent")
    return parts


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"its host can be none; {_ENCODE}") from None
    if parts.fragment or not url.isprintable() or " " in url:
        raise ValueError(f"must hold no #, blank or line break: {_ENCODE}")
    return parts


def _split(names: str) -> list[str]:
    return names.split(",") if names else []


def _check_hosts(hosts: Sequence[str]) -> None:
    if len(hosts) > 1 and "" in hosts:
        raise ValueError("a host is missing beside a comma")
    # A folder of sockets has no port.
    _check_ports([port for host in hosts if not host.startswith("/") and (port := _port_of(host))])


def _check_ports(ports: Sequence[str]) -> None:
    for port in ports:
        if not (_is_number(port) and 0 < int(port) <= _HIGHEST_PORT):
            raise ValueError(f"its port must be a number from 1 to {_HIGHEST_PORT}; {_ENCODE}")


def _port_of(host: str) -> str:
    """What follows the name, or the brackets of an IPv6 address; empty where nothing does."""
    return host.rpartition("]")[2].partition(":")[2]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
