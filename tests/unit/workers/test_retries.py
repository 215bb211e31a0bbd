"""When an attempt that failed is made again."""

from datetime import timedelta

from app.core.clock import MILLISECOND, to_ms, truncate_to_ms
from app.core.execution import ExecutionStatus
from app.core.schedule import RetryPolicy
from app.delivery.answer import Meaning, Verdict
from app.delivery.sender import Delivered
from app.workers.outcomes import conclude
from tests.clocks import START
from tests.unit.delivery.assignments import assignment


def test_a_retry_waits_until_a_millisecond_as_the_wheel_has_them() -> None:
    refused = Delivered(assignment(), to_ms(START), 10, 503, Verdict(Meaning.RETRY, "HTTP 503"))
    wake_at = conclude(refused, START, draw=lambda: 1 / 3).wake_at
    assert wake_at is not None
    assert wake_at > START
    assert wake_at == truncate_to_ms(wake_at)


def waits(failures: int, drawn: float) -> float:
    """After so many failures before, with so much luck; the ceilings are 1, 2, 4 and then 5 seconds."""
    retry = RetryPolicy(max_retries=9, initial_backoff_seconds=1, max_backoff_seconds=5, multiplier=2)
    refused = Delivered(
        assignment(failures=failures, retry=retry), to_ms(START), 10, 503, Verdict(Meaning.RETRY, "HTTP 503")
    )
    wake_at = conclude(refused, START, draw=lambda: drawn).wake_at
    assert wake_at is not None
    return (wake_at - START).total_seconds()


def test_the_backoff_grows_with_the_failures_up_to_its_ceiling() -> None:
    assert [waits(failures, 1.0) for failures in range(5)] == [1, 2, 4, 5, 5]


def test_the_jitter_is_full() -> None:
    assert [waits(2, drawn) for drawn in (0.0, 0.25, 0.5)] == [0, 1, 2]


def test_the_last_retry_is_as_old_as_a_run_may_be_and_no_older() -> None:
    retry = RetryPolicy(max_retries=9, max_age_seconds=60)
    began_at = START - timedelta(seconds=60)
    for retry_since, status in ((began_at, ExecutionStatus.RETRYING), (began_at - MILLISECOND, ExecutionStatus.FAILED)):
        asked = assignment(retry=retry, retry_since=retry_since)
        refused = Delivered(asked, to_ms(START), 10, 503, Verdict(Meaning.RETRY, "HTTP 503"))
        assert conclude(refused, START, draw=lambda: 0.0).status is status
