"""Folders that the embedded servers' users may reach."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder; not below pytest's own, which it closes to the users that the servers run as."""
    made = Path(tempfile.mkdtemp(prefix="schedule-service-test-")).resolve()
    yield made
    shutil.rmtree(made, ignore_errors=True)
