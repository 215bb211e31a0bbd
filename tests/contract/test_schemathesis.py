"""Schemathesis over the whole document: whatever it thinks of, no answer is a 500 or one that is not described."""

import asyncio
import sys
from pathlib import Path

from app.core.principal import Role
from tests.contract.calls import Stack

_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
)
"""All but `positive_data_acceptance`: whether an expression or a zone exists no schema can say."""
_CONFIG = "[phases.fuzzing.error-feedback]\nenabled = false\n"
"""It would learn from a refusal that "scheduled_time is required", which holds for one `schedule_type` alone, and then
report every body without it as one that should have been refused. The schema, and nothing else, is what counts."""
_SECONDS = 25
_SEED = 20261123


async def test_no_generated_request_is_answered_otherwise_than_described(
    served: str, stack: Stack, tmp_path: Path
) -> None:
    key = await stack.services.keys.create(556, Role.ADMIN, user=None, name=None, expires_at=None)
    config = tmp_path / "schemathesis.toml"
    config.write_text(_CONFIG)
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{served}/openapi.json"),
        *("--checks", ",".join(_CHECKS), "--max-time", str(_SECONDS), "--max-examples", "20", "--seed", str(_SEED)),
        *("--header", f"Authorization: Bearer {key}", "--suppress-health-check", "all", "--warnings", "off"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await run.communicate()
    assert run.returncode == 0, output.decode()
