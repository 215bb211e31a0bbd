"""Which tokens count: issuer, audience, times, algorithm, and what a header must not ask for."""

import json
from typing import Any

import pytest

from app.core.clock import to_ms
from app.core.errors import InvalidTokenException
from app.core.jwt.compact import Token, read_token
from app.core.jwt.rules import Rules
from tests.clocks import START
from tests.issuers import AUDIENCE, encoded

ISSUER = "https://id.example/"
RULES = Rules(ISSUER, AUDIENCE, ("RS256", "ES256"))
NOW = to_ms(START) // 1000


def token(header: dict[str, Any] | None = None, *without: str, **claims: Any) -> Token:
    all_claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 60, **claims}
    kept = {name: value for name, value in all_claims.items() if name not in without}
    # Through its text: so numbers are what JSON makes of them.
    return read_token(f"{encoded({'alg': 'ES256', **(header or {})})}.{encoded(kept)}.c2ln")


def refused(wrong: Token, *, now_ms: int = NOW * 1000) -> str:
    with pytest.raises(InvalidTokenException) as error:
        RULES.check(wrong, now_ms=now_ms)
    return error.value.detail


@pytest.mark.parametrize(
    "good",
    [
        token(),
        token({"typ": "JWT"}),
        token({"typ": "jwt"}),
        token({"typ": "at+jwt"}),
        token({"typ": "application/AT+JWT"}),
        token({"alg": "RS256", "kid": "k"}),
        token({"jku": "https://evil.example", "x5u": "x", "jwk": {}, "x5c": [], "cty": "JWT"}),
        token(aud=["other", AUDIENCE]),
        token(nbf=NOW + 30, iat=NOW + 30),
        token(nbf=0, iat=-5.5),
        token(exp=NOW + 0.001),
        token(exp=10**400),
        token(exp=1e300),
    ],
)
def test_a_token_for_here_of_this_issuer_counts_until_it_expires(good: Token) -> None:
    RULES.check(good, now_ms=NOW * 1000)


@pytest.mark.parametrize(
    "issuer", [None, "", "https://id.example", "https://ID.example/", "https://evil.example/", [ISSUER], {ISSUER: 1}]
)
def test_another_issuer_is_refused(issuer: Any) -> None:
    assert "another issuer (iss)" in refused(token(iss=issuer))
    assert "another issuer (iss)" in refused(token(None, "iss"))


@pytest.mark.parametrize(
    "audience",
    [None, "", [], AUDIENCE + "/", AUDIENCE.upper(), ["other"], [[AUDIENCE]], {AUDIENCE: True}, f"x {AUDIENCE}", 7],
)
def test_another_audience_is_refused(audience: Any) -> None:
    assert "another audience (aud)" in refused(token(aud=audience))
    assert "another audience (aud)" in refused(token(None, "aud"))


def test_it_has_to_say_when_it_expires() -> None:
    assert "must say when it expires (exp)" in refused(token(None, "exp"))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["1999999999", None, True, [], {}, "", "NaN"])
def test_an_instant_is_a_number(name: str, value: Any) -> None:
    assert f"{name} must be a number of seconds" in refused(token(**{name: value}))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_an_instant_has_an_end(name: str) -> None:
    said = json.dumps({"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 60, name: 7777}).replace("7777", "1e999")
    assert f"{name} must be a number" in refused(read_token(f"{encoded({'alg': 'ES256'})}.{encoded(said)}.c2ln"))


@pytest.mark.parametrize("expires", [NOW, NOW - 1, NOW - 0.5, 0, -1, -(10**400), -1e300])
def test_it_expires_at_its_instant_and_not_later(expires: float) -> None:
    assert "The token expired at" in refused(token(exp=expires))
    RULES.check(token(), now_ms=(NOW + 60) * 1000 - 1)
    assert "2026-11-23T12:01:00Z" in refused(token(), now_ms=(NOW + 60) * 1000)


@pytest.mark.parametrize("early", [NOW + 30.001, NOW + 31, 10**400, 1e300])
def test_who_is_early_by_more_than_clocks_differ_is_refused(early: float) -> None:
    assert "is not valid before" in refused(token(nbf=early))
    assert "which is to come" in refused(token(iat=early))


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "", "HS256", "ES384", "es256", "RS256 ", None, 1, ["ES256"], {}]
)
def test_only_what_is_allowed_signs(algorithm: Any) -> None:
    assert "(alg)" in refused(token({"alg": algorithm}))


def test_an_algorithm_of_a_thousand_letters_floods_no_answer() -> None:
    assert len(refused(token({"alg": "a" * 8000}))) < 200


@pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"crit": []}, {"crit": ["b64"], "b64": False}, {"b64": False}])
def test_what_must_be_understood_and_is_not_is_refused(header: dict[str, Any]) -> None:
    assert "(crit) that is not understood" in refused(token(header))


@pytest.mark.parametrize("kind", ["logout+jwt", "secevent+jwt", "dpop+jwt", "JOSE", "", None, 1, ["JWT"]])
def test_what_is_signed_for_another_purpose_is_refused(kind: Any) -> None:
    assert "(typ)" in refused(token({"typ": kind}))


@pytest.mark.parametrize("key_id", [None, 1, [], {}, True])
def test_a_key_id_is_text(key_id: Any) -> None:
    assert "(kid) must be a string" in refused(token({"kid": key_id}))
