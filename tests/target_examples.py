"""The worked examples of docs/targets.md, as they stand there."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "targets.md"


def examples() -> dict[str, list[Any]]:
    """The JSON blocks of the page's examples, under the headings that they follow."""
    (worked,) = re.findall(r"^## Examples$(.*?)^## ", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    sections = re.split(r"^### (.+)$", worked, flags=re.MULTILINE)
    found = {
        heading: [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
        for heading, text in zip(sections[1::2], sections[2::2], strict=True)
    }
    return {heading: blocks for heading, blocks in found.items() if blocks}


def example(heading: str, replacing: Mapping[str, str]) -> Any:
    """The one example under a heading, with what stands for a host, an id or a secret replaced."""
    (target,) = examples()[heading]
    text = json.dumps(target)
    for shown, real in replacing.items():
        assert shown in text, f"{shown} is not in the example"
        text = text.replace(shown, real)
    return json.loads(text)
