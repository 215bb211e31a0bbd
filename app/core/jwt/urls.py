"""Where an issuer and its keys may be: behind TLS, or on this machine. Whoever changes its keys is any caller."""

from urllib.parse import urlsplit

from app.core.hosts import read_host, stands_for
from app.core.server_urls import check_http_url

_DISCOVERY = "/.well-known/openid-configuration"


def check_issuer_url(url: str) -> None:
    """Refuse what is no issuer (OpenID Connect Discovery 1.0, 2): https, or http on this machine, and no query.

    Raises ValueError that says in one line what is wrong.
    """
    check_keys_url(url)
    if "?" in url:
        raise ValueError("must have no query: it is what tokens have as iss, letter by letter")


def check_keys_url(url: str) -> None:
    """Refuse what is no address of keys: as of an issuer, though with a query it may be.

    Raises ValueError that says in one line what is wrong.
    """
    parts = check_http_url(url, like="https://host[:port][/path]")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must begin with https://: who is in between could put keys of their own there")


def is_loopback(host: str) -> bool:
    """Whether a URL's host is this machine. Raises ValueError for what is no host."""
    read = read_host(host)
    address = stands_for(read) if isinstance(read, str) else read
    return address is not None and address.is_loopback


def discovery_url(issuer: str) -> str:
    """Where an issuer says where its keys are (OpenID Connect Discovery 1.0, 4)."""
    return issuer.removesuffix("/") + _DISCOVERY


def keys_url_of(document: object, issuer: str) -> str:
    """The address of the keys, by what an issuer says of itself (OpenID Connect Discovery 1.0, 3 and 4.3).

    Raises ValueError where it is another's, or says none that may be used.
    """
    if not isinstance(document, dict):
        raise ValueError("what it says of itself is no JSON object")
    if document.get("issuer") != issuer:
        raise ValueError(f"it says that its issuer is {_short(document.get('issuer'))}, not {issuer!r}")
    url = document.get("jwks_uri")
    if not isinstance(url, str):
        raise ValueError("it says no jwks_uri")
    try:
        check_keys_url(url)
    except ValueError as refused:
        raise ValueError(f"its jwks_uri {_short(url)} {refused}") from None
    if urlsplit(issuer).scheme == "https" and urlsplit(url).scheme != "https":
        raise ValueError(f"its jwks_uri {_short(url)} must begin with https://, as the issuer does")
    return url


_LONGEST_SHOWN = 200


def _short(value: object) -> str:
    return repr(value)[:_LONGEST_SHOWN]
