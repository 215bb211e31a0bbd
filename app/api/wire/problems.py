"""Problem details as the OpenAPI document shows them."""

from pydantic import Field

from app.api.wire.base import Shown


class ProblemField(Shown):
    """One refused field."""

    field: str = Field(description="Its name as the caller wrote it, such as `retry.max_retries`.")
    message: str


class Problem(Shown):
    """Why a request was refused (RFC 9457)."""

    type: str = Field(description="A URI that stays the same for this kind of problem.")
    title: str
    status: int
    detail: str
    code: str = Field(description="The stable name of this kind of problem.")
    errors: list[ProblemField]
    request_id: str | None
