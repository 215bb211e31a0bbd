"""Targets as callers write them, and as answers show them."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.api.wire.base import Shown, Wire
from app.api.wire.limits import check_size
from app.api.wire.optional import NeverNull
from app.core.breaker import Circuit
from app.core.sealing import MASK
from app.core.target import LONGEST_URL, MOST_HEADERS, Method, hosts_meant

_BODY_SCHEMA = {"anyOf": [{"type": "object"}, {"type": "array", "items": {}}, {"type": "string"}, {"type": "null"}]}


def _check_body(body: Any) -> Any:
    if not isinstance(body, (dict, list, str)):
        raise PydanticCustomError("target_body", "must be an object, an array or a string")
    return check_size(body)


def _check_host(text: str) -> str:
    try:
        hosts_meant(text)
    except ValueError as wrong:
        raise PydanticCustomError("host", "{wrong}", {"wrong": str(wrong)}) from None
    return text


Host = Annotated[str, StringConstraints(min_length=1, max_length=1024), AfterValidator(_check_host)]
"""A host as `hosts_meant` takes it."""
Url = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_URL)]
Headers = Annotated[dict[str, str], Field(max_length=MOST_HEADERS)]
Body = Annotated[Any, AfterValidator(lambda body: None if body is None else _check_body(body))]


class TargetInput(Wire):
    """Where executions are sent. Strings of `url`, `headers` and `body` may hold `{{ execution_id }}` and the like."""

    url: Annotated[Url, Field(description="`http://` or `https://`; its host is written out.")]
    method: Annotated[Method, Field(strict=False)] | None = Field(None, description="Null: POST.")
    headers: Headers | None = Field(
        None,
        description=f"Values are secret: answers show `{MASK}`, and a mask that is sent back keeps what is stored.",
    )
    body: Annotated[Body, WithJsonSchema(_BODY_SCHEMA)] = Field(
        None,
        description="Null: the body that the workflow engine would get. An object or array is sent as JSON, a string "
        "as it is.",
    )
    cancel_url: Url | None = Field(
        None, description="Told by a POST when an execution is cancelled that was sent, or may have been."
    )


class TargetPatch(TargetInput):
    """Changes to where executions are sent, as a part of a merge patch: what is left out stays."""

    url: NeverNull[Url] = Field(None, description="`http://` or `https://`.")  # type: ignore[assignment]
    headers: dict[str, str | None] | None = Field(  # type: ignore[assignment]
        None, description="By their names as they are shown: those that are left out stay, null takes one away."
    )


class TargetHost(Shown):
    """A host that schedules have for a target, and how it fares: the worst that any worker tells."""

    host: str | None = Field(description="With its port, where it has one. Null: the configured workflow engine.")
    schedules: int | None = Field(description="How many schedules of the community have it; null for the engine.")
    circuit: Circuit = Field(description="`open`: it keeps failing and is left alone; `half_open`: it is being tried.")
    failures: int = Field(description="Failures in a row.")
    open_until: datetime | None = Field(description="When it is tried again.")
    last_error: str | None = Field(description="How it last failed; not what it said.")
    waiting: int = Field(description="Executions that wait in the workers behind its limits.")
    in_flight: int = Field(description="Requests without an answer yet, while anything is told of it.")
    workers_open: int = Field(description="How many workers have its circuit open.")
    max_concurrent: int | None = Field(description="Requests that one worker has in flight to it at most.")
    rate_limit: float | None = Field(description="Requests a second that it gets from all workers together at most.")


class TargetHostPage(Shown):
    """A part of a list of hosts."""

    items: list[TargetHost]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next part; null at the end.")


class Target(Shown):
    """Where executions are sent."""

    url: str
    method: Method
    headers: dict[str, str] = Field(description=f"Each value is shown as `{MASK}`.")
    body: Annotated[Any, WithJsonSchema(_BODY_SCHEMA)]
    cancel_url: str | None
