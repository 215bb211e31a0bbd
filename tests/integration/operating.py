"""Someone at a shell who runs the commands of a deployment."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.processes import Script


@dataclass
class Operator:
    """Someone at a shell, with the environment of a deployment."""

    environment: dict[str, str]
    folder: Path

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """A command that ends: its status, stdout and stderr."""
        errors = self.folder / secrets.token_hex(4)
        script = await Script.start("-m", "app.cli", *arguments, errors=errors, **self.environment)
        assert script.process.stdout is not None
        out = (await script.process.stdout.read()).decode()
        return await script.process.wait(), out, errors.read_text()

    @asynccontextmanager
    async def running(self, *arguments: str, at: str) -> AsyncIterator[Script]:
        """A command that runs until it is stopped, once it is ready at that URL."""
        errors = self.folder / secrets.token_hex(4)
        script = await Script.start("-m", "app.cli", *arguments, errors=errors, **self.environment)
        try:
            await script.until_ready(at)
            yield script
        finally:
            await script.end()
