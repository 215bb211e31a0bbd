"""Rates as the setting has them."""

import pytest

from app.core.limits import Limits, burst_of, parse_rates


def test_a_host_has_its_own_rate_or_that_of_every_other_and_the_engine_only_its_own() -> None:
    limits = Limits(20, parse_rates(" API.example.com=5 , 127.0.0.1:8080=0.5,[::1]:80=3, *=50, engine=200,"))
    assert limits.rate_of("api.example.com") == 5
    assert limits.rate_of("127.0.0.1:8080") == 0.5
    assert limits.rate_of("[::1]:80") == 3
    assert limits.rate_of("127.0.0.1:8081") == 50
    spelt = parse_rates("bücher.example.=5, 0x7f.1:80=3, [0:0::1]=1")
    assert spelt == {"xn--bcher-kva.example": 5, "127.0.0.1:80": 3, "[::1]": 1}
    assert limits.rate_of(None) == 200


def test_a_port_that_is_the_schemes_own_may_be_written_or_not() -> None:
    limits = Limits(20, parse_rates("api.example.com:443=5, plain.example.com:80=3, [::1]:443=2, *=50"))
    assert [limits.rate_of(host) for host in ("api.example.com", "plain.example.com", "[::1]")] == [5, 3, 2]
    assert limits.rate_of("api.example.com:8443") == 50


def test_who_is_not_named_has_no_rate() -> None:
    limits = Limits(20, parse_rates("engine=3"))
    assert limits.rate_of("api.example.com") is None
    # A host of that name is not the engine.
    assert limits.rate_of("engine") is None
    assert Limits(20, parse_rates("*=3")).rate_of(None) is None
    assert parse_rates("") == {}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("api.example.com", "'api.example.com' is not host=number-per-second"),
        ("=5", "'=5' is not host=number-per-second"),
        ("a=5,b=fast", "'b=fast': 'fast' is not a number"),
        ("a=", "'a=': '' is not a number"),
        ("a=0", "'a=0': a rate is 0.0001 to 1000000 a second"),
        ("a=-1", "'a=-1': a rate is 0.0001 to 1000000 a second"),
        ("a=nan", "'a=nan': a rate is 0.0001 to 1000000 a second"),
        ("a=inf", "'a=inf': a rate is 0.0001 to 1000000 a second"),
        ("https://a=5", "'https://a' is not a host, as in api.example.com or 127.0.0.1:8080"),
        ("a b=5", "'a b' is not a host, as in api.example.com or 127.0.0.1:8080"),
        ("a=1=2", "'a=1' is not a host, as in api.example.com or 127.0.0.1:8080"),
        ("a=5,A=6", "'a' is named twice"),
    ],
)
def test_what_is_malformed_is_named(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parse_rates(text)
    assert str(refused.value) == wrong


def test_the_burst_is_a_seconds_worth_and_one_at_least() -> None:
    assert (burst_of(0.5), burst_of(1), burst_of(12.5)) == (1, 1, 12.5)
