"""What the routes work with, made once at the start."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request

from app.api.credentials import Recognising
from app.api.definitions import Definitions
from app.api.timings import TimingReader
from app.api.trials import TrialReader
from app.core.callbacks import CallbackTokens
from app.core.clock import Clock
from app.core.rates import CallerRates
from app.metrics import Metrics
from app.service.auditing import AuditService
from app.service.calendars import CalendarService
from app.service.executions import ExecutionService
from app.service.explaining import ExplainingService
from app.service.forecasting import ForecastService
from app.service.health import HealthService
from app.service.keys import KeyService
from app.service.schedules import ScheduleService
from app.service.targets import TargetService
from app.service.tokens import TokenService
from app.service.trying import TargetTester
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """What callers can ask for."""

    schedules: ScheduleService
    executions: ExecutionService
    calendars: CalendarService
    explaining: ExplainingService
    forecasts: ForecastService
    audit: AuditService
    keys: KeyService
    health: HealthService
    targets: TargetService
    trying: TargetTester
    clock: Clock
    tokens: TokenService | None = None
    """Where an issuer's tokens count: `AUTH_MODE=jwt`."""


@dataclass(slots=True)
class Parts:
    """The services, the settings and the readers that depend on them.

    `stopping` is set when the process is asked to end: it fails `/readyz`, so that no new request is sent here.
    """

    settings: Settings
    services: Services
    recognise: Recognising
    metrics: Metrics
    before_scrape: Callable[[], Awaitable[None]]
    definitions: Definitions
    trials: TrialReader
    timings: TimingReader
    callbacks: CallbackTokens
    rates: CallerRates
    stopping: bool = False


def parts_of(request: Request) -> Parts:
    """The parts of the application that serves a request."""
    parts: Parts = request.app.state.parts
    return parts
