"""The OpenAPI document: what routes say of themselves, and the parts that all of them share."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from app.api import problems as problem_details
from app.api.bodies import JSON
from app.api.edge import MAX_BATCH_BODY_BYTES, MAX_BODY_BYTES
from app.core.errors import FieldProblem

_REF = "#/components/schemas/{model}"
_REQUEST_ID = "5f0c8a52-7f6b-4b5e-9d6e-0f3a1f2b7c11"

ErrorStatus = Literal[400, 401, 403, 404, 409, 412, 413, 415, 422, 429, 503]
_MEANING: Mapping[int, str] = {
    400: "Broken JSON, or a refused value or combination; each refused field is named.",
    401: "No credentials, or wrong ones.",
    403: "The caller's role does not allow this, or the token names no role, community or user.",
    404: "Unknown, removed, or belonging to another community: the three cannot be told apart.",
    409: "A name that is taken, a state that forbids it, or an idempotency key that was used for another request.",
    412: "It is at no revision that `If-Match` names, or at one that `If-None-Match` names.",
    413: f"The body is larger than {MAX_BODY_BYTES} bytes ({MAX_BATCH_BODY_BYTES} for a batch).",
    415: "The body is not JSON by its media type.",
    422: "A wrong JSON type, an unknown field or an unknown query parameter; each is named.",
    429: "More than the community may ask a second, or may have, or too many of these are under way at once.",
    503: "The database is away, or has a schedule or an execution as a later release wrote it, or a token cannot be "
    "checked; nothing was stored. Repeat it, a POST with its `Idempotency-Key`.",
}
_EXAMPLES: Mapping[int, tuple[str, str, str, tuple[FieldProblem, ...]]] = {
    400: (
        "INVALID_SCHEDULE",
        "Invalid schedule configuration",
        "cron_expression '61 * * * *': minute 61 is out of range 0-59",
        (FieldProblem("cron_expression", "cron_expression '61 * * * *': minute 61 is out of range 0-59"),),
    ),
    401: ("UNAUTHENTICATED", "Missing or invalid credentials", "The API key is not valid.", ()),
    403: ("FORBIDDEN", "The caller's role does not allow this", "This needs the role operator.", ()),
    404: ("SCHEDULE_NOT_FOUND", "Schedule not found", "There is no such schedule.", ()),
    409: (
        "NAME_TAKEN",
        "Schedule name already taken",
        "The name 'nightly-report' is taken.",
        (FieldProblem("name", "The name 'nightly-report' is taken."),),
    ),
    412: (
        "STALE_REVISION",
        "Changed since the revision named in If-Match",
        "The schedule is at revision 4.",
        (),
    ),
    413: ("BODY_TOO_LARGE", "The body is too large", "A body may have at most 1048576 bytes here.", ()),
    415: (
        "UNSUPPORTED_MEDIA_TYPE",
        "The body's media type is not supported",
        "The body's Content-Type must be application/json in UTF-8; it is 'text/plain'.",
        (),
    ),
    422: (
        "MALFORMED_REQUEST",
        "Malformed request",
        "coalesce must be true or false, not an integer",
        (FieldProblem("coalesce", "must be true or false, not an integer"),),
    ),
    429: (
        "RATE_EXCEEDED",
        "Too many requests",
        "One process answers 50 requests a second of a community: wait for 1 s, or send fewer.",
        (),
    ),
    503: ("DATABASE_UNAVAILABLE", "The database is unavailable", "Postgres is away.", ()),
}
RETRY_AFTER: dict[str, Any] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_HEADERS: Mapping[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}}},
    429: RETRY_AFTER,
    503: RETRY_AFTER,
}
ETAG: dict[str, Any] = {"ETag": {"description": "The revision, quoted.", "schema": {"type": "string"}}}
LOCATION: dict[str, Any] = {"Location": {"description": "Where it is found.", "schema": {"type": "string"}}}

IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes repeating this request safe for 24 hours: the same key and body answers the first response.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}
IF_MATCH: dict[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "Entity tags of which one must be current.",
    "schema": {"type": "string"},
    "example": '"1"',
}
IF_NONE_MATCH: dict[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "Entity tags: answers 304 when one is current.",
    "schema": {"type": "string"},
    "example": '"1"',
}
IF_NONE_MATCH_ANY: dict[str, Any] = IF_NONE_MATCH | {
    "description": "`*`: only if there is none yet. Or entity tags, of which none must be current.",
    "example": "*",
}

READING: tuple[ErrorStatus, ...] = (400, 401, 403, 422, 429, 503)
WRITING: tuple[ErrorStatus, ...] = (*READING, 409, 413, 415)


def answers(
    status: int,
    description: str,
    model: type[BaseModel] | None = None,
    example: Any = None,
    *,
    headers: Mapping[str, Any] | None = None,
    errors: Sequence[ErrorStatus] = (),
    media_type: str = JSON,
) -> dict[int | str, dict[str, Any]]:
    """A route's `responses`: its answer, and the errors that it can give."""
    answer: dict[str, Any] = {"description": description}
    if headers:
        answer["headers"] = dict(headers)
    if model is not None:
        answer["content"] = {media_type: {"schema": _ref(model), "example": example}}
    return {status: answer, **{error: _error(error) for error in sorted(errors)}}


