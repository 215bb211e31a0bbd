"""Where and how a target reports on what it was sent."""

from typing import NamedTuple
from uuid import UUID

import orjson

from app.core.callbacks import CallbackTokens


class Callback(NamedTuple):
    """The encoded object, which has the execution's address and a token that opens `complete` and `heartbeat` there."""

    encoded: str
    token: str


class Callbacks:
    """The `callback` of a delivery's body, under the address at which targets reach the API (`PUBLIC_URL`)."""

    def __init__(self, public_url: str, tokens: CallbackTokens) -> None:
        self._base = f"{public_url}/api/v1/executions/"
        self._tokens = tokens

    def of(self, execution_id: UUID) -> Callback:
        """What an execution's target is told."""
        token = self._tokens.token(execution_id)
        return Callback(orjson.dumps({"url": f"{self._base}{execution_id}", "token": token}).decode(), token)
