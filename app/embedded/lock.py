"""Whose folder it is: a lock that the kernel drops when its holder dies, however that happens."""

import fcntl
import os
from pathlib import Path

from app.embedded.errors import DataDirInUseException


class DirectoryLock:
    """An exclusive lock on a folder, by `flock` on a file in it.

    It stands for every process of this kernel, in other containers too. The file holds the holder's pid, for the
    message; it is never removed, since removing it would let two hold it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, or keep it.

        Raises DataDirInUseException, one line that names the folder and the holder.
        """
        if self._descriptor is not None:
            return
        # Not inherited by what is executed later, so a surviving child does not hold it.
        descriptor = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip()
            os.close(descriptor)
            raise DataDirInUseException(
                f"{self._directory} is in use by process {holder or '(unknown)'}: stop that one, or use another folder."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go; nothing happens when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
