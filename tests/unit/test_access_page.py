"""The examples of docs/access.md: with those settings, those claims are the caller that the page names."""

import json
import re
from pathlib import Path

import pytest

from app.core.jwt.compact import read_token
from app.core.principal import Principal, Role
from app.settings import AuthMode, Settings, read_settings
from tests.issuers import Signing

PAGE = (Path(__file__).parents[2] / "docs" / "access.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(
    r"^### (\w[\w ]*)\n\n```sh\n(AUTH_MODE=jwt\n.*?)```\n\n```json\n(.*?)```\n\n"
    r"That is `(\w+)` of community (\d+), called `(.+?)`\.$",
    PAGE,
    re.MULTILINE | re.DOTALL,
)
KEY = Signing.known("RS256", "k")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example[0])
def test_an_issuers_token_is_the_caller_that_the_page_says(
    example: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, lines, shown, role, community, user = example
    for line in lines.splitlines():
        monkeypatch.setenv(*line.split("=", 1))
    settings = read_settings()
    claims = json.loads(shown)
    token = read_token(KEY.token(claims))
    assert settings.auth_mode is AuthMode.JWT
    settings.jwt_rules.check(token, now_ms=claims["iat"] * 1000)
    assert settings.jwt_naming.principal(token.claims, None) == Principal(int(community), user, Role(role))


def test_each_issuer_that_the_page_names_has_an_example() -> None:
    section = PAGE.partition("\n## Examples\n")[2]
    assert [name for name, *_ in EXAMPLES] == re.findall(r"^### (.+)$", section, re.MULTILINE)
    assert len(EXAMPLES) == 4


def test_every_setting_of_tokens_is_on_the_page() -> None:
    named = re.findall(r"`(\w+)`", PAGE)
    assert {name.upper() for name in Settings.model_fields if name.startswith("jwt_")} <= set(named)
