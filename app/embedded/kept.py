"""Random values that a folder keeps: passwords, keys, and the marks by which processes are recognised."""

import os
import secrets
from pathlib import Path

_SECRET_BYTES = 48


def kept_secret(path: Path) -> str:
    """The value in a file, made at the first call; only the file's owner may read it."""
    if not path.exists():
        fresh = path.with_name(f"{path.name}.new")
        # Left by a process that was killed here.
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(_SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    return path.read_text()


def kept_mark(path: Path) -> str:
    """A short kept value for command lines; fits Postgres's `cluster_name`, which ends at 63 bytes."""
    return f"schedule-service-{kept_secret(path)[:32]}"
