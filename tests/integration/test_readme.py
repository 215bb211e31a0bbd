"""What the README says is true: its curl calls are run as they stand, its tables compared with the code."""

import asyncio
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.embedded.ports import free_port
from app.settings import Settings
from tests.processes import Script

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
CURLS = re.findall(r"```sh\n(curl .*?)```", README, re.DOTALL)
SHOWN = re.findall(r"```text\n(\{.*?)```", README, re.DOTALL)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for the run's data; not below pytest's own, which servers of another user cannot search."""
    with tempfile.TemporaryDirectory(prefix="schedule-service-test-", ignore_cleanup_errors=True) as made:
        yield Path(made)


async def test_its_curl_calls_do_what_it_shows(folder: Path) -> None:
    port = free_port()
    script = await Script.start(
        "-m", "app.cli", "dev", "--data-dir", str(folder / "data"), "--port", str(port), errors=folder / "errors"
    )
    try:
        assert [await script.line() for _ in range(3)][2] == "Ready"
        one_time, cron = [await _curl(call, port) for call in CURLS[:2]]
        assert (one_time["status"], cron["timezone"]) == ("active", "America/New_York")
        async with asyncio.timeout(30):
            while (executions := await _curl(CURLS[2], port))["items"][:1] == [] or not executions["items"][0][
                "finished_at"
            ]:
                await asyncio.sleep(0.05)
        (execution,) = executions["items"]
        assert execution["schedule_id"] == one_time["schedule_id"]
        assert execution["status"] == "succeeded"
        assert execution["lateness_ms"] >= 0
        explained = await _curl(CURLS[3], port)
        assert (explained["schedule_id"], explained["at"]) == (cron["schedule_id"], "2027-12-25T17:00:00Z")
        calendar = await _curl(CURLS[4], port)
        assert ("2026-12-24", "Christmas Eve") in [(each["from"], each["label"]) for each in calendar["days_off"]]
        own = await _curl(CURLS[5], port)
        assert own["target"]["headers"] == {"Authorization": "********"}
    finally:
        await script.end()
    for shown, answer in zip(SHOWN, (one_time, cron, executions, explained, calendar, own), strict=True):
        # Every field that the README shows is in the answer, in that order.
        fields = re.findall(r'"(\w+)":', shown)
        assert [field for field in fields if f'"{field}":' in json.dumps(answer, separators=(",", ":"))] == fields


def test_its_configuration_table_is_that_of_the_settings() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| .*? \| (.*) \|$", README, re.MULTILINE))
    assert rows == {name.upper(): field.description for name, field in Settings.model_fields.items()}


async def _curl(call: str, port: int) -> dict[str, Any]:
    process = await asyncio.create_subprocess_shell(
        call.replace("127.0.0.1:8000", f"127.0.0.1:{port}"), stdout=asyncio.subprocess.PIPE, executable="/bin/bash"
    )
    out, _ = await process.communicate()
    answer: dict[str, Any] = json.loads(out)
    return answer
