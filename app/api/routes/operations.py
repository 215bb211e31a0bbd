"""The state of the service: for people, for Kubernetes, for Prometheus."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.api.access import Anyone, check_metrics_token, refuse_unknown_parameters
from app.api.document import RETRY_AFTER, answers, takes
from app.api.examples.operations import HEALTH
from app.api.parts import parts_of
from app.api.problems import RETRY_AFTER_SECONDS
from app.api.rendering import PREFIX, json_response
from app.api.wire.health import Health, Liveness, Readiness

router = APIRouter(tags=["operations"])

_UNAVAILABLE = HEALTH | {"status": "unavailable", "database_connected": False, "wheel_depth": None}
_NOT_READY = {"status": "unavailable", "warnings": ["Postgres does not answer, or its schema is not the newest."]}


@router.get(
    f"{PREFIX}/health",
    operation_id="get_health",
    summary="Say how the service fares",
    responses={
        **answers(200, "It can serve.", Health, HEALTH, errors=(401, 422)),
        **answers(503, "It cannot serve: the database is away.", Health, _UNAVAILABLE, headers=RETRY_AFTER),
    },
    openapi_extra=takes(public=True),
)
async def get_health(request: Request, caller: Anyone) -> Response:
    """With credentials also the figures of the caller's community."""
    health = await parts_of(request).services.health.check(None if caller is None else caller.community_id)
    degraded = not (health.scheduler_running and health.redis_connected)
    return _answer(
        {
            "status": "unavailable" if not health.able else "degraded" if degraded else "ok",
            "scheduler_running": health.scheduler_running,
            "live_workers": health.live_workers,
            "database_connected": health.database_connected,
            "redis_connected": health.redis_connected,
            "wheel_depth": health.wheel_depth,
            "active_schedules": health.active_schedules,
            "overdue_count": health.overdue_count,
        },
        able=health.able,
    )


@router.get(
    "/livez",
    operation_id="get_liveness",
    summary="Say that the process answers",
    responses=answers(200, "It does.", Liveness, {"status": "ok"}, errors=(422,)),
    openapi_extra=takes(public=True),
)
async def get_liveness(request: Request) -> Response:
    """Looks at nothing but itself: a restart would not bring Postgres back."""
    refuse_unknown_parameters(request)
    return json_response({"status": "ok"})


@router.get(
    "/readyz",
    operation_id="get_readiness",
    summary="Say whether requests can be served",
    responses={
        **answers(200, "They can.", Readiness, {"status": "ready", "warnings": []}, errors=(422,)),
        **answers(
            503,
            "They cannot: the database is away, or the process is stopping.",
            Readiness,
            _NOT_READY,
            headers=RETRY_AFTER,
        ),
    },
    openapi_extra=takes(public=True),
)
async def get_readiness(request: Request) -> Response:
    """Without Redis requests are still served; a warning says so."""
    refuse_unknown_parameters(request)
    parts = parts_of(request)
    if parts.stopping:
        return _answer({"status": "unavailable", "warnings": ["The process is stopping."]}, able=False)
    if not await parts.services.health.ready():
        return _answer(_NOT_READY, able=False)
    health = await parts.services.health.check(None)
    warnings = [] if health.redis_connected else ["Redis does not answer: workers claim from Postgres meanwhile."]
    return json_response({"status": "ready", "warnings": warnings})


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Metrics for Prometheus",
    responses={
        200: {
            "description": "The text exposition format.",
            "content": {
                "text/plain": {"schema": {"type": "string"}, "example": "schedule_service_running 1.0\n"},
            },
        },
        **{status: error for status, error in answers(200, "", errors=(401, 422)).items() if status != 200},
    },
    openapi_extra=takes(public=True),
)
async def get_metrics(request: Request) -> Response:
    """With `METRICS_TOKEN` set, it is asked for as a bearer token."""
    check_metrics_token(request)
    refuse_unknown_parameters(request)
    parts = parts_of(request)
    await parts.before_scrape()
    content, content_type = parts.metrics.render()
    return Response(content, headers={"content-type": content_type})


def _answer(content: dict[str, Any], *, able: bool) -> Response:
    if able:
        return json_response(content)
    response = json_response(content, 503)
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