def takes(
    model: type[BaseModel] | None = None,
    example: Any = None,
    *,
    media_type: str = JSON,
    required: bool = True,
    parameters: Sequence[dict[str, Any]] = (),
    public: bool = False,
    reports: bool = False,
) -> dict[str, Any]:
    """A route's `openapi_extra`: its body and headers, and whether it is open to everyone, or to a callback token."""
    extra: dict[str, Any] = {}
    if model is not None:
        content = {media_type: {"schema": _ref(model), "example": example}}
        extra["requestBody"] = {"required": required, "content": content}
    if parameters:
        extra["parameters"] = list(parameters)
    if public:
        extra["security"] = [{}, {"api_key": []}, {"bearer": []}]
    if reports:
        extra["security"] = [{"bearer": []}, {"api_key": []}, {"callback_token": []}]
    return extra


def describe_api(
    app: FastAPI, routes: Sequence[APIRoute], models: Sequence[type[BaseModel]], *, issuer: str | None = None
) -> dict[str, Any]:
    """The document of these routes; `models` are those that the routes refer to, `issuer` is that of tokens."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary="Answers other systems' question: when?",
        description=_DESCRIPTION,
        routes=routes,
        tags=_TAGS,
        servers=[{"url": "/", "description": "This service"}],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    for route in routes:
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _without_null(parameter["schema"])
            # As the routes have them: the framework drops every null, and with them half of an example.
            operation["responses"] = {str(status): answer for status, answer in sorted(route.responses.items())}
            operation.update(
                {name: extra for name, extra in (route.openapi_extra or {}).items() if name != "parameters"}
            )
    _, schemas = models_json_schema(
        [(model, "validation") for model in models], ref_template=_REF, schema_generator=_Schemas
    )
    components = document.setdefault("components", {})
    components["schemas"] = dict(sorted({**components.get("schemas", {}), **schemas["$defs"]}.items()))
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
        "callback_token": {
            "type": "http",
            "scheme": "bearer",
            "description": "The token that came with the delivery, in `callback`: it opens that execution alone.",
        },
        "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
    }
    document["security"] = [{"bearer": []}, {"api_key": []}]
    if issuer is not None:
        _add_tokens(document, issuer)
    return document


def _add_tokens(document: dict[str, Any], issuer: str) -> None:
    """Say that whatever an API key opens, a token of this issuer does too."""
    document["components"]["securitySchemes"]["jwt"] = {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": f"A token that {issuer} issued for this service.",
    }
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    for secured in (document, *operations):
        if "security" in secured:
            secured["security"] = [*secured["security"], {"jwt": []}]


class _Schemas(GenerateJsonSchema):
    """Schemas without what says nothing: a title that repeats the name, a null default that stands for another."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default") is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    # A query parameter can be left out, and cannot be null.
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name not in ("title", "anyOf", "description")}
    return {**rest, **kinds[0]} if len(kinds) == 1 else rest


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _error(status: int) -> dict[str, Any]:
    code, title, detail, errors = _EXAMPLES[status]
    example = {
        "type": problem_details.problem_type(code),
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [{"field": each.field, "message": each.message} for each in errors],
        "request_id": _REQUEST_ID,
    }
    content = {problem_details.MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}, "example": example}}
    answer: dict[str, Any] = {"description": _MEANING[status], "content": content}
    if status in _HEADERS:
        answer["headers"] = _HEADERS[status]
    return answer


_DESCRIPTION = """\
Schedules fire workflows: by cron expressions, at intervals, or once. Times are RFC 3339, in answers always UTC with a
`Z`. Lists go on at `next_cursor`. Errors are problem details (RFC 9457); their `code` and `type` are stable.

Every request may carry an `X-Request-Id` of up to 128 letters, digits, dots, hyphens and underscores; it comes back in
the answer, in problems and in the logs."""
_TAGS = [
    {"name": "schedules", "description": "What fires, and when."},
    {"name": "executions", "description": "What fired: one record an occurrence."},
    {"name": "targets", "description": "Where it is sent."},
    {"name": "occurrences", "description": "When it would fire."},
    {"name": "calendars", "description": "Days off, for schedules to keep."},
    {"name": "audit", "description": "Who changed what, when and why."},
    {"name": "operations", "description": "The state of the service."},
]
