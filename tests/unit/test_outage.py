"""What is said of an outage, however many wait."""

from structlog.testing import capture_logs

from app.core.errors import StoreUnavailableException
from app.store.outage import Outage
from tests.clocks import ManualClock


def test_an_outage_is_told_of_once_and_again_each_ten_seconds() -> None:
    clock = ManualClock()
    outage = Outage(clock, "settle_waits")
    with capture_logs() as logs:
        for _ in range(100):
            outage.waits(StoreUnavailableException("Postgres is away: gone"), outcomes=7)
            clock.move(0.25)
    assert logs == 3 * [
        {
            "event": "settle_waits",
            "log_level": "warning",
            "category": "ERROR",
            "error": "Postgres is away: gone",
            "outcomes": 7,
        }
    ]
