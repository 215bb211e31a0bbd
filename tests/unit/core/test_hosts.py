"""What a host means, and whether a target may be there: a table of known ones, and properties."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.core.addresses import Address, why_forbidden
from app.core.hosts import HostPatterns, read_host, stands_for

LINES = Path(__file__).with_name("known_hosts.txt").read_text(encoding="utf-8").splitlines()
KNOWN = [tuple(line.split(" ")) for line in LINES if line and not line.startswith("#")]
FULL_WIDTH = {ord(character): ord(character) + 0xFEE0 for character in "0123456789abcdefx."}

addresses = st.integers(0, 2**32 - 1).map(IPv4Address)
bases = st.sampled_from(["{:d}", "0{:o}", "0x{:x}", "0X{:X}", "000{:o}", "0x00{:x}"])


@st.composite
def notations(draw: st.DrawFn) -> tuple[IPv4Address, str]:
    """An IPv4 address, and one of the ways in which C libraries let it be written."""
    address = draw(addresses)
    parts = draw(st.integers(1, 4))
    number = int(address)
    numbers = [number >> 8 * (3 - position) & 0xFF for position in range(parts - 1)]
    numbers.append(number & (1 << 8 * (5 - parts)) - 1)
    return address, ".".join(draw(bases).format(part) for part in numbers)


def verdict(host: str) -> tuple[str, str]:
    try:
        read = read_host(host)
    except ValueError:
        return "refused", ""
    if isinstance(read, str):
        meant = stands_for(read)
        return ("name", read) if meant is None else ("means", str(meant))
    return "public" if why_forbidden(read) is None else "forbidden", str(read)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: ascii(known[1]))
def test_a_known_host_is_what_it_is(known: tuple[str, ...]) -> None:
    expected, host, *read = known
    text = "".join(read) if expected in ("name", "refused") else str(ip_address(read[0]))
    assert verdict(host) == (expected, text)


def test_the_table_is_one() -> None:
    assert len(KNOWN) >= 300
    assert len({host for _, host, *_ in KNOWN}) == len(KNOWN)


@given(notations())
@example((IPv4Address("0.0.0.0"), "0"))
def test_every_notation_of_an_address_reads_as_it(written: tuple[IPv4Address, str]) -> None:
    address, text = written
    assert socket.inet_aton(text) == address.packed
    assert read_host(text) == read_host(f"{text}.") == address
    assert read_host("".join(f"%{ord(character):02x}" for character in text)) == address
    assert read_host(text.lower().translate(FULL_WIDTH)) == address
    assert read_host(quote(text.lower().translate(FULL_WIDTH))) == address


@given(st.lists(st.sampled_from("0123456789abcdefxX.-"), max_size=20).map("".join))
@example("1.2.3.4.5")
def test_what_the_c_library_takes_for_an_address_is_never_taken_for_a_name(text: str) -> None:
    try:
        expected = IPv4Address(socket.inet_aton(text))
    except OSError:
        return
    assert read_host(text) == expected


@given(st.text(max_size=80))
def test_whatever_is_written_is_an_address_or_a_plain_name_or_refused(text: str) -> None:
    try:
        read = read_host(text)
    except ValueError:
        return
    if isinstance(read, str):
        assert read.isascii()
        assert read == read.lower() == read.strip(".")
        assert read_host(read) == read


def test_a_very_long_host_is_refused_at_once() -> None:
    for host in ("a." * 100_000, "ä" * 100_000, "1" * 63, "[" * 100_000, "0" * 100_000):
        with pytest.raises(ValueError, match=r"than a name|not the name|not an IPv6|is not an IPv4"):
            read_host(host)


@pytest.mark.parametrize(
    ("setting", "matching", "others"),
    [
        ("", [], ["a", "localhost"]),
        (" a.example , ,B.example.", ["a.example", "b.example"], ["x.a.example", "a.example.com", "example"]),
        ("*.corp.example", ["a.corp.example", "a.b.corp.example"], ["corp.example", "acorp.example", "corp.example.x"]),
        ("*.internal,localhost", ["a.internal", "localhost"], ["internal", "a.localhost"]),
        ("bücher.example", ["xn--bcher-kva.example"], ["bucher.example"]),
    ],
)
def test_an_operators_hosts_are_exact_or_below_a_name(setting: str, matching: list[str], others: list[str]) -> None:
    patterns = HostPatterns(setting)
    assert [name for name in matching + others if patterns.match(name)] == matching


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("*.10.0.0.1", "is not a host name"),
        ("*", "'\\*' is not a host name"),
        ("*.", "is not a host name"),
        ("*.*.example", "is not a host name"),
        ("a*.example", "is not a host name"),
        ("https://a.example", "is not a host name"),
        ("a.example:443", "is not a host name"),
        ("a.example b.example", "is not a host name"),
        ("10.0.0.0/8", "is not a host name"),
    ],
)
def test_what_is_no_host_of_an_operator_is_named(setting: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        HostPatterns(setting)
    assert len(str(refused.value).splitlines()) == 1


def test_an_operators_host_may_be_an_address_in_any_notation() -> None:
    patterns = HostPatterns("10.0.0.1, [::1], 0x7f.1")
    assert [patterns.match(read_host(host)) for host in ("10.0.0.1", "[::1]", "127.0.0.1", "167772161")] == [True] * 4
    assert not any(patterns.match(read_host(host)) for host in ("10.0.0.2", "127.0.0.2", "a.10.example"))


def test_what_is_read_is_an_address_of_python() -> None:
    read: list[Address | str] = [read_host("127.1"), read_host("[::1]")]
    assert read == [IPv4Address("127.0.0.1"), IPv6Address("::1")]
