"""Every metric of the service; the names begin with `schedule_service_`.

No label is ever a schedule or a community: their number is not bounded.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from app.core.execution import ExecutionStatus

_LATENESS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
_BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


def _registry() -> CollectorRegistry:
    """A registry of its own, which does not show of each series when it began: that doubles them, and nobody asks."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    return CollectorRegistry()


class Metrics:
    """The metrics of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = _registry()
        # The three figures of the system this replaces.
        self.running = self._gauge("running", "1 while at least one worker is alive (API), or this worker is (worker)")
        self.active_schedules = self._gauge("active_schedules", "Active schedules of all communities")
        self.jobs = self._gauge("jobs", "Entries in the timer wheel, leased ones included")

        self.due_lag_seconds = self._gauge("due_lag_seconds", "How long the longest overdue schedule has been due")
        self.overdue = self._gauge("overdue_schedules", "Active schedules overdue by more than two seconds")
        self.live_workers = self._gauge("live_workers", "Workers whose beat is recent")
        self.postgres_up = self._gauge("postgres_up", "1 while Postgres answers")
        self.redis_up = self._gauge("redis_up", "1 while Redis answers")
        self.redis_may_evict = self._gauge("redis_may_evict", "1 while Redis came back with a policy that evicts")
        self.claiming_from_postgres = self._gauge(
            "claiming_from_postgres", "1 while this worker claims from Postgres, because the wheel cannot be relied on"
        )
        self.wheel_behind = self._gauge("wheel_behind", "1 while a put failed and the wheel is to be loaded again")
        self.clock_skew_seconds = self._gauge("clock_skew_seconds", "This machine's clock, less Postgres's")
        self.clock_steps = self._counter("clock_steps", "Jumps of Postgres's clock by over a second, either way")

        self.claimed = self._counter("claimed_entries", "Entries claimed, from the wheel or from Postgres")
        self.claimed_in_vain = self._counter("claimed_in_vain", "Claimed entries that turned out taken or gone")
        self.lateness_seconds = self._histogram(
            "lateness_seconds", "First request sent, less the due time", _LATENESS_BUCKETS
        )
        self.executions = Counter(
            "schedule_service_executions",
            "Executions by how they ended, or that a retry was set",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in ExecutionStatus:
            # From the start: a series that begins at its first burst has not increased, and alarms nobody.
            self.executions.labels(outcome.value)
        self.notices = Counter(
            "schedule_service_notices",
            "Notices to a failure_target or a cancel_url by how they ended, or that a retry was set",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in (ExecutionStatus.SUCCEEDED, ExecutionStatus.RETRYING, ExecutionStatus.FAILED):
            self.notices.labels(outcome.value)
        self.attempt_seconds = self._histogram("attempt_seconds", "How long targets took to answer", _SECONDS_BUCKETS)
        self.in_flight = self._gauge("in_flight", "Requests sent and not answered")
        self.held = self._gauge("held", "Executions recorded and not sent yet")
        self.waiting_behind_limits = self._gauge(
            "waiting_behind_limits", "Executions that are due and wait behind the limits of their target"
        )
        self.target_circuits = Gauge(
            "schedule_service_target_circuits",
            "Targets whose circuit is not closed in this worker",
            ["state"],
            registry=self.registry,
        )
        self.target_circuit_opened = self._counter("target_circuit_opened", "Circuits that opened")
        self.given_back = Counter(
            "schedule_service_given_back",
            "Executions given back unsent until later, by the limit that they waited behind",
            ["reason"],
            registry=self.registry,
        )
        for reason in ("circuit", "concurrency", "rate"):
            self.given_back.labels(reason)
        self.advance_batch = self._histogram("advance_batch_size", "Entries advanced at once", _BATCH_BUCKETS)
        self.advance_seconds = self._histogram("advance_seconds", "How long an advance took", _SECONDS_BUCKETS)
        self.settles_refused = self._counter("settles_refused", "Outcomes that the fence refused")
        self.swept = self._counter("swept_entries", "Overdue entries that the sweep found missing in the wheel")
        self.loaded = self._counter("loaded_entries", "Entries that the window keeper put into the wheel")
        self.buried = self._counter("buried_workers", "Workers declared dead")
        self.released = self._counter("released_executions", "Executions taken from an owner that does not live")
        self.failed_schedules = self._counter("failed_schedules", "Schedules that could not be computed any more")
        self.moved_schedules = Counter(
            "schedule_service_moved_schedules",
            "Schedules whose next occurrence new zone rules or a changed calendar moved",
            ["cause"],
            registry=self.registry,
        )
        self.loop_age_seconds = Gauge(
            "schedule_service_loop_age_seconds",
            "Seconds since a loop of the worker last came round",
            ["loop"],
            registry=self.registry,
        )

        self.anomalies = Gauge(
            "schedule_service_anomalies",
            "What must not be, as the scan counted it; NaN where nobody could look",
            ["kind"],
            registry=self.registry,
        )

        self.jwks_fetches = Counter(
            "schedule_service_jwks_fetches",
            "Fetches of the keys of the tokens' issuer, by what became of them",
            ["outcome"],
            registry=self.registry,
        )
        for said in ("succeeded", "failed"):
            self.jwks_fetches.labels(said)
        self.jwks_age_seconds = self._gauge(
            "jwks_age_seconds", "Since the keys of the tokens' issuer were fetched, or since the start without any"
        )

        self.http_requests = Counter(
            "schedule_service_http_requests",
            "Requests answered by the API",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.http_seconds = Histogram(
            "schedule_service_http_seconds",
            "How long the API took to answer",
            ["method", "route"],
            buckets=_SECONDS_BUCKETS,
            registry=self.registry,
        )

    def leave_to_the_api(self) -> None:
        """Show nothing of the whole service, which only an API process asks for: 0 would be taken for an answer."""
        self._leave(
            self.active_schedules,
            self.due_lag_seconds,
            self.overdue,
            self.live_workers,
            self.http_requests,
            self.http_seconds,
        )
        self.leave_the_issuer()

    def leave_to_the_workers(self) -> None:
        """Show nothing of what only a worker does, for the same reason: an API process holds and sends nothing."""
        self._leave(
            self.claiming_from_postgres,
            self.claimed,
            self.claimed_in_vain,
            self.lateness_seconds,
            self.notices,
            self.attempt_seconds,
            self.in_flight,
            self.held,
            self.waiting_behind_limits,
            self.target_circuits,
            self.target_circuit_opened,
            self.given_back,
            self.advance_batch,
            self.advance_seconds,
            self.settles_refused,
            self.swept,
            self.loaded,
            self.buried,
            self.released,
            self.failed_schedules,
            self.loop_age_seconds,
            self.anomalies,
        )

    def leave_the_issuer(self) -> None:
        """Show nothing of an issuer of tokens, where none is asked."""
        self._leave(self.jwks_fetches, self.jwks_age_seconds)

    def watch_loop(self, loop: str, age_seconds: Callable[[], float]) -> None:
        """Show how long ago a loop was to come round, asked at each scrape; 0 while it is not to yet."""
        self.loop_age_seconds.labels(loop).set_function(lambda: max(0.0, age_seconds()))

    def watch_anomaly(self, kind: str, count: Callable[[], float]) -> None:
        """Show what the scan counted of a kind, asked at each scrape."""
        self.anomalies.labels(kind).set_function(count)

    def render(self) -> tuple[bytes, str]:
        """The exposition, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def _leave(self, *metrics: Counter | Gauge | Histogram) -> None:
        for metric in metrics:
            self.registry.unregister(metric)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"schedule_service_{name}", text, registry=self.registry)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"schedule_service_{name}", text, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"schedule_service_{name}", text, buckets=buckets, registry=self.registry)


class ParentMetrics:
    """The metrics of the parent of several worker processes; what fires is in theirs."""

    def __init__(self) -> None:
        self.registry = _registry()
        self.processes = Gauge(
            "schedule_service_processes", "Worker processes of this parent that answer", registry=self.registry
        )
        self.restarts = Counter(
            "schedule_service_process_restarts",
            "Worker processes that ended by themselves and were started again",
            registry=self.registry,
        )

    def render(self) -> tuple[bytes, str]:
        """The exposition, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
