"""What a process shows of its own, and what it leaves to others."""

from app.metrics import Metrics


def test_a_loop_that_is_not_to_come_round_yet_has_no_age() -> None:
    metrics = Metrics()
    metrics.watch_loop("beat", lambda: -2.37)
    assert metrics.registry.get_sample_value("schedule_service_loop_age_seconds", {"loop": "beat"}) == 0
