"""Every setting of the service, read from the environment once, and passed down.

The names are those of the system this replaces, where it had them.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.core.addresses import read_networks
from app.core.errors import ConfigurationException, InvalidScheduleException
from app.core.hosts import HostPatterns
from app.core.jwt.algorithms import read_algorithms
from app.core.jwt.identity import Naming
from app.core.jwt.rules import Rules
from app.core.jwt.urls import check_issuer_url, check_keys_url
from app.core.limits import LEAST_RATE, Limits, parse_rates
from app.core.occurrences.zones import load_zone
from app.core.server_urls import check_http_url, check_postgres_url, check_redis_url

_SCHEMES = {
    "database_url": ("postgresql://", "postgres://"),
    "redis_url": ("redis://", "rediss://", "unix://"),
}


class AuthMode(StrEnum):
    """How callers are recognised."""

    API_KEY = "api_key"
    JWT = "jwt"
    NONE = "none"


class Settings(BaseSettings):
    """The configuration of one process. Field names in capitals are the environment's names."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_file=None)

    database_url: str = Field("", description="Postgres: postgresql://user:password@host:port/name.")
    database_pooler: Literal["none", "transaction"] = Field(
        "none", description="`transaction`: a pooler in transaction mode (PgBouncer) stands in front of Postgres."
    )
    database_pool_size: Annotated[int, Field(ge=4, le=200)] = Field(
        12, description="Connections to Postgres that one process opens at most."
    )
    redis_url: str = Field("", description="Redis or Valkey: redis://[user:password@]host:port/db, rediss:// for TLS.")
    allow_eviction: bool = Field(False, description="Start although Redis may evict keys (`maxmemory-policy`).")
    workflow_engine_url: str = Field("", description="Where executions are delivered: http(s)://host[:port].")
    workflow_completion: Literal["response", "callback"] = Field(
        "response", description="Default of a schedule's `completion`: what ends an execution."
    )
    scheduler_timezone: str = Field("UTC", description="Default zone of a schedule, an IANA name.")
    scheduler_job_defaults_max_instances: Annotated[int, Field(ge=1, le=1000)] = Field(
        3, description="Default of a schedule's `max_instances`."
    )
    scheduler_job_defaults_coalesce: bool = Field(True, description="Default of a schedule's `coalesce`.")
    max_concurrent_workflows: Annotated[int, Field(ge=1, le=10_000)] = Field(
        100, description="Requests that one worker has in flight at most."
    )
    target_max_concurrent: Annotated[int, Field(ge=1, le=10_000)] = Field(
        20,
        description="Requests that one worker has in flight at most to one host that schedules name.",
    )
    target_rate_limits: str = Field(
        "",
        description="Requests a second that a host gets from all workers together: `api.example.com=5, *=50, "
        "engine=200`; `*` is every other host that schedules name, `engine` the workflow engine.",
    )
    workflow_timeout_seconds: Annotated[int, Field(ge=1, le=604_800)] = Field(
        3600, description="Default of a schedule's `timeout_seconds`."
    )
    workflow_max_retries: Annotated[int, Field(ge=0, le=100)] = Field(
        3, description="Default of a schedule's `retry.max_retries`."
    )
    schedule_grace_period_minutes: Annotated[float, Field(ge=5 / 60, le=10_080)] = Field(
        15, description="Default of a schedule's `grace_period_seconds`, in minutes."
    )
    target_allowed_hosts: str = Field(
        "", description="Hosts of targets that may be anywhere, comma-separated: `hooks.corp`, `*.internal.example`."
    )
    target_allowed_networks: str = Field(
        "",
        description="Networks in which targets may be although not everyone can reach them, comma-separated: "
        "`10.1.0.0/16`.",
    )
    trigger_request_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = Field(
        30, description="How long a target may take to answer."
    )
    wheel_shards: Annotated[int, Field(ge=1, le=256)] = Field(
        16, description="Parts of the timer wheel; all processes need the same number."
    )
    wheel_window_seconds: Annotated[int, Field(ge=60, le=604_800)] = Field(
        3600, description="How far ahead due times are kept in Redis."
    )
    claim_ahead_ms: Annotated[int, Field(ge=0, le=500)] = Field(
        50,
        description="How long before its due time an entry is claimed and recorded; what little is due beside a crowd "
        "four times as long.",
    )
    lease_seconds: Annotated[float, Field(ge=1, le=60)] = Field(
        5, description="After how long a claimed entry that was not acknowledged is claimed again."
    )
    shutdown_grace_seconds: Annotated[float, Field(ge=0, le=600)] = Field(
        35, description="How long a stopping process waits for requests in flight."
    )
    execution_retention_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        30, description="How long executions are kept."
    )
    completed_retention_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        30, description="How long completed schedules are kept."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="The least level logged.")
    log_format: Literal["json", "text"] = Field(
        "json", description="`json`: one object a line; `text`: a line to be read."
    )
    auth_mode: AuthMode = Field(
        AuthMode.API_KEY,
        description="`api_key`; `jwt`: also the tokens of an issuer ([docs/access.md](docs/access.md)); `none`, on a "
        "loopback address.",
    )
    community_rate_limit: Annotated[float, Field(ge=0, le=1_000_000)] = Field(
        0,
        description="Requests a second that one API process answers for one community, a second's worth at once; what "
        "is more gets 429. 0: any number.",
    )
    community_max_schedules: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        0, description="Schedules that a community may have; what is more gets 429. 0: any number."
    )
    jwt_issuer: str = Field("", description="Who issues the tokens: what they have as `iss`, an https:// URL.")
    jwt_audience: str = Field("", description="What tokens for this service have as `aud`.")
    jwt_jwks_url: str = Field(
        "",
        description="Where the issuer's public keys are; empty: where its `/.well-known/openid-configuration` says.",
    )
    jwt_algorithms: str = Field(
        "RS256,ES256",
        description="How tokens may be signed, comma-separated: RS, PS or ES with 256, 384 or 512, and EdDSA.",
    )
    jwt_community_claim: str = Field(
        "community_id", description="The claim that is the caller's community; a dot reaches into an object."
    )
    jwt_role_claim: str = Field(
        "role",
        description="The claim that is the caller's role, or a list with it, as in `realm_access.roles`; the highest "
        "counts.",
    )
    jwt_user_claim: str = Field("sub", description="The claim that `created_by` and the audit trail show.")
    public_url: str = Field(
        "",
        description="Where targets reach the API: with `completion: callback` the body then says how to report; needs "
        "SECRET_KEY.",
    )
    secret_key: str = Field(
        "",
        description="Keys of at least 32 characters, comma-separated, newest first, for callback tokens and the "
        "secrets of targets: the same in all processes.",
    )
    webhook_signing_secrets: str = Field(
        "", description="Standard Webhooks secrets (`whsec_…`), comma-separated, newest first; empty: unsigned."
    )
    metrics_token: str = Field("", description="Bearer token that `/metrics` asks for; empty: open.")
    docs_enabled: bool = Field(True, description="Serve `/docs` and `/openapi.json`.")

    @field_validator("scheduler_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            load_zone(value)
        except InvalidScheduleException as refused:
            raise ValueError(refused.detail) from None
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("jwt_issuer", "jwt_jwks_url")
    @classmethod
    def _issuer_url(cls, value: str, info: ValidationInfo) -> str:
        check = check_issuer_url if info.field_name == "jwt_issuer" else check_keys_url
        if value:
            check(value)
        return value

    @field_validator("jwt_algorithms")
    @classmethod
    def _public_key_algorithms(cls, value: str) -> str:
        read_algorithms(value)
        return value

    @field_validator("jwt_audience", "jwt_community_claim", "jwt_role_claim", "jwt_user_claim")
    @classmethod
    def _plain_text(cls, value: str, info: ValidationInfo) -> str:
        if value != value.strip() or not value.isprintable():
            raise ValueError("must have no blanks around it, and be printable")
        if not value and info.field_name != "jwt_audience":
            raise ValueError("must be the name of a claim")
        return value

    @field_validator("workflow_engine_url", "public_url")
    @classmethod
    def _http_url(cls, value: str) -> str:
        if not value:
            return value
        check_http_url(value, like="http(s)://host[:port]")
        if "?" in value:
            raise ValueError("must have no query: a path is added to it")
        return value.rstrip("/")

    @field_validator("community_rate_limit")
    @classmethod
    def _some_rate(cls, value: float) -> float:
        if value and not value >= LEAST_RATE:
            raise ValueError(f"must be 0, or at least {LEAST_RATE} a second")
        return value

    @field_validator("target_rate_limits")
    @classmethod
    def _rates(cls, value: str) -> str:
        parse_rates(value)
        return value

    @field_validator("database_url", "redis_url")
    @classmethod
    def _server_url(cls, value: str, info: ValidationInfo) -> str:
        schemes = _SCHEMES[str(info.field_name)]
        if not value:
            return value
        if not value.startswith(schemes):
            raise ValueError(f"must begin with {' or '.join(schemes)}")
        check = check_redis_url if info.field_name == "redis_url" else check_postgres_url
        check(value)
        return value

    @field_validator("target_allowed_hosts")
    @classmethod
    def _host_patterns(cls, value: str) -> str:
        HostPatterns(value)
        return value

    @field_validator("target_allowed_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        read_networks(value)
        return value

    @property
    def grace_period_seconds(self) -> int:
        """Default grace period of a schedule, in seconds."""
        return round(self.schedule_grace_period_minutes * 60)

    @property
    def jwt_rules(self) -> Rules:
        """Which tokens count. Raises ConfigurationException where it is not said whose, and for whom."""
        self.need("jwt_issuer", "jwt_audience")
        return Rules(self.jwt_issuer, self.jwt_audience, read_algorithms(self.jwt_algorithms))

    @property
    def jwt_naming(self) -> Naming:
        """Which claims of a token say who calls."""
        return Naming(community=self.jwt_community_claim, role=self.jwt_role_claim, user=self.jwt_user_claim)

    @property
    def limits(self) -> Limits:
        """How much may be sent to each host."""
        return Limits(self.target_max_concurrent, parse_rates(self.target_rate_limits))

    def need(self, *names: str) -> None:
        """Refuse to go on without these settings.

        Raises ConfigurationException that names the first empty one.
        """
        for name in names:
            if not getattr(self, name):
                raise ConfigurationException(f"{name.upper()} is not set: {type(self).model_fields[name].description}")


def read_settings() -> Settings:
    """The settings as the environment has them.

    Raises ConfigurationException, one line that names the wrong setting.
    """
    try:
        return Settings()
    except ValidationError as refused:
        first = refused.errors()[0]
        name = str(first["loc"][0]).upper()
        # A URL with a password in it must not appear in a log.
        hidden = name.lower() in _SCHEMES or "@" in str(first["input"])
        shown = name if hidden else f"{name}={first['input']!r}"
        raise ConfigurationException(f"{shown}: {first['msg'].removeprefix('Value error, ')}") from None
