"""Fields that may be left out, and may not be null."""

from typing import Annotated, Any, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from app.api.wire.base import NULL_REFUSED

T = TypeVar("T")


class _LeftOutOrGiven:
    """In the document too, by which generated clients leave out what is not set, and write no null for it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_refuse_null, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        (given,) = (kind for kind in handler(schema)["anyOf"] if kind != {"type": "null"})
        return dict(given)


def _refuse_null(value: Any) -> Any:
    if value is None:
        raise PydanticCustomError(NULL_REFUSED, "must not be null: leave it out, or give a value")
    return value


NeverNull = Annotated[T | None, _LeftOutOrGiven()]
"""None where it was left out."""
