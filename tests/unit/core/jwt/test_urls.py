"""Where an issuer and its keys may be, and by which algorithms it may sign."""

from typing import Any

import pytest

from app.core.jwt.algorithms import ALGORITHMS, read_algorithms
from app.core.jwt.urls import check_issuer_url, check_keys_url, discovery_url, keys_url_of

ISSUER = "https://id.example/realms/x"


@pytest.mark.parametrize(
    "url",
    [
        "https://id.example",
        "https://id.example/",
        "https://id.example:8443/realms/x",
        "http://localhost:8080/realms/x",
        "http://127.0.0.1:8080",
        "http://127.8.8.8",
        "http://[::1]:8080",
        "http://keycloak.localhost",
    ],
)
def test_an_issuer_is_behind_tls_or_on_this_machine(url: str) -> None:
    check_issuer_url(url)
    check_keys_url(f"{url}?p=policy")


@pytest.mark.parametrize(
    "url",
    [
        "id.example",
        "//id.example",
        "ftp://id.example",
        "https://",
        "https:///path",
        "https://id.example:0",
        "https://id.example:port",
        "https://id.example:99999",
        "https://id .example",
        "https://id.example/a\nb",
        "https://id.example\\@evil.example",
        "https://me:hush@id.example",
        "https://id.example/#part",
        "https://[::1",
        "https://x[::1]",
        "http://id.example",
        "http://10.0.0.1",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://0.0.0.0",
        "http://169.254.169.254",
        "http://metadata",
        "http://256.256.256.256",
    ],
)
def test_nothing_else_is(url: str) -> None:
    for check in (check_issuer_url, check_keys_url):
        with pytest.raises(ValueError, match=r"must|[Pp]ort|IPv|host|number") as refused:
            check(url)
        assert "hush" not in str(refused.value)


def test_an_issuer_has_no_query() -> None:
    with pytest.raises(ValueError, match="no query"):
        check_issuer_url("https://id.example/?p=policy")


def test_an_issuer_says_of_itself_below_its_own_path() -> None:
    for issuer in (ISSUER, f"{ISSUER}/"):
        assert discovery_url(issuer) == f"{ISSUER}/.well-known/openid-configuration"


def test_where_the_keys_are_is_what_the_issuer_says() -> None:
    keys = "https://keys.example/set?p=policy"
    assert keys_url_of({"issuer": ISSUER, "jwks_uri": keys, "more": 1}, ISSUER) == keys
    local = "http://127.0.0.1:8080"
    assert keys_url_of({"issuer": local, "jwks_uri": f"{local}/keys"}, local) == f"{local}/keys"


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (None, "no JSON object"),
        ([], "no JSON object"),
        ({}, "its issuer is None"),
        ({"issuer": f"{ISSUER}/", "jwks_uri": "https://x"}, "its issuer is"),
        ({"issuer": [ISSUER], "jwks_uri": "https://x"}, "its issuer is"),
        ({"issuer": "x" * 10_000, "jwks_uri": "https://x"}, "its issuer is"),
        ({"issuer": ISSUER}, "no jwks_uri"),
        ({"issuer": ISSUER, "jwks_uri": 1}, "no jwks_uri"),
        ({"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"}, r"must be https://host\[:port\]"),
        ({"issuer": ISSUER, "jwks_uri": "http://id.example/keys"}, "must begin with https://"),
        ({"issuer": ISSUER, "jwks_uri": "http://127.0.0.1/keys"}, "as the issuer does"),
        ({"issuer": ISSUER, "jwks_uri": "https://[::1"}, "its jwks_uri"),
    ],
)
def test_an_issuer_that_says_another_or_nothing_of_use_is_refused(document: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        keys_url_of(document, ISSUER)
    assert len(str(refused.value)) < 500


def test_algorithms_are_named_once_each() -> None:
    assert read_algorithms(" RS256, ES256,RS256,") == ("RS256", "ES256")
    assert read_algorithms(",".join(ALGORITHMS)) == tuple(ALGORITHMS)


@pytest.mark.parametrize(
    "setting", ["", " , ", "none", "RS256,none", "HS256", "HS512", "rs256", "ES256K", "RS256 ES256"]
)
def test_an_algorithm_without_a_public_key_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match=r"signature by a public key|at least one") as refused:
        read_algorithms(setting)
    assert "\n" not in str(refused.value)
