"""When an attempt that failed is made again."""

from app.core.clock import to_ms, truncate_to_ms
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
