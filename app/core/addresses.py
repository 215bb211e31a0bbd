"""Which IP addresses a user's target may have: those that the whole Internet can reach, and what an operator allows.

The tables are those of IANA's special-purpose address registries (RFC 6890) and of its IPv6 address space. Python's
`is_global` does not do: it is true for multicast, and for private addresses inside of an IPv6 one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_FORBIDDEN_4 = tuple(
    (IPv4Network(network), why)
    for network, why in (
        ("0.0.0.0/8", "this network (RFC 791)"),
        ("10.0.0.0/8", "private (RFC 1918)"),
        ("100.64.0.0/10", "shared behind a carrier's NAT (RFC 6598)"),
        ("127.0.0.0/8", "loopback (RFC 1122)"),
        # Public by the registry, and reachable from within Azure's machines alone: it hands out their identity.
        ("168.63.129.16/32", "Azure's metadata"),
        ("169.254.0.0/16", "link-local (RFC 3927)"),
        ("172.16.0.0/12", "private (RFC 1918)"),
        # With two addresses that the registry calls global: what is nearest there is the operator's own NAT.
        ("192.0.0.0/24", "for protocols (RFC 6890)"),
        ("192.0.2.0/24", "for documentation (RFC 5737)"),
        ("192.88.99.0/24", "a relay of 6to4 (RFC 7526)"),
        ("192.168.0.0/16", "private (RFC 1918)"),
        ("198.18.0.0/15", "for benchmarks (RFC 2544)"),
        ("198.51.100.0/24", "for documentation (RFC 5737)"),
        ("203.0.113.0/24", "for documentation (RFC 5737)"),
        ("224.0.0.0/4", "multicast (RFC 5771)"),
        ("255.255.255.255/32", "broadcast (RFC 919)"),
        ("240.0.0.0/4", "reserved (RFC 1112)"),
    )
)
_FORBIDDEN_6 = tuple(
    (IPv6Network(network), why)
    for network, why in (
        ("::/128", "unspecified (RFC 4291)"),
        ("::1/128", "loopback (RFC 4291)"),
        ("64:ff9b:1::/48", "behind a local NAT64 (RFC 8215)"),
        ("100::/64", "discarded (RFC 6666)"),
        ("100:0:0:1::/64", "a dummy (RFC 9780)"),
        ("2001::/32", "behind Teredo (RFC 4380)"),
        ("2001::/23", "for protocols (RFC 2928)"),
        ("2001:db8::/32", "for documentation (RFC 3849)"),
        ("3fff::/20", "for documentation (RFC 9637)"),
        ("5f00::/16", "for segment routing (RFC 9602)"),
        ("fc00::/7", "private (RFC 4193)"),
        ("fe80::/10", "link-local (RFC 4291)"),
        ("fec0::/10", "site-local (RFC 3879)"),
        ("ff00::/8", "multicast (RFC 4291)"),
    )
)
_GLOBAL_6 = tuple(
    map(
        IPv6Network,
        (
            "2001:3::/32",  # AMT (RFC 7450)
            "2001:4:112::/48",  # AS112 (RFC 7535)
            "2001:20::/28",  # ORCHIDv2 (RFC 7343)
            "2001:30::/28",  # drones' identifiers (RFC 9374)
        ),
    )
)
"""What the registry calls globally reachable inside of 2001::/23, where it names more than a single address."""
_UNICAST_6 = IPv6Network("2000::/3")
"""All that IANA has given out as global unicast. The rest is reserved by the IETF."""


@dataclass(frozen=True, slots=True)
class _Form:
    """A way to write an IPv4 address into an IPv6 one; `shift` is how far it stands from the right end.

    What is sent to one that is `translated` goes to the IPv4 address, so that it is as public as that.
    """

    network: IPv6Network
    name: str
    shift: int
    translated: bool


_FORMS = (
    _Form(IPv6Network("::ffff:0:0/96"), "mapped (RFC 4291)", 0, translated=True),
    _Form(IPv6Network("64:ff9b::/96"), "behind NAT64 (RFC 6052)", 0, translated=True),
    _Form(IPv6Network("2002::/16"), "behind 6to4 (RFC 3056)", 80, translated=True),
    _Form(IPv6Network("::/96"), "IPv4-compatible (RFC 4291)", 0, translated=False),
    _Form(IPv6Network("::ffff:0:0:0/96"), "IPv4-translated (RFC 2765)", 0, translated=False),
)
_MASK_32 = (1 << 32) - 1
# The bits for "universal" and "group" may be set or not (RFC 5214, 6.1).
_ISATAP_MASK, _ISATAP = 0xFCFF_FFFF, 0x0000_5EFE


def why_forbidden(address: Address, allowed_networks: Sequence[Network] = ()) -> str | None:
    """What forbids a target to have this address, to be read after "is"; null when it may have it.

    An IPv4 address inside of an IPv6 one counts as itself: where it is forbidden, so is the whole, and where it is
    allowed, so is a form of it. An address with a zone (`fe80::1%eth0`) is always forbidden: it names a link of this
    machine.
    """
    if isinstance(address, IPv4Address):
        return None if _within(address, allowed_networks) else _listed(address)
    if address.scope_id is not None:
        return "an address of one link of this machine (RFC 4007)"
    if _within(address, allowed_networks):
        return None
    if not _within(address, _GLOBAL_6) and (why := _listed(address)) is not None:
        return why
    reachable = address in _UNICAST_6
    for form in _FORMS:
        if address in form.network:
            inner = IPv4Address(int(address) >> form.shift & _MASK_32)
            if (why := why_forbidden(inner, allowed_networks)) is not None:
                return f"{inner} {form.name}, and that is {why}"
            reachable = form.translated or _within(inner, allowed_networks)
            break
    if (int(address) >> 32) & _ISATAP_MASK == _ISATAP:
        inner = IPv4Address(int(address) & _MASK_32)
        if (why := why_forbidden(inner, allowed_networks)) is not None:
            return f"{inner} behind ISATAP (RFC 5214), and that is {why}"
    return None if reachable else "reserved (RFC 4291)"


def read_networks(setting: str) -> tuple[Network, ...]:
    """Comma-separated networks: `10.1.0.0/16, fd00:1::/64`; an address alone is a network of one.

    Raises ValueError that names the first that is none.
    """
    networks = []
    for text in filter(None, map(str.strip, setting.split(","))):
        try:
            if "%" in text:
                raise ValueError("a zone is of this machine")
            networks.append(ip_network(text))
        except ValueError as refused:
            if "has host bits set" in str(refused):
                whole = ip_network(text, strict=False)
                raise ValueError(f"{text!r} is an address within a network: write {whole}") from None
            raise ValueError(f"{text!r} is not a network, such as 10.1.0.0/16") from None
    return tuple(networks)


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _listed(address: Address) -> str | None:
    table: Sequence[tuple[Network, str]] = _FORBIDDEN_4 if isinstance(address, IPv4Address) else _FORBIDDEN_6
    return next((why for network, why in table if address in network), None)
