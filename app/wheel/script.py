"""Running the wheel's Lua scripts: each is atomic, and sent whole only when Redis does not have it."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

Call = tuple[Sequence[str], Sequence[str | int | bytes]]
"""The keys and the arguments of one call."""


def text_of(name: str) -> str:
    """One of the `.lua` files of this package."""
    return files("app.wheel").joinpath(f"{name}.lua").read_text()


class Script:
    """A script, by its name."""

    def __init__(self, client: Redis, name: str) -> None:
        self._client = client
        self._text = text_of(name)
        self._sha = ""

    async def run(self, calls: Sequence[Call]) -> list[Any]:
        """The answers of several calls, made in one round trip."""
        try:
            return await self._evaluate(calls)
        except NoScriptError:
            # Redis was restarted or its scripts were flushed. Every script is safe to repeat.
            self._sha = ""
            return await self._evaluate(calls)

    async def _evaluate(self, calls: Sequence[Call]) -> list[Any]:
        if not self._sha:
            self._sha = await self._client.script_load(self._text)
        if len(calls) == 1:
            keys, arguments = calls[0]
            return [await self._client.evalsha(self._sha, len(keys), *keys, *arguments)]
        async with self._client.pipeline(transaction=False) as pipeline:
            for keys, arguments in calls:
                pipeline.evalsha(self._sha, len(keys), *keys, *arguments)
            return await pipeline.execute()
