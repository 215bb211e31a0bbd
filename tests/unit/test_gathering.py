"""The expositions of several processes as one."""

from prometheus_client.parser import text_string_to_metric_families

from app.metrics import Metrics
from app.workers.gathering import merged


def test_every_sample_of_every_process_is_kept_and_names_its_process() -> None:
    first, second = Metrics(), Metrics()
    for number, metrics in enumerate((first, second)):
        metrics.running.set(number)
        metrics.executions.labels("succeeded").inc(number + 1)
        metrics.lateness_seconds.observe(0.02)
        # A value that holds what separates labels from values.
        metrics.loop_age_seconds.labels('a} "b" 1').set(7)
    text = merged({1: first.render()[0].decode(), 2: second.render()[0].decode()})
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "Prometheus refuses a metric in two places"
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    }
    for number, metrics in enumerate((first, second)):
        for family in text_string_to_metric_families(metrics.render()[0].decode()):
            for sample in family.samples:
                labels = sample.labels | {"process": str(number + 1)}
                assert samples[sample.name, *sorted(labels.items())] == sample.value
    assert len(samples) == 2 * sum(
        len(family.samples) for family in text_string_to_metric_families(first.render()[0].decode())
    )
    kinds = {family.name: family.type for family in families}
    assert kinds["schedule_service_executions"] == "counter"
    assert kinds["schedule_service_lateness_seconds"] == "histogram"


def test_of_no_process_there_is_nothing() -> None:
    assert merged({}) == ""
