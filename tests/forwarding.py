"""What stands between a client and its server passes on what it does not look at."""

import asyncio
import contextlib


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one side closes: the other is closed then, too."""
    with contextlib.suppress(OSError):
        while some := await reader.read(65_536):
            writer.write(some)
    writer.close()
