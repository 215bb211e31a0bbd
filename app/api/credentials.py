"""What a request shows of who is calling, and who that is: the one place that knows how callers are recognised."""

from typing import Protocol

from starlette.requests import Request

from app.api.edge import request_id_of
from app.core.errors import CredentialsException
from app.core.principal import Principal, Role
from app.service.keys import PREFIX, KeyService
from app.service.tokens import TokenService
from app.settings import AuthMode

_LOCAL_COMMUNITY = 1
_LOCAL_USER = "local"


class Recognising(Protocol):
    """How the callers of an application are recognised."""

    asked_for: str
    """What a caller is told to send."""

    async def __call__(self, request: Request) -> Principal | None:
        """Who is calling; null where no credentials were sent.

        Raises CredentialsException for wrong ones, PermissionDeniedException for good ones that may nothing here, and
        StoreUnavailableException or IssuerUnavailableException where they cannot be checked.
        """
        ...


def recognising(mode: AuthMode, keys: KeyService, tokens: TokenService | None) -> Recognising:
    """The way of `AUTH_MODE`; `tokens` are those of the issuer, where there is one."""
    if mode is AuthMode.NONE:
        return Everyone()
    return ByKey(keys) if tokens is None else ByTokenOrKey(tokens, ByKey(keys))


class Everyone:
    """Whoever calls is admin of community 1."""

    asked_for = "Send nothing."

    async def __call__(self, request: Request) -> Principal | None:
        return Principal(_LOCAL_COMMUNITY, _LOCAL_USER, Role.ADMIN, request_id_of(request))


class ByKey:
    """By an API key, in either header."""

    asked_for = "Send an API key as `Authorization: Bearer …` or `X-API-Key`."

    def __init__(self, keys: KeyService) -> None:
        self._keys = keys

    async def __call__(self, request: Request) -> Principal | None:
        key = credentials(request)
        return None if key is None else await self._keys.authenticate(key, request_id_of(request))


class ByTokenOrKey:
    """By a JWT, or, as machines go on doing, by an API key: no JWT begins as one."""

    asked_for = "Send a JWT or an API key as `Authorization: Bearer …`, or an API key as `X-API-Key`."

    def __init__(self, tokens: TokenService, by_key: ByKey) -> None:
        self._tokens = tokens
        self._by_key = by_key

    async def __call__(self, request: Request) -> Principal | None:
        token = bearer_token(request)
        if token is None or token.startswith(PREFIX):
            return await self._by_key(request)
        return await self._tokens.authenticate(token, request_id_of(request))


def credentials(request: Request) -> str | None:
    """The bearer token, else the API key, else null. Raises as `bearer_token` does."""
    token = bearer_token(request)
    return token if token is not None else _once(request, "X-API-Key")


def bearer_token(request: Request) -> str | None:
    """The token of `Authorization: Bearer`; null without that header.

    Raises CredentialsException for another scheme, and for several.
    """
    header = _once(request, "Authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise CredentialsException("`Authorization` must be `Bearer` and a key or a token.")
    return token.strip()


def _once(request: Request, name: str) -> str | None:
    """A header that may stand once: of several, whoever is in between may have looked at another."""
    sent = request.headers.getlist(name)
    if len(sent) > 1:
        raise CredentialsException(f"`{name}` must be sent once.")
    return sent[0] if sent else None
