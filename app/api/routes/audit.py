"""The audit trail: who changed what, when and why."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.access import Operator
from app.api.audit_rendering import audit_entry_json
from app.api.document import READING, answers
from app.api.examples.audit import AUDIT_PAGE
from app.api.parameters import Cursor, Limit, check_parameters, instant, instant_query
from app.api.parts import parts_of
from app.api.rendering import PREFIX, json_response, page_json
from app.api.wire.audit import AuditPage
from app.core.audit import AuditAction
from app.core.queries import AuditFilter

router = APIRouter(prefix=PREFIX, tags=["audit"])


@router.get(
    "/audit",
    operation_id="list_audit_entries",
    summary="Read the audit trail",
    responses=answers(200, "A part of the trail.", AuditPage, AUDIT_PAGE, errors=READING),
)
async def list_audit_entries(
    request: Request,
    caller: Operator,
    schedule_id: Annotated[
        UUID | None, Query(description="Only changes of this schedule and of its executions, removed or not.")
    ] = None,
    execution_id: Annotated[UUID | None, Query(description="Only changes of this execution.")] = None,
    action: Annotated[AuditAction | None, Query(description="Only changes of this kind.")] = None,
    user: Annotated[str | None, Query(description="Only changes by this user.", max_length=1000)] = None,
    from_: Annotated[
        str | None,
        instant_query("Only changes made at this instant or later.", "from"),
    ] = None,
    to: Annotated[
        str | None,
        instant_query("Only changes made before this instant."),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Every change in the caller's community: who made it, in which request, and what was there before and after.
    Newest first, in an order that stays the same; also of what was removed long ago. `from` is inclusive, `to`
    exclusive. Where `action` or `user` is given, or both ids are, a part may have fewer items than `limit`, or none,
    and yet a `next_cursor`.

    The values of targets' headers are never shown, nor is an API key.
    """
    check_parameters(request)
    wanted = AuditFilter(schedule_id, execution_id, action, user, instant(from_, "from"), instant(to, "to"))
    page = await parts_of(request).services.audit.find(caller, wanted, limit=limit, cursor=cursor)
    return json_response(page_json(page, audit_entry_json))
