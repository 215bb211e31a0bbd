"""Who calls, by a token's claims."""

from typing import Any

import pytest

from app.core.errors import PermissionDeniedException
from app.core.jwt.identity import Naming
from app.core.principal import Principal, Role
from tests.processes import CHECKOUT

NAMING = Naming(community="community_id", role="role", user="sub")
CLAIMS = {"community_id": 7, "role": "editor", "sub": "ada"}


def refused(**claims: Any) -> str:
    with pytest.raises(PermissionDeniedException) as error:
        NAMING.principal({**CLAIMS, **claims}, None)
    return error.value.detail


@pytest.mark.parametrize("community", [7, "7"])
def test_the_claims_are_a_principal(community: Any) -> None:
    principal = NAMING.principal({**CLAIMS, "community_id": community}, "r-1")
    assert principal == Principal(7, "ada", Role.EDITOR, "r-1")


@pytest.mark.parametrize("community", [2**63 - 1, str(2**63 - 1)])
def test_a_community_may_be_as_high_as_postgres_counts(community: Any) -> None:
    assert NAMING.principal({**CLAIMS, "community_id": community}, None).community_id == 2**63 - 1


@pytest.mark.parametrize(
    "community",
    [None, 0, -1, 2**63, 10**400, 1.0, 1e3, True, "", "0", "-1", "+1", "07", " 7", "7\n", "1e3", "0x7", "٧", "9" * 19,
     "9" * 500, [7], {"id": 7}],
)  # fmt: skip
def test_any_other_community_is_none(community: Any) -> None:
    assert "names no community: its claim 'community_id'" in refused(community_id=community)


def test_of_several_roles_the_highest_known_counts() -> None:
    for roles, counts in (
        (["viewer", "operator", "editor"], Role.OPERATOR),
        (["offline_access", "admin", "uma"], Role.ADMIN),
        ([None, 1, {}, ["admin"], "viewer"], Role.VIEWER),
        ("viewer", Role.VIEWER),
    ):
        assert NAMING.principal({**CLAIMS, "role": roles}, None).role is counts


@pytest.mark.parametrize("role", [None, "", "Admin", "viewer editor", "root", [], ["ADMIN"], {"admin": True}, 4, True])
def test_no_known_role_is_no_right(role: Any) -> None:
    assert "names no role: its claim 'role'" in refused(role=role)


@pytest.mark.parametrize("user", ["a", "é" * 255, "\u0646\u0645\u06cc\u200c\u062e", "ada lovelace", "auth0|42", 42])
def test_a_user_is_a_line_of_text(user: Any) -> None:
    assert NAMING.principal({**CLAIMS, "sub": user}, None).user == str(user)


@pytest.mark.parametrize(
    "user",
    [
        None,
        "",
        "a" * 256,
        "a\x00b",
        "a\nb",
        "\ud800",
        "a\u2028b",
        "a\u200bb",
        "\u202eda",
        "a\ufeff",
        "\x85",
        0,
        -1,
        1.5,
        10**400,
        True,
        ["a"],
        {},
    ],
)
def test_any_other_user_is_none(user: Any) -> None:
    assert "names no user: its claim 'sub'" in refused(sub=user)


@pytest.mark.parametrize("user", ["target", "command line", "schedule-service"])
def test_nobody_is_called_as_the_audit_trail_calls_others_than_callers(user: str) -> None:
    assert f"its claim 'sub' is '{user}', by which the audit trail has others" in refused(sub=user)
    trail = (CHECKOUT / "docs" / "audit.md").read_text(encoding="utf-8")
    assert f"`{user}`" in " ".join(trail.split("## What an entry holds")[1].split("|")[0].split())


def test_a_dot_reaches_into_an_object_unless_a_claim_is_called_so() -> None:
    naming = Naming(community="org.id", role="realm_access.roles", user="https://id.example/user")
    claims = {
        "org": {"id": 3},
        "realm_access": {"roles": ["editor"]},
        "https://id.example/user": "ada",
        "https://id": {"example/user": "eve"},
    }
    assert naming.principal(claims, None) == Principal(3, "ada", Role.EDITOR)
    assert naming.principal({**claims, "org.id": 4}, None).community_id == 4


@pytest.mark.parametrize(
    "found", [{}, {"org": None}, {"org": [3]}, {"org": "id"}, {"org": {"id": {}}}, {"org": {"": 3}}]
)
def test_where_a_path_leads_nowhere_nothing_is_said(found: dict[str, Any]) -> None:
    with pytest.raises(PermissionDeniedException, match=r"'org\.id'"):
        Naming(community="org.id", role="role", user="sub").principal({**CLAIMS, **found}, None)
