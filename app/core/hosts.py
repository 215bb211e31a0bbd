"""What the host of a URL means: an address, in whatever notation, or a name.

Read as browsers read it (the host parser of WHATWG's URL standard): whoever writes `http://0x7f.1/` means what a
browser, or the C library, makes of it. What is dialled never depends on this: the guard looks at addresses alone.
"""

import re
import unicodedata
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import unquote

from app.core.addresses import Address

_LONGEST_CHARACTERS = 1024
# What NFKC leaves to be changed (UTS 46, 4): hidden characters, which are no part of a name, and a full stop.
_HIDDEN = (0xAD, 0x34F, 0x200B, 0x2060, 0x2064, 0xFEFF, *range(0xFE00, 0xFE10))
_CHANGED = dict.fromkeys(_HIDDEN, "") | {0x3002: "."}
# Joiners; and letters that the older IDNA, Python's, writes as others (UTS 46, 6.2): a name with them is another's.
_JOINERS = re.compile("[\u200c\u200d]")
_DEVIATING = re.compile("[\u00df\u03c2\u200c\u200d]")
_FORBIDDEN = re.compile(r"[\x00-\x20\"#%/:<>?@\[\\\]^`{|}\x7f]")
_LOOPBACK, _METADATA = IPv4Address("127.0.0.1"), IPv4Address("169.254.169.254")
_BRACKETED = re.compile(r"\[[^\[\]vV][^\[\]]*\](:[0-9]*)?")
_STANDS_FOR = {
    **dict.fromkeys(("localhost", "localhost.localdomain", "localhost4", "localhost4.localdomain4"), _LOOPBACK),
    **dict.fromkeys(("localhost6", "localhost6.localdomain6", "ip6-localhost", "ip6-loopback"), _LOOPBACK),
    **dict.fromkeys(("metadata", "metadata.google.internal", "metadata.goog"), _METADATA),
    **dict.fromkeys(("instance-data", "instance-data.ec2.internal"), _METADATA),
}


def read_host(host: str) -> Address | str:
    """The address that a host is, or its name, in ASCII and small letters and without a dot at its end.

    Raises ValueError for what is neither: a number that is no address, a zone, characters that no name has.
    """
    if len(host) > _LONGEST_CHARACTERS:
        raise ValueError("longer than a name may be")
    if ":" in host or host.startswith("["):
        return _ipv6(host)
    try:
        text = unicodedata.normalize("NFKC", unquote(host, errors="strict")).translate(_CHANGED)
        # Letter by letter, because the end of a word changes a sigma.
        text = "".join(map(str.lower, text))
        if not text.isascii():
            text = ".".join(map(_in_ascii, text.split(".")))
    except UnicodeError:
        raise ValueError("not the name of a host") from None
    labels = text.removesuffix(".").split(".")
    if _FORBIDDEN.search(text) or not all(0 < len(label) < 64 for label in labels) or len(text) > 254:
        raise ValueError("not the name of a host")
    if _is_number(labels[-1]):
        return _ipv4(labels)
    return ".".join(labels)


def has_stray_brackets(authority: str) -> bool:
    """Whether brackets stand in what a URL has before its path otherwise than around its whole host, an address.

    Python then takes what is within them for the host, and overlooks the rest; of `[v1.example]`, an address of a
    version to come (RFC 3986, 3.2.2), it makes the name `v1.example`.
    """
    return ("[" in authority or "]" in authority) and _BRACKETED.fullmatch(authority) is None


@lru_cache(maxsize=1024)
def in_one_spelling(host: str) -> str:
    """A host as it stands in a URL, the same for all its spellings; as it is where it is no host."""
    try:
        read = read_host(host)
    except ValueError:
        return host.lower()
    if isinstance(read, IPv6Address):
        # A mapped address is dialled as the IPv4 one.
        return f"[{read}]" if read.ipv4_mapped is None else str(read.ipv4_mapped)
    return str(read)


def stands_for(name: str) -> Address | None:
    """The address that a name means wherever it is asked for: this machine's (RFC 6761, 6.3), or a cloud's metadata.

    Null for other names, which mean what they resolve to.
    """
    return _LOOPBACK if name.endswith(".localhost") else _STANDS_FOR.get(name)


class HostPatterns:
    """Hosts that an operator allows: names, addresses, and `*.example.com`, which is every name below that."""

    def __init__(self, setting: str) -> None:
        """Comma-separated. Raises ValueError that names the first that is none."""
        exact: set[Address | str] = set()
        below = []
        for text in filter(None, map(str.strip, setting.split(","))):
            try:
                name = read_host(text.removeprefix("*."))
            except ValueError:
                name = ""
            if not name or "*" in str(name) or (text.startswith("*.") and not isinstance(name, str)):
                raise ValueError(f"{text!r} is not a host name, such as hooks.example.com or *.example.com")
            if text.startswith("*."):
                below.append(f".{name}")
            else:
                exact.add(name)
        self._exact, self._below = frozenset(exact), tuple(below)

    def match(self, host: Address | str) -> bool:
        """Whether a host, as `read_host` gives it, is one of them."""
        return host in self._exact or (isinstance(host, str) and host.endswith(self._below))


def _in_ascii(label: str) -> str:
    """A label as the domain name system has it. Raises UnicodeError for one that it cannot have."""
    encoded = label.encode("idna").decode()
    if not _DEVIATING.search(label):
        return encoded
    if _JOINERS.sub("", label).isascii():
        raise UnicodeError("nothing to join")
    return f"xn--{label.encode('punycode').decode()}"


def _ipv6(host: str) -> IPv6Address:
    bracketed = host.startswith("[")
    text = host[1:-1] if bracketed and host.endswith("]") else host
    try:
        address = IPv6Address(text)
    except ValueError:
        raise ValueError("not an IPv6 address") from None
    if address.scope_id is not None or "%" in text:
        raise ValueError("an IPv6 address with a zone, which names a link of this machine")
    return address


def _is_number(label: str) -> bool:
    return label.isdigit() or (label.startswith("0x") and _number(label) is not None)


def _ipv4(parts: list[str]) -> IPv4Address:
    """An IPv4 address of one to four parts, of which the last fills what the others leave, as `inet_aton` reads it."""
    numbers = [number for part in parts if (number := _number(part)) is not None]
    if len(numbers) < len(parts) or len(parts) > 4:
        raise ValueError("ends in a number, and is not an IPv4 address")
    *leading, last = numbers
    if any(number > 255 for number in leading) or last >= 256 ** (5 - len(parts)):
        raise ValueError("ends in a number, and is not an IPv4 address")
    return IPv4Address(last + sum(number << 8 * (3 - position) for position, number in enumerate(leading)))


def _number(part: str) -> int | None:
    """Decimal, octal after `0`, hexadecimal after `0x`, which alone is zero; null for anything else."""
    if part.startswith("0x"):
        part, digits, base = part[2:], "0123456789abcdef", 16
    elif part.startswith("0") and len(part) > 1:
        part, digits, base = part[1:], "01234567", 8
    else:
        digits, base = "0123456789", 10
    if not all(character in digits for character in part):
        return None
    return int(part, base) if part else 0
