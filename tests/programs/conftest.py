"""The service that calls programs, and the folder that these are installed into."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.programs.service import Service, serving


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[Service]:
    """One for all tests of a program; it ends with them, and costs the others nothing."""
    async with serving() as started:
        yield started


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where programs are installed: PROGRAMS_DIR, or a folder of this run."""
    given = os.environ.get("PROGRAMS_DIR")
    folder = Path(given) if given else tmp_path_factory.mktemp("programs")
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()
