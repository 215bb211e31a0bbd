"""What is sent to a target."""

from app.core.values import value


@value
class Request:
    """One request, of a method that may have an answer with a body: GET, POST, PUT, PATCH or DELETE.

    `trusted` is the configured workflow engine, which may be anywhere; where anything else may be, the guard says.
    `keep_headers`: the reply is to have all headers of the answer.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    trusted: bool
    keep_headers: bool = False
