"""What docs/files.md says is true: its commands are run as they stand."""

import asyncio
import json
import os
import re
from pathlib import Path

import httpx

from app.core.sealing import MASK
from tests.contract.calls import SCHEDULES

PAGE = (Path(__file__).parents[2] / "docs" / "files.md").read_text(encoding="utf-8")
COMMANDS, PLANNING = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
SHOWN, PLANNED = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)


async def run(commands: str, client: httpx.AsyncClient, folder: Path) -> tuple[int, str]:
    """The exit status of commands, and what they print; with the key of a client."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-ec", commands),
        cwd=folder,
        env=os.environ | {"KEY": client.headers["authorization"].removeprefix("Bearer "), "no_proxy": "127.0.0.1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, printed.decode()


async def test_its_commands_do_what_it_shows(served: str, client: httpx.AsyncClient, tmp_path: Path) -> None:
    commands = COMMANDS.replace("http://127.0.0.1:8000", served)
    assert await run(commands, client, tmp_path) == (0, SHOWN)
    (stored,) = (await client.get(SCHEDULES, params={"tag": "from-files"})).json()["items"]
    assert (stored["name"], stored["revision"]) == ("nightly-report", 1)
    assert stored["target"]["headers"] == {"Authorization": MASK}
    assert await run(PLANNING.replace("http://127.0.0.1:8000", served), client, tmp_path) == (0, PLANNED)
    assert (await client.get(SCHEDULES)).json()["items"] == [stored]
    (tmp_path / "schedules" / "later-report.json").unlink()
    # What was read can be kept as a file, and a file that is refused says why.
    file = tmp_path / "schedules" / "nightly-report.json"
    file.write_text(json.dumps(stored))
    assert await run("bash apply.sh", client, tmp_path) == (0, "nightly-report 200\n")
    assert (await client.get(f"{SCHEDULES}/{stored['schedule_id']}")).json() == stored
    file.write_text(json.dumps(stored | {"cron_expression": "61 * * * *"}))
    status, printed = await run("bash apply.sh", client, tmp_path)
    assert (status, printed.splitlines()[0]) == (1, "nightly-report 400")
    assert "minute 61 is out of range" in printed
