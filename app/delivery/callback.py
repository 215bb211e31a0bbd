"""Where and how a target reports on what it was sent."""

from uuid import UUID

import orjson

from app.core.callbacks import CallbackTokens


class Callbacks:
    """The `callback` of a delivery's body, under the address at which targets reach the API (`PUBLIC_URL`)."""

    def __init__(self, public_url: str, tokens: CallbackTokens) -> None:
        self._base = f"{public_url}/api/v1/executions/"
        self._tokens = tokens

    def of(self, execution_id: UUID) -> str:
        """The encoded object: the execution's address, and the token that opens `complete` and `heartbeat` there."""
        callback = {"url": f"{self._base}{execution_id}", "token": self._tokens.token(execution_id)}
        return orjson.dumps(callback).decode()
