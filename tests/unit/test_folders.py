"""The folder of a test run's servers."""

import shutil
from pathlib import Path

import pytest

from tests import folders
from tests.folders import server_folder


@pytest.fixture(autouse=True)
def plenty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_MEMORY_BYTES", 0)


def test_it_is_in_memory_and_gone_in_the_end(tmp_path: Path) -> None:
    with server_folder(tmp_path) as folder:
        assert folder.parent == tmp_path
    assert not list(tmp_path.iterdir())


def test_where_there_is_little_memory_or_none_to_write_to_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server_folder(tmp_path / "none") as folder:
        assert folder.is_dir()
    # Root may write wherever modes forbid it, but not to what was mounted to be read.
    with server_folder(Path("/proc/self")) as folder:
        assert folder.is_dir()
    monkeypatch.setattr(folders, "_MEMORY_BYTES", shutil.disk_usage(tmp_path).total + 1)
    with server_folder(tmp_path):
        assert not list(tmp_path.iterdir())


def test_what_a_run_left_that_was_killed_is_removed_and_what_one_has_is_not(tmp_path: Path) -> None:
    left = tmp_path / "schedule-service-test-left"
    (left / "postgres").mkdir(parents=True)
    (left / "lock").touch()
    unknown = tmp_path / "schedule-service-test-unknown"
    unknown.mkdir()
    with server_folder(tmp_path) as first, server_folder(tmp_path) as second:
        assert not left.exists()
        assert {first, second, unknown} == set(tmp_path.iterdir())
