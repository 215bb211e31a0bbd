"""Which addresses a target may have: properties of every address in every disguise, and an operator's exceptions.

Single addresses and their verdicts are in `known_hosts.txt`.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from app.core.addresses import read_networks, why_forbidden

FORBIDDEN = list(
    map(
        IPv4Network,
        [
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
            *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            "168.63.129.16/32",  # no registry's, but Azure's
        ],
    )
)
TRANSLATED: dict[str, Callable[[int, int], int]] = {
    "mapped": lambda inner, _: 0xFFFF << 32 | inner,
    "NAT64": lambda inner, _: 0x64FF9B << 96 | inner,
    "6to4": lambda inner, rest: 0x2002 << 112 | inner << 80 | rest & (1 << 80) - 1,
}
OTHERS: dict[str, Callable[[int, int], int]] = {
    "compatible": lambda inner, _: inner,
    "SIIT": lambda inner, _: 0xFFFF << 48 | inner,
    "ISATAP": lambda inner, rest: 0x2606 << 112 | (rest >> 64 & (1 << 48) - 1) << 64 | 0x5EFE << 32 | inner,
    "global ISATAP": lambda inner, rest: 0x2A00 << 112 | rest >> 80 << 64 | 0x0200_5EFE << 32 | inner,
    "Teredo": lambda inner, rest: 0x2001_0000 << 96 | rest & ((1 << 64) - 1) << 32 | inner ^ 0xFFFF_FFFF,
}

forbidden = st.one_of([st.integers(int(network[0]), int(network[-1])).map(IPv4Address) for network in FORBIDDEN])
public = st.one_of(
    [
        st.integers(int(before[-1]) + 1, int(after[0]) - 1).map(IPv4Address)
        for before, after in pairwise(sorted(FORBIDDEN))
        if int(before[-1]) + 1 < int(after[0])
    ]
)
anywhere = st.integers(0, 2**32 - 1).map(IPv4Address)
rests = st.integers(0, 2**128 - 1)


def disguised(form: Callable[[int, int], int], inner: IPv4Address, rest: int) -> IPv6Address:
    return IPv6Address(form(int(inner), rest) & (1 << 128) - 1)


@given(anywhere)
@example(IPv4Address("168.63.129.15"))
@example(IPv4Address("168.63.129.16"))
@example(IPv4Address("168.63.129.17"))
def test_an_address_is_public_unless_a_registry_says_otherwise(address: IPv4Address) -> None:
    listed = any(address in network for network in FORBIDDEN)
    assert (why_forbidden(address) is not None) == listed
    # Python's own table knows a part of it, and calls nothing private that is public, but two addresses of a /24.
    assert address.is_global or listed


@pytest.mark.parametrize("form", [*TRANSLATED, *OTHERS])
@given(inner=forbidden, rest=rests)
@example(inner=IPv4Address("169.254.169.254"), rest=0)
@example(inner=IPv4Address("127.0.0.1"), rest=2**128 - 1)
def test_a_forbidden_address_is_forbidden_in_every_disguise(form: str, inner: IPv4Address, rest: int) -> None:
    assert why_forbidden(disguised((TRANSLATED | OTHERS)[form], inner, rest)) is not None


@pytest.mark.parametrize("form", list(TRANSLATED))
@given(inner=public, rest=rests)
@example(inner=IPv4Address("8.8.8.8"), rest=0)
def test_a_public_address_behind_a_translation_is_public(form: str, inner: IPv4Address, rest: int) -> None:
    assume(rest >> 32 & 0xFCFF_FFFF != 0x5EFE)
    assert why_forbidden(disguised(TRANSLATED[form], inner, rest)) is None


@given(st.integers(0, 2**128 - 1).map(IPv6Address))
@example(IPv6Address("fec0::1"))
@example(IPv6Address("3fff::1"))
@example(IPv6Address("ff0e::1"))
def test_no_address_is_public_that_python_knows_to_be_none(address: IPv6Address) -> None:
    if why_forbidden(address) is None and address.ipv4_mapped is None:
        assert address.is_global
        flags = (address.is_multicast, address.is_site_local, address.is_link_local, address.is_private)
        assert not any(flags)


@given(st.integers(0, 2**125 - 1).map(lambda number: IPv6Address(1 << 125 | number)))
def test_global_unicast_is_public_but_for_what_is_listed(address: IPv6Address) -> None:
    special = [IPv6Network(each) for each in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
    assume(not any(address in network for network in special))
    assume(int(address) >> 32 & 0xFCFF_FFFF != 0x5EFE)
    assert why_forbidden(address) is None


@pytest.mark.parametrize("address", ["fe80::1%eth0", "2606:4700::1%1", "::1%lo"])
def test_a_zone_is_forbidden_whatever_is_allowed(address: str) -> None:
    assert why_forbidden(ip_address(address), read_networks("::/0")) is not None


@pytest.mark.parametrize(
    ("setting", "allowed", "still_forbidden"),
    [
        (
            "127.0.0.0/8",
            ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1", "2606::5efe:7f00:1"],
            ["10.0.0.1", "::1", "fe80::5efe:7f00:1", "2002:7f00:1::5efe:10.0.0.1", "2002:a00:1::5efe:127.0.0.1"],
        ),
        ("10.1.0.0/16, fd00:1::/32", ["10.1.2.3", "fd00:1::1", "fd00:1::5efe:a9fe:a9fe"], ["10.2.0.1", "fd00:2::1"]),
        ("::ffff:0:0/96", ["::ffff:10.0.0.1"], ["10.0.0.1", "64:ff9b::10.0.0.1"]),
        ("::1", ["::1"], ["::2", "127.0.0.1", "::ffff:127.0.0.1"]),
        ("192.168.7.9", ["192.168.7.9"], ["192.168.7.8"]),
        ("0.0.0.0/0,::/0", ["127.0.0.1", "::1", "ff02::1", "2001::1", "255.255.255.255"], []),
        ("8.8.8.8", ["1.1.1.1"], ["10.0.0.1"]),
    ],
)
def test_an_operators_networks_are_allowed_and_nothing_else(
    setting: str, allowed: list[str], still_forbidden: list[str]
) -> None:
    networks = read_networks(setting)
    judged = allowed + still_forbidden
    assert [each for each in judged if why_forbidden(ip_address(each), networks) is None] == allowed


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("10.0.0.1", "private (RFC 1918)"),
        ("64:ff9b::a9fe:a9fe", "169.254.169.254 behind NAT64 (RFC 6052), and that is link-local (RFC 3927)"),
        ("::ffff:127.0.0.1", "127.0.0.1 mapped (RFC 4291), and that is loopback (RFC 1122)"),
        ("2606::5efe:10.0.0.1", "10.0.0.1 behind ISATAP (RFC 5214), and that is private (RFC 1918)"),
        ("4000::1", "reserved (RFC 4291)"),
    ],
)
def test_a_refusal_says_why(address: str, why: str) -> None:
    assert why_forbidden(ip_address(address)) == why


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("10.0.0.1/8", "'10.0.0.1/8' is an address within a network: write 10.0.0.0/8"),
        ("10.0.0.0/8, corp", "'corp' is not a network"),
        ("10.0.0.0/33", "is not a network"),
        ("10.0.0.0-10.0.0.9", "is not a network"),
        ("localhost", "is not a network"),
        ("127.1", "is not a network"),
        ("fe80::1%eth0", "is not a network"),
        ("10.0.0.0/8 192.168.0.0/16", "is not a network"),
    ],
)
def test_what_is_no_network_is_named(setting: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        read_networks(setting)
    assert len(str(refused.value).splitlines()) == 1


def test_no_network_is_no_exception() -> None:
    assert read_networks(" , ,") == ()
