"""Who is calling, and what they may do. A route asks for a role by its parameter: `caller: Editor`."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import Depends
from starlette.requests import Request

from app.api.credentials import credentials
from app.api.edge import request_id_of
from app.api.parts import parts_of
from app.api.wire.base import Refused
from app.core.callbacks import PREFIX
from app.core.errors import (
    CredentialsException,
    FieldProblem,
    IssuerUnavailableException,
    PermissionDeniedException,
    StoreUnavailableException,
)
from app.core.principal import NotCaller, Principal, Role
from app.scraping import REFUSAL, may_read_metrics


def require(role: Role) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency that lets in callers whose role includes `role`.

    It raises what `Recognising` does, RateExceededException, PermissionDeniedException and, for query parameters that
    the route does not know or that are given several times, MalformedRequestException or InvalidScheduleException.
    """

    async def caller(request: Request) -> Principal:
        parts = parts_of(request)
        principal = await parts.recognise(request)
        if principal is None:
            raise CredentialsException(parts.recognise.asked_for)
        parts.rates.take(principal.community_id)
        if not principal.role.includes(role):
            raise PermissionDeniedException(f"This needs the role {role}; the caller's role is {principal.role}.")
        refuse_unknown_parameters(request)
        return principal

    return caller


async def anyone(request: Request) -> Principal | None:
    """A dependency for routes that need no credentials: the caller, where credentials were sent and can be checked.

    It raises CredentialsException when they are wrong. While the database is away nobody is known, nor by a JWT while
    its issuer's keys are not; and what is open to everyone is answered nevertheless, also to who has no rights here.
    """
    refuse_unknown_parameters(request)
    try:
        return await parts_of(request).recognise(request)
    except (StoreUnavailableException, IssuerUnavailableException, PermissionDeniedException):
        return None


async def reporter(request: Request) -> Principal:
    """A dependency for what the target of an execution calls: an operator, or who has that execution's callback token.

    With the token one is an operator of the execution's community for this one call. It raises as `require` does, and
    ExecutionNotFoundException where the execution is gone.
    """
    token, parts = credentials(request), parts_of(request)
    if token is None or not token.startswith(PREFIX):
        return await _operator(request)
    execution_id: UUID = request.path_params["execution_id"]
    if not parts.callbacks.opens(token, execution_id):
        raise CredentialsException("The callback token is not one of this execution.")
    refuse_unknown_parameters(request)
    community_id = await parts.services.executions.community_of(execution_id)
    return Principal(community_id, NotCaller.TARGET.value, Role.OPERATOR, request_id_of(request))


_operator = require(Role.OPERATOR)
Viewer = Annotated[Principal, Depends(require(Role.VIEWER))]
Editor = Annotated[Principal, Depends(require(Role.EDITOR))]
Operator = Annotated[Principal, Depends(_operator)]
Reporter = Annotated[Principal, Depends(reporter)]
Anyone = Annotated[Principal | None, Depends(anyone)]


def check_metrics_token(request: Request) -> None:
    """Raises CredentialsException when METRICS_TOKEN is set and not sent."""
    if not may_read_metrics(request, parts_of(request).settings.metrics_token):
        raise CredentialsException(REFUSAL)


def refuse_unknown_parameters(request: Request) -> None:
    """Refuse what would be passed over in silence: query parameters that the route does not know, and all values but
    the last of one that is given several times.

    Raises MalformedRequestException or InvalidScheduleException that names each.
    """
    if not request.scope["query_string"]:
        return
    known = [parameter.alias for parameter in request.scope["route"].dependant.query_params]
    unknown = f"is not a query parameter of this request, which takes {', '.join(known) or 'none'}"
    refused = Refused()
    for name, times in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in known:
            refused.wrong_types.append(FieldProblem(name or "query", unknown))
        elif times > 1:
            refused.value(name, f"{name} must be given once")
    refused.raise_any()
