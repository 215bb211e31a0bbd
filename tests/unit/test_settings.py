"""Settings: what is wrong is one line that names the setting, and nothing wrong is let in."""

import os

import pytest

from app.core.errors import ConfigurationException
from app.core.jwt.identity import Naming
from app.core.jwt.rules import Rules
from app.settings import AuthMode, Settings, read_settings


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        for spelled in list(os.environ):
            if spelled.upper() == name.upper():
                monkeypatch.delenv(spelled)


def test_nothing_set_is_the_documented_defaults() -> None:
    settings = read_settings()
    assert (settings.wheel_shards, settings.claim_ahead_ms, settings.max_concurrent_workflows) == (16, 50, 100)
    assert settings.auth_mode is AuthMode.API_KEY
    assert settings.grace_period_seconds == 900


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_POOLER", "session"),
        ("DATABASE_POOL_SIZE", "3"),
        ("DATABASE_POOL_SIZE", "201"),
        ("DATABASE_POOL_SIZE", "twelve"),
        ("ALLOW_EVICTION", "maybe"),
        ("WORKFLOW_ENGINE_URL", "engine:8080"),
        ("WORKFLOW_ENGINE_URL", "ftp://engine"),
        ("WORKFLOW_ENGINE_URL", "//engine"),
        ("WORKFLOW_ENGINE_URL", "http://"),
        ("WORKFLOW_ENGINE_URL", "http:///path"),
        ("WORKFLOW_ENGINE_URL", "http://:8080"),
        ("WORKFLOW_ENGINE_URL", "http://engine:port"),
        ("WORKFLOW_ENGINE_URL", "http://engine:99999"),
        ("WORKFLOW_ENGINE_URL", "http://en gine"),
        ("WORKFLOW_ENGINE_URL", "http://engine/?key=1"),
        ("WORKFLOW_ENGINE_URL", "http://engine/#part"),
        ("WORKFLOW_ENGINE_URL", "http://[::1"),
        ("WORKFLOW_ENGINE_URL", "http://engine\nX: y"),
        ("WORKFLOW_COMPLETION", "report"),
        ("SCHEDULER_TIMEZONE", "Mars/Olympus"),
        ("SCHEDULER_TIMEZONE", "../../etc/passwd"),
        ("SCHEDULER_TIMEZONE", ""),
        ("SCHEDULER_JOB_DEFAULTS_MAX_INSTANCES", "0"),
        ("SCHEDULER_JOB_DEFAULTS_COALESCE", "2"),
        ("MAX_CONCURRENT_WORKFLOWS", "0"),
        ("WORKFLOW_TIMEOUT_SECONDS", "-1"),
        ("WORKFLOW_MAX_RETRIES", "101"),
        ("SCHEDULE_GRACE_PERIOD_MINUTES", "0.08"),
        ("SCHEDULE_GRACE_PERIOD_MINUTES", "nan"),
        ("SCHEDULE_GRACE_PERIOD_MINUTES", "inf"),
        ("COMMUNITY_RATE_LIMIT", "-1"),
        ("COMMUNITY_RATE_LIMIT", "1e-320"),
        ("COMMUNITY_RATE_LIMIT", "inf"),
        ("COMMUNITY_RATE_LIMIT", "nan"),
        ("COMMUNITY_MAX_SCHEDULES", "-1"),
        ("COMMUNITY_MAX_SCHEDULES", "1.5"),
        ("TARGET_ALLOWED_HOSTS", "https://hooks.corp"),
        ("TARGET_ALLOWED_HOSTS", "hooks.corp, 10.0.0.0/8"),
        ("TARGET_ALLOWED_HOSTS", "*"),
        ("TARGET_ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("TARGET_ALLOWED_NETWORKS", "10.0.0.0/8, hooks.corp"),
        ("TRIGGER_REQUEST_TIMEOUT_SECONDS", "0"),
        ("TRIGGER_REQUEST_TIMEOUT_SECONDS", "nan"),
        ("TRIGGER_REQUEST_TIMEOUT_SECONDS", "301"),
        ("WHEEL_SHARDS", "0"),
        ("WHEEL_SHARDS", "257"),
        ("WHEEL_SHARDS", "1e1"),
        ("WHEEL_WINDOW_SECONDS", "59"),
        ("CLAIM_AHEAD_MS", "501"),
        ("CLAIM_AHEAD_MS", "1.5"),
        ("LEASE_SECONDS", "0.5"),
        ("LEASE_SECONDS", "nan"),
        ("SHUTDOWN_GRACE_SECONDS", "-1"),
        ("SHUTDOWN_GRACE_SECONDS", "nan"),
        ("EXECUTION_RETENTION_DAYS", "0"),
        ("COMPLETED_RETENTION_DAYS", "9999999"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_LEVEL", "bad\nlevel"),
        ("LOG_FORMAT", "xml"),
        ("AUTH_MODE", "basic"),
        ("JWT_ISSUER", "id.example"),
        ("JWT_ISSUER", "http://id.example"),
        ("JWT_ISSUER", "https://id.example/?p=policy"),
        ("JWT_ISSUER", "https://id.example:99999"),
        ("JWT_AUDIENCE", " schedules"),
        ("JWT_AUDIENCE", "sched\nules"),
        ("JWT_JWKS_URL", "http://id.example/keys"),
        ("JWT_JWKS_URL", "https://id.example/keys#1"),
        ("JWT_ALGORITHMS", ""),
        ("JWT_ALGORITHMS", "none"),
        ("JWT_ALGORITHMS", "RS256,HS256"),
        ("JWT_ALGORITHMS", "RSA"),
        ("JWT_COMMUNITY_CLAIM", ""),
        ("JWT_ROLE_CLAIM", "role "),
        ("JWT_USER_CLAIM", "su\tb"),
        ("DOCS_ENABLED", ""),
    ],
)
def test_a_wrong_value_is_one_line_that_names_its_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationException) as refused:
        read_settings()
    assert refused.value.detail.startswith(f"{name}=")
    assert len(refused.value.detail.splitlines()) == 1
    assert refused.value.__suppress_context__


