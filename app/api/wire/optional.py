"""The conditions of a call that acts on all that match: each may be left out, and none may be null."""

from typing import Annotated, Any, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from app.api.wire.base import NULL_REFUSED

T = TypeVar("T")


class _LeftOutOrGiven:
    """Null is what a client writes for a variable that was not set: taken for "all", it would act on more than meant.

    The document says so too, by which generated clients leave out what is not set, and write no null for it.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_refuse_null, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        (given,) = (kind for kind in handler(schema)["anyOf"] if kind != {"type": "null"})
        return dict(given)


def _refuse_null(value: Any) -> Any:
    if value is None:
        raise PydanticCustomError(NULL_REFUSED, "must not be null: leave it out, or say which are meant")
    return value


Condition = Annotated[T | None, _LeftOutOrGiven()]
"""Only those that it names; without it, the others decide."""
