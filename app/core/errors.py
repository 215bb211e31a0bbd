"""Every error that the service raises on purpose, in one tree.

    ScheduleServiceException
    ├── InvalidScheduleException        a refused value or combination; carries every refused field
    ├── MalformedRequestException       a wrong JSON type or an unknown field; carries every such field
    ├── NotFoundException
    │   ├── ScheduleNotFoundException
    │   ├── ExecutionNotFoundException
    │   └── CalendarNotFoundException
    ├── ConflictException
    │   ├── NameTakenException
    │   ├── CalendarNameTakenException
    │   ├── CalendarInUseException
    │   ├── StateForbidsException
    │   └── IdempotencyKeyReusedException
    ├── PreconditionFailedException     what `If-None-Match` names is there
    │   └── StaleRevisionException      what `If-Match` names is not
    ├── CredentialsException            who is calling is not known
    │   └── InvalidTokenException       and the JWT that was sent does not say it
    ├── PermissionDeniedException       who is calling is known, and may not
    ├── TooManyAtOnceException          of this so many are under way already
    ├── RateExceededException           so many requests a second a community has; carries when there is one again
    ├── QuotaExceededException          so many schedules a community may have
    ├── UnreadableRowException          a schedule or an execution is not stored as of this release
    ├── IssuerUnavailableException      whether a JWT is good cannot be told yet
    ├── StoreUnavailableException       Postgres is away, or has rows locked for too long; carries who waited for them
    └── ConfigurationException          a setting that stops the start

A class's docstring is its title towards callers, its `code` the stable name that clients match on. What HTTP
status it answers with is decided in `app.api` alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One refused field: its name as the caller wrote it (`retry.max_retries`), and what would be right."""

    field: str
    message: str


class ScheduleServiceException(Exception):
    """Schedule service error"""

    code: ClassVar[str] = "SCHEDULE_SERVICE_ERROR"

    def __init__(self, detail: str, errors: Sequence[FieldProblem] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)

    @property
    def title(self) -> str:
        """The class's docstring up to its first blank line: the same for every instance."""
        return (type(self).__doc__ or type(self).__name__).split("\n\n")[0].strip()


class InvalidScheduleException(ScheduleServiceException):
    """Invalid schedule configuration"""

    code = "INVALID_SCHEDULE"

    @classmethod
    def of(cls, field: str, message: str) -> "InvalidScheduleException":
        """A refusal of a single field."""
        return cls(message, (FieldProblem(field, message),))

    @classmethod
    def of_all(cls, problems: Sequence[FieldProblem]) -> "InvalidScheduleException":
        """A refusal that names every wrong field; `problems` is not empty."""
        return cls("; ".join(problem.message for problem in problems), problems)


class MalformedRequestException(ScheduleServiceException):
    """Malformed request"""

    code = "MALFORMED_REQUEST"


class NotFoundException(ScheduleServiceException):
    """Not found"""

    code = "NOT_FOUND"


class ScheduleNotFoundException(NotFoundException):
    """Schedule not found"""

    code = "SCHEDULE_NOT_FOUND"


class ExecutionNotFoundException(NotFoundException):
    """Execution not found"""

    code = "EXECUTION_NOT_FOUND"


class CalendarNotFoundException(NotFoundException):
    """Calendar not found"""

    code = "CALENDAR_NOT_FOUND"


class ConflictException(ScheduleServiceException):
    """Conflict with the current state"""

    code = "CONFLICT"


class NameTakenException(ConflictException):
    """Schedule name already taken"""

    code = "NAME_TAKEN"


class CalendarNameTakenException(ConflictException):
    """Calendar name already taken"""

    code = "CALENDAR_NAME_TAKEN"


class CalendarInUseException(ConflictException):
    """The calendar is used by schedules"""

    code = "CALENDAR_IN_USE"


class StateForbidsException(ConflictException):
    """Not possible in the current state"""

    code = "STATE_FORBIDS"


class IdempotencyKeyReusedException(ConflictException):
    """Idempotency key reused with another request"""

    code = "IDEMPOTENCY_KEY_REUSED"


class PreconditionFailedException(ScheduleServiceException):
    """Excluded by If-None-Match"""

    code = "PRECONDITION_FAILED"


class StaleRevisionException(PreconditionFailedException):
    """Changed since the revision named in If-Match"""

    code = "STALE_REVISION"


class CredentialsException(ScheduleServiceException):
    """Missing or invalid credentials"""

    code = "UNAUTHENTICATED"


class InvalidTokenException(CredentialsException):
    """The token is not valid"""

    code = "INVALID_TOKEN"


class PermissionDeniedException(ScheduleServiceException):
    """The caller's role does not allow this"""

    code = "FORBIDDEN"


class TooManyAtOnceException(ScheduleServiceException):
    """Too many at once"""

    code = "TOO_MANY_AT_ONCE"


class RateExceededException(ScheduleServiceException):
    """Too many requests"""

    code = "RATE_EXCEEDED"

    wait_seconds: float = 1.0
    """After how long a request is answered again, if no other comes before."""

    @classmethod
    def until(cls, detail: str, wait_seconds: float) -> "RateExceededException":
        """A refusal of which it is known how long it is to be."""
        error = cls(detail)
        error.wait_seconds = wait_seconds
        return error


class QuotaExceededException(ScheduleServiceException):
    """Too many schedules"""

    code = "QUOTA_EXCEEDED"


class UnreadableRowException(ScheduleServiceException):
    """What is stored cannot be read here"""

    code = "UNREADABLE_ROW"
    names: Mapping[str, str] = {}
    """Which it is: `schedule_id` or `execution_id`."""

    @classmethod
    def of(cls, what: Literal["schedule", "execution"], row_id: UUID) -> "UnreadableRowException":
        """As while a later release is rolled out, or after going back from one. What is wrong with it is its cause."""
        error = cls(
            f"The {what} {row_id} is stored as this process cannot read it, by a later release perhaps: "
            "a process of that release can."
        )
        error.names = {f"{what}_id": str(row_id)}
        return error


class IssuerUnavailableException(ScheduleServiceException):
    """The issuer of tokens is unavailable"""

    code = "ISSUER_UNAVAILABLE"


class StoreUnavailableException(ScheduleServiceException):
    """The database is unavailable"""

    code = "DATABASE_UNAVAILABLE"
    waited_for: frozenset[UUID] = frozenset()
    """The schedules or executions on whose behalf it was waited for rows that another has locked for too long."""

    @classmethod
    def locked(cls, detail: str, waited_for: Iterable[UUID]) -> "StoreUnavailableException":
        """Postgres is there, and who is named here waited for locks in vain."""
        error = cls(detail)
        error.waited_for = frozenset(waited_for)
        return error


class ConfigurationException(ScheduleServiceException):
    """Wrong configuration"""

    code = "CONFIGURATION"
