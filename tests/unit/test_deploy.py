"""The shipped manifests ask for what the programs have: commands, settings, ports, paths, times, metrics."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml  # type: ignore[import-untyped]

from app import __version__
from app.cli import cli
from app.metrics import Metrics
from app.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
SCALED: dict[str, Any] = yaml.safe_load((DEPLOY / "keda.yaml").read_text())
NAMED = {(one["kind"], one["metadata"]["name"]): one for one in MANIFESTS}
DEPLOYMENTS = [one for one in MANIFESTS if one["kind"] == "Deployment"]
RUNNING = [one for one in MANIFESTS if one["kind"] in ("Deployment", "Job")]
GRACE_SECONDS = 10
"""As the README says: a process has ended by so long after SHUTDOWN_GRACE_SECONDS, whoever does not answer."""


def _pod(manifest: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return pod


def _container(manifest: dict[str, Any]) -> dict[str, Any]:
    (container,) = _pod(manifest)["containers"]
    assert isinstance(container, dict)
    return container


def _name(manifest: dict[str, Any]) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


@pytest.mark.parametrize("manifest", RUNNING, ids=_name)
def test_a_container_runs_a_command_that_there_is(manifest: dict[str, Any]) -> None:
    container = _container(manifest)
    assert container["image"] == f"schedule-service:{__version__}"
    command, *arguments = container["args"]
    context = typer.main.get_command(cli).commands[command].make_context(command, arguments)  # type: ignore[attr-defined]
    ports = {port["containerPort"] for port in container.get("ports", ())}
    assert {value for name, value in context.params.items() if name in ("port", "metrics_port")} == ports


def test_what_is_set_and_what_is_to_be_secret_are_settings() -> None:
    said = (DEPLOY / "kubernetes.yaml").read_text()
    data = NAMED["ConfigMap", "schedule-service"]["data"]
    secret = set(re.findall(r"--from-literal=(\w+)=", said))
    assert {name.lower() for name in secret | set(data)} <= set(Settings.model_fields)
    assert {"DATABASE_URL", "REDIS_URL", "SECRET_KEY"} <= secret
    assert not secret & set(data)
    Settings(**{name.lower(): value for name, value in data.items()})


@pytest.mark.parametrize("manifest", RUNNING, ids=_name)
def test_a_container_has_the_settings_and_no_rights(manifest: dict[str, Any]) -> None:
    container = _container(manifest)
    assert container["envFrom"] == [
        {"configMapRef": {"name": "schedule-service"}},
        {"secretRef": {"name": "schedule-service"}},
    ]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert _pod(manifest)["securityContext"]["runAsNonRoot"] is True
    assert "cpu" not in container["resources"]["limits"]


@pytest.mark.parametrize("manifest", DEPLOYMENTS, ids=_name)
def test_it_is_asked_at_the_paths_that_it_answers(manifest: dict[str, Any]) -> None:
    container = _container(manifest)
    (port,) = container["ports"]
    asked = {probe: container[f"{probe}Probe"]["httpGet"] for probe in ("startup", "liveness", "readiness")}
    assert {get["port"] for get in asked.values()} == {port["name"]}
    assert {probe: get["path"] for probe, get in asked.items()} == {
        "startup": "/livez",
        "liveness": "/livez",
        "readiness": "/readyz",
    }
    annotations = manifest["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port["containerPort"])


def test_the_page_says_how_many_connections_the_manifests_may_come_to() -> None:
    replicas = NAMED["Deployment", "schedule-service-api"]["spec"]["replicas"] + SCALED["spec"]["maxReplicaCount"]
    surge = sum(one["spec"]["strategy"]["rollingUpdate"]["maxSurge"] for one in DEPLOYMENTS)
    most = (replicas + surge) * Settings.model_fields["database_pool_size"].default
    assert f": {most} for the two manifests at their most" in (DEPLOY.parent / "docs" / "scaling.md").read_text()


def test_who_scrapes_by_the_annotations_is_let_in_and_a_lag_that_is_not_known_is_not_none() -> None:
    assert all(one["spec"]["template"]["metadata"]["annotations"]["prometheus.io/scrape"] for one in DEPLOYMENTS)
    assert "--from-literal=METRICS_TOKEN" not in (DEPLOY / "kubernetes.yaml").read_text()
    (scraped,) = (trigger for trigger in SCALED["spec"]["triggers"] if trigger["type"] == "prometheus")
    assert scraped["metadata"]["ignoreNullValues"] == "false"


def test_the_release_is_rolled_out_only_once_the_migration_is_over_however_long_it_takes() -> None:
    commands = re.findall(
        r"^#   (kubectl (?:delete|apply|wait).*)$", (DEPLOY / "kubernetes.yaml").read_text(), re.MULTILINE
    )
    assert [command.endswith(" &&") for command in commands] == [True, True, True, False]
    assert "--timeout=" in commands[-2]


@pytest.mark.parametrize("manifest", DEPLOYMENTS, ids=_name)
def test_it_has_the_time_to_stop(manifest: dict[str, Any]) -> None:
    seconds = float(NAMED["ConfigMap", "schedule-service"]["data"]["SHUTDOWN_GRACE_SECONDS"]) + GRACE_SECONDS
    if (hook := _container(manifest).get("lifecycle")) is not None:
        command, waits = hook["preStop"]["exec"]["command"]
        assert command == "sleep"
        seconds += float(waits)
    assert _pod(manifest)["terminationGracePeriodSeconds"] >= seconds


@pytest.mark.parametrize("manifest", DEPLOYMENTS, ids=_name)
def test_selectors_select_it_alone(manifest: dict[str, Any]) -> None:
    labels = manifest["spec"]["template"]["metadata"]["labels"]
    assert manifest["spec"]["selector"]["matchLabels"] == labels
    budget = NAMED["PodDisruptionBudget", manifest["metadata"]["name"]]["spec"]
    assert budget["selector"]["matchLabels"] == labels
    assert manifest["spec"]["replicas"] > budget["minAvailable"] > 0
    assert [one for one in RUNNING if one["spec"]["template"]["metadata"]["labels"] == labels] == [manifest]


def test_the_service_leads_to_the_api() -> None:
    service, api = NAMED["Service", "schedule-service"]["spec"], NAMED["Deployment", "schedule-service-api"]
    assert service["selector"] == api["spec"]["template"]["metadata"]["labels"]
    assert [port["targetPort"] for port in service["ports"]] == [port["name"] for port in _container(api)["ports"]]


def test_workers_are_scaled_by_a_metric_that_there_is() -> None:
    target = NAMED["Deployment", SCALED["spec"]["scaleTargetRef"]["name"]]
    assert target["metadata"]["name"] == "schedule-service-worker"
    assert SCALED["spec"]["minReplicaCount"] >= target["spec"]["replicas"]
    (query,) = (
        trigger["metadata"]["query"] for trigger in SCALED["spec"]["triggers"] if trigger["type"] == "prometheus"
    )
    (asked,) = re.findall(r"schedule_service_\w+", query)
    assert asked in {family.name for family in Metrics().registry.collect()}
