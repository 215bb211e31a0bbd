"""Installs programs by name from PyPI and npm, into a folder that lasts where PROGRAMS_DIR names one.

Each version is pinned, and with it everything below it: nothing newer than `AS_OF` is taken.
"""

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

AS_OF = "2026-11-28"
_UV = "uv==0.13.9"


async def install_python(folder: Path, *requirements: str) -> Path:
    """The `bin` of a virtual environment with these; skips the test where they cannot be had."""
    made = folder / _named("-".join(requirements))
    if not (made / "complete").exists():
        shutil.rmtree(made, ignore_errors=True)
        uv = await _uv(folder)
        await _run(uv, "venv", "--quiet", "--python", sys.executable, str(made))
        await _run(
            *(uv, "pip", "install", "--quiet", "--python", str(made / "bin" / "python")),
            *("--exclude-newer", AS_OF, *requirements),
        )
        (made / "complete").touch()
    return made / "bin"


async def install_npm(folder: Path, requirement: str, *, overrides: dict[str, str]) -> Path:
    """The `node_modules/.bin` of a prefix with this; skips the test where it cannot be had.

    `overrides` names other versions of what it needs. No package's own script runs: what it would compile is missing.
    """
    if shutil.which("npm") is None:
        pytest.skip("npm is not on this machine")
    made = folder / _named(requirement)
    if not (made / "complete").exists():
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        (made / "package.json").write_text(json.dumps({"private": True, "overrides": overrides}))
        npm = ("npm", "--prefix", str(made), "--no-audit", "--no-fund")
        await _run(*npm, "install", "--omit=dev", "--ignore-scripts", f"--before={AS_OF}", requirement)
        (made / "complete").touch()
    return made / "node_modules" / ".bin"


async def _uv(folder: Path) -> str:
    made = folder / _named(_UV)
    if not (made / "complete").exists():
        await _run(sys.executable, "-m", "venv", str(made))
        await _run(str(made / "bin" / "python"), "-m", "pip", "install", "--quiet", _UV)
        (made / "complete").touch()
    return str(made / "bin" / "uv")


def _named(requirement: str) -> str:
    return requirement.replace("==", "-").replace("@", "-").replace("/", "-")


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "UV_LINK_MODE": "copy"},
    )
    told, _ = await process.communicate()
    if process.returncode:
        pytest.skip(f"cannot be installed here: {' '.join(command[-3:])}: {told.decode(errors='replace')[-500:]}")
