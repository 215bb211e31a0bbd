"""The HTTP application, put together from parts that are ready: it opens and closes nothing."""

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from app import __version__
from app.api.credentials import recognising
from app.api.definitions import Definitions
from app.api.document import describe_api
from app.api.edge import Edge, request_id_of
from app.api.parameters import refused_parameters
from app.api.parts import Parts, Services
from app.api.problems import InternalException, MethodNotAllowedException, problem_response
from app.api.routes import (
    applying,
    audit,
    backfills,
    batches,
    bulk,
    calendars,
    documentation,
    executions,
    explaining,
    forecasts,
    lifecycle,
    occurrences,
    operations,
    schedules,
    targets,
)
from app.api.targets import TargetReader
from app.api.timings import TimingReader
from app.api.trials import TrialReader
from app.api.wire.audit import AuditPage
from app.api.wire.backfills import Backfill, BackfillInput
from app.api.wire.batches import BatchInput, BatchResults
from app.api.wire.bulk import BulkActed, BulkInput
from app.api.wire.calendars import (
    Calendar,
    CalendarInput,
    CalendarPage,
    CalendarReplacement,
    RefreshInput,
    RefreshResult,
)
from app.api.wire.executions import (
    CancelInput,
    CompleteInput,
    EmptyInput,
    Execution,
    ExecutionPage,
    Retried,
    RetryInput,
)
from app.api.wire.explaining import Explained
from app.api.wire.forecasts import Forecast
from app.api.wire.health import Health, Liveness, Readiness
from app.api.wire.occurrences import Occurrences, PreviewInput
from app.api.wire.problems import Problem
from app.api.wire.schedules import (
    PauseInput,
    Schedule,
    ScheduleInput,
    SchedulePage,
    SchedulePatch,
    SkipNextInput,
    TriggerInput,
)
from app.api.wire.targets import TargetHostPage
from app.api.wire.trying import TargetTest, TargetTestInput
from app.core.callbacks import CallbackTokens
from app.core.errors import NotFoundException, ScheduleServiceException, UnreadableRowException
from app.core.rates import CallerRates
from app.delivery.guard import Guard
from app.metrics import Metrics
from app.settings import Settings

__all__ = ["Services", "create_app"]

log = structlog.get_logger()

_RESOURCES = (
    schedules, applying, executions, lifecycle, backfills, batches, bulk, targets, occurrences, explaining, forecasts,
    calendars, audit, operations,
)  # fmt: skip
_MODELS = (
    AuditPage, Backfill, BackfillInput, BatchInput, BatchResults, BulkActed, BulkInput, Calendar, CalendarInput,
    CalendarPage, CalendarReplacement, CancelInput, CompleteInput, EmptyInput, Execution, ExecutionPage,
    Explained, Forecast, Health, Liveness, Occurrences, PauseInput, PreviewInput, Problem, Readiness, Schedule,
    ScheduleInput, SchedulePage, SchedulePatch, SkipNextInput, TriggerInput, RefreshInput, RefreshResult, Retried,
    RetryInput, TargetHostPage, TargetTest, TargetTestInput,
)  # fmt: skip


def create_app(
    settings: Settings,
    services: Services,
    metrics: Metrics,
    guard: Guard,
    *,
    before_scrape: Callable[[], Awaitable[None]],
) -> FastAPI:
    """The application. `guard` says where targets may be; `before_scrape` brings gauges up to date for `/metrics`.

    `app.state.parts.stopping = True` fails `/readyz`.
    """
    app = FastAPI(
        title="Schedule Service",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            ScheduleServiceException: _answer_refusal,
            RequestValidationError: _answer_wrong_parameters,
            HTTPException: _answer_unrouted,
        },
    )
    targets = TargetReader(settings, guard)
    app.state.parts = Parts(
        settings=settings,
        services=services,
        recognise=recognising(settings.auth_mode, services.keys, services.tokens),
        metrics=metrics,
        before_scrape=before_scrape,
        definitions=Definitions(settings, targets),
        trials=TrialReader(settings, targets),
        timings=TimingReader(settings.scheduler_timezone),
        callbacks=CallbackTokens.from_setting(settings.secret_key),
        rates=CallerRates(settings.community_rate_limit, services.clock),
    )
    for resource in _RESOURCES:
        app.include_router(resource.router)
    if settings.docs_enabled:
        app.include_router(documentation.router)

    @cache
    def document() -> dict[str, Any]:
        return describe_api(app, _routes(), _MODELS, issuer=settings.jwt_issuer if services.tokens else None)

    app.openapi = document  # type: ignore[method-assign]
    app.add_middleware(Edge, metrics=metrics, clock=services.clock)
    return app


def _routes() -> list[APIRoute]:
    return [route for resource in _RESOURCES for route in resource.router.routes if isinstance(route, APIRoute)]


async def _answer_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, ScheduleServiceException)
    if isinstance(error, UnreadableRowException):
        log.error("row_unreadable", category="ERROR", error=repr(error.__cause__), **error.names)
    return problem_response(error, request_id_of(request))


async def _answer_wrong_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_response(refused_parameters(error), request_id_of(request))


async def _answer_unrouted(request: Request, error: Exception) -> Response:
    """What the router itself refuses: no such path, or a method that the path does not have."""
    assert isinstance(error, HTTPException)
    refusal: ScheduleServiceException
    match error.status_code:
        case 404:
            refusal = NotFoundException("There is nothing at this path.")
        case 405:
            # The router names the methods of the first route that fits the path, not of all.
            refusal = MethodNotAllowedException(_methods(request))
        case _:
            refusal = InternalException(str(error.detail))
    return problem_response(refusal, request_id_of(request))


def _methods(request: Request) -> set[str]:
    """The methods of a path; where GET is, `Edge` answers HEAD too."""
    routes = (*_routes(), *(route for route in documentation.router.routes if isinstance(route, APIRoute)))
    methods = {
        method
        for route in routes
        if route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }
    return methods | {"HEAD"} if "GET" in methods else methods
