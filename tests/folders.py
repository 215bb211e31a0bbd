"""A folder for the servers of a test run: in memory where there is plenty."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.embedded.errors import DataDirInUseException
from app.embedded.lock import DirectoryLock

MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 4 << 30
_PREFIX = "schedule-service-test-"


@contextmanager
def server_folder(memory: Path = MEMORY) -> Iterator[Path]:
    """A new folder, removed in the end.

    A database for each test is three hundred files, which a disk takes ten times as long to make.
    """
    made = Path(tempfile.mkdtemp(prefix=f"new-{_PREFIX}", dir=memory if _is_roomy(memory) else None))
    lock = DirectoryLock(made)
    lock.acquire()
    # Only by its last name it can be taken for what was left behind, and by then it is locked.
    folder = made.rename(made.with_name(made.name.removeprefix("new-")))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _is_roomy(memory: Path) -> bool:
    if not os.access(memory, os.W_OK | os.X_OK):
        return False
    _clear(memory)
    return shutil.disk_usage(memory).free >= _MEMORY_BYTES


def _clear(memory: Path) -> None:
    """Remove what test runs have left that were killed: two hundred megabytes each, until the machine starts anew."""
    for left in memory.glob(f"{_PREFIX}*/lock"):
        lock = DirectoryLock(left.parent)
        with suppress(OSError, DataDirInUseException):
            lock.acquire()
            shutil.rmtree(left.parent, ignore_errors=True)
            lock.release()
