"""Reading JSON into a wire model: strict types, no unknown field, every problem named at once."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from app.api.problems import refusal
from app.core.errors import FieldProblem, MalformedRequestException, ScheduleServiceException

M = TypeVar("M", bound="Wire")


class Wire(BaseModel):
    """A JSON object. "1" is no integer, 1 no boolean, 1.0 no integer; an unknown field is refused by its name."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Shown(BaseModel):
    """A JSON object in an answer, for the OpenAPI document: answers are rendered without it, a test compares them."""

    model_config = ConfigDict(extra="forbid")


def ignoring(names: Collection[str]) -> Callable[[dict[str, Any]], None]:
    """What a model's schema says besides: it may hold these fields as well, which were read and are ignored."""
    ignored = {name: {"readOnly": True, "description": "As it was read; ignored."} for name in sorted(names)}

    def extend(schema: dict[str, Any]) -> None:
        schema["properties"] = {**schema["properties"], **ignored}

    return extend


@dataclass(slots=True)
class Refused:
    """What was found wrong so far: wrong JSON types and unknown fields, and refused values."""

    wrong_types: list[FieldProblem] = field(default_factory=list)
    values: list[FieldProblem] = field(default_factory=list)

    def value(self, name: str, message: str) -> None:
        """Add a refused value."""
        self.values.append(FieldProblem(name, message))

    def unknown(self, name: str) -> None:
        """Add an unknown field."""
        self.wrong_types.append(FieldProblem(name or "body", _BOUNDS["extra_forbidden"]))

    def error(self) -> ScheduleServiceException | None:
        """One error for all of it; null when nothing was found."""
        return refusal(self.wrong_types, self.values)

    def raise_any(self) -> None:
        """Raises MalformedRequestException or InvalidScheduleException when something was found."""
        error = self.error()
        if error is not None:
            raise error


def read_model(model: type[M], value: Any) -> M:
    """A JSON value as a wire model.

    Raises MalformedRequestException for wrong types and unknown fields, InvalidScheduleException for refused values.
    """
    refused = Refused()
    read = try_model(model, value, refused)
    refused.raise_any()
    assert read is not None
    return read


def try_model(model: type[M], value: Any, refused: Refused) -> M | None:
    """As `read_model`, but adds what is wrong to `refused` and answers null."""
    try:
        return model.model_validate(require_object(value))
    except ValidationError as invalid:
        sort_problems(invalid.errors(include_url=False), refused)
        return None


def require_object(value: Any, name: str = "body") -> dict[str, Any]:
    """Raises MalformedRequestException for any JSON value but an object."""
    if isinstance(value, dict):
        return value
    message = f"must be an object, not {_json_type(value)}"
    raise MalformedRequestException(f"{name} {message}", [FieldProblem(name, message)])


def sort_problems(errors: Sequence[ErrorDetails], refused: Refused, *, beneath: int = 0) -> None:
    """Put pydantic's findings under the names and in the words of this API.

    The first `beneath` parts of a place are the framework's, not the caller's.
    """
    for error in errors:
        problem = FieldProblem(".".join(map(str, error["loc"][beneath:])) or "body", _message(error))
        wrong_type = error["type"] in _WRONG_TYPE or (error["type"] in _CHOICE and not isinstance(error["input"], str))
        (refused.wrong_types if wrong_type else refused.values).append(problem)


_EXPECTED: Mapping[str, str] = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "an object",
    "model_type": "an object",
    "list_type": "an array",
    "none_required": "null",
}
NULL_REFUSED = "null_refused"
"""The kind of a model's own refusal of a null, which says in its own words why."""
_WRONG_TYPE = frozenset((*_EXPECTED, "extra_forbidden", NULL_REFUSED))
_CHOICE = frozenset(("enum", "literal_error"))
_BOUNDS: Mapping[str, str] = {
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "string_too_short": "must have at least {min_length} character(s)",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} element(s)",
    "too_long": "must have at most {max_length} elements",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "finite_number": "must be a finite number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "uuid_parsing": "must be a UUID",
    "missing": "is required",
    "extra_forbidden": "is not a field of this request",
}


def _message(error: ErrorDetails) -> str:
    kind = error["type"]
    expected = _EXPECTED.get(kind)
    if expected is not None:
        return f"must be {expected}, not {_json_type(error['input'])}"
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**error.get("ctx", {}))
    return error["msg"]


def _json_type(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int():
            return "an integer"
        case float():
            return "a number with a fraction or exponent"
        case list():
            return "an array"
        case _:
            return "an object"


_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


def _check_uuid(text: str) -> str:
    if not _UUID.fullmatch(text):
        raise PydanticCustomError("uuid", "must be a UUID such as 8f14e45f-ceea-467f-9d3a-1c5b2a7e6f10")
    return text


UuidText = Annotated[str, AfterValidator(_check_uuid), Field(json_schema_extra={"format": "uuid"})]
"""A UUID in its usual form of 36 characters."""

InstantText = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""An RFC 3339 date and time; parsed where the zone that it is read in is known."""