@pytest.mark.parametrize("name", ["WORKFLOW_ENGINE_URL", "PUBLIC_URL", "JWT_ISSUER", "JWT_JWKS_URL"])
@pytest.mark.parametrize("rest", ["", "/?key=1"])
def test_a_url_with_credentials_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, name: str, rest: str) -> None:
    monkeypatch.setenv(name, f"http://me:hush@engine{rest}")
    with pytest.raises(ConfigurationException, match=f"{name}: must h") as refused:
        read_settings()
    assert "hush" not in refused.value.detail


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("http://engine", "http://engine"),
        ("https://engine:8443/", "https://engine:8443"),
        ("http://engine/base/", "http://engine/base"),
        ("HTTP://Engine", "HTTP://Engine"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("", ""),
    ],
)
def test_an_engine_is_an_http_address_to_which_a_path_can_be_added(
    monkeypatch: pytest.MonkeyPatch, value: str, url: str
) -> None:
    monkeypatch.setenv("WORKFLOW_ENGINE_URL", value)
    assert read_settings().workflow_engine_url == url


def test_a_grace_period_in_minutes_is_kept_in_whole_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULE_GRACE_PERIOD_MINUTES", "0.5")
    assert read_settings().grace_period_seconds == 30


def test_what_is_needed_and_not_set_is_named_with_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/x")
    settings = read_settings()
    settings.need("database_url")
    with pytest.raises(ConfigurationException) as refused:
        settings.need("database_url", "redis_url", "workflow_engine_url")
    assert refused.value.detail.startswith("REDIS_URL is not set: ")
    assert len(refused.value.detail.splitlines()) == 1


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if "secret" in name or "token" in name])
def test_no_value_of_a_secret_is_ever_refused_and_so_repeated(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name.upper(), "any text\n at all")
    assert getattr(read_settings(), name) == "any text\n at all"


def test_tokens_need_an_issuer_and_an_audience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_MODE", "jwt")
    with pytest.raises(ConfigurationException, match=r"^JWT_ISSUER is not set: "):
        _ = read_settings().jwt_rules
    # As it is: with its slash it is another issuer than without.
    monkeypatch.setenv("JWT_ISSUER", "https://id.example/")
    with pytest.raises(ConfigurationException, match=r"^JWT_AUDIENCE is not set: "):
        _ = read_settings().jwt_rules
    monkeypatch.setenv("JWT_AUDIENCE", "schedules")
    assert read_settings().jwt_rules == Rules("https://id.example/", "schedules", ("RS256", "ES256"))
    assert read_settings().jwt_naming == Naming(community="community_id", role="role", user="sub")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read_settings().wheel_shards = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_every_setting_says_what_it_is(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description is not None
    assert description.endswith(".")


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_a_url_of_another_scheme_is_refused_without_showing_its_password(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "mysql://user:hunter2@host/db")
    with pytest.raises(ConfigurationException) as refused:
        read_settings()
    assert refused.value.detail.startswith(f"{name}: must begin with ")
    assert "hunter2" not in refused.value.detail


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_a_url_whose_port_is_none_is_refused_without_showing_its_password(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme = "redis" if name == "REDIS_URL" else "postgresql"
    monkeypatch.setenv(name, f"{scheme}://user:hunter2@host:notaport/0")
    with pytest.raises(ConfigurationException) as refused:
        read_settings()
    assert refused.value.detail.startswith(f"{name}: its port must be a number from 1 to 65535; ")
    assert len(refused.value.detail.splitlines()) == 1
    assert "hunter2" not in refused.value.detail
