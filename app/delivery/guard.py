"""Where a target of a user may be: judged when it is stored, and again whenever it is dialled."""

import asyncio
from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import AF_INET, AF_INET6, AddressFamily

from app.core.addresses import Address, read_networks, why_forbidden
from app.core.hosts import HostPatterns, read_host, stands_for
from app.delivery.reply import TransportFailure
from app.delivery.resolver import Resolver, SystemResolver

STORING_SECONDS = 2.0
"""How long the addresses of a name are waited for where a target is stored."""
_ONLY_ALLOWED = "only TARGET_ALLOWED_HOSTS or TARGET_ALLOWED_NETWORKS would allow it"


class Forbidden(TransportFailure):
    """The target is where none may be; the message says which address forbids it, and why."""


class Guard:
    """Lets through what the whole Internet can reach, and what the operator named.

    A name is judged by every address that it has at the moment, and only these are dialled: one that has changed its
    mind since it was looked at (DNS rebinding) gains nothing by it.
    """

    def __init__(
        self, *, allowed_hosts: str = "", allowed_networks: str = "", resolver: Resolver | None = None
    ) -> None:
        """`TARGET_ALLOWED_HOSTS` and `TARGET_ALLOWED_NETWORKS`, and who is asked for the addresses of a name.

        Raises ValueError for settings that say something else.
        """
        self._hosts = HostPatterns(allowed_hosts)
        self._networks = read_networks(allowed_networks)
        self._resolver = resolver or SystemResolver()

    def refusal(self, host: str) -> str | None:
        """Why a host is refused, as far as that is known without asking for its addresses; null when nothing is."""
        try:
            read = read_host(host)
        except ValueError as refused:
            return f"{_shown(host)} is not a host: {refused}"
        if self._hosts.match(read):
            return None
        if isinstance(read, str):
            address = stands_for(read)
            return None if address is None else self._refusal(host, address)
        return self._refusal(host, read)

    async def resolve(self, host: str) -> list[tuple[AddressFamily, str]]:
        """The addresses at which a host may be dialled, in the order in which to try them; at least one.

        Raises Forbidden where any of its addresses is, and TransportFailure where it has none. It may take long: the
        caller says how long.
        """
        if (refused := self.refusal(host)) is not None:
            raise Forbidden(refused)
        read = read_host(host)
        if not isinstance(read, str):
            return [_dialled(read)]
        try:
            texts = await self._resolver(read)
            addresses = [ip_address(text) for text in texts]
        except (OSError, ValueError) as failed:
            raise TransportFailure(f"no address of {read}: {failed}") from failed
        if not addresses:
            raise TransportFailure(f"no address of {read}")
        if not self._hosts.match(read):
            for address in addresses:
                if (why := why_forbidden(address, self._networks)) is not None:
                    # Without the address: a caller is not told where an internal name leads.
                    raise Forbidden(f"{_shown(host)} has an address that is {why}: {_ONLY_ALLOWED}")
        return [_dialled(address) for address in addresses]

    async def check_storable(self, host: str) -> str | None:
        """Why a target with this host is not to be stored; null when it may be.

        One whose addresses cannot be had, or not soon, may be: it is judged when it is dialled.
        """
        try:
            async with asyncio.timeout(STORING_SECONDS):
                await self.resolve(host)
        except Forbidden as refused:
            return str(refused)
        except (TransportFailure, TimeoutError):
            return None
        return None

    def _refusal(self, host: str, address: Address) -> str | None:
        why = why_forbidden(address, self._networks)
        if why is None:
            return None
        found = str(address) if _shown(host).strip("[]") == str(address) else f"{_shown(host)} is at {address}, which"
        return f"{found} is {why}: {_ONLY_ALLOWED}"


def _dialled(address: Address) -> tuple[AddressFamily, str]:
    # A mapped address is the IPv4 one to the machine, which may have no IPv6 to dial it with.
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return (AF_INET if isinstance(address, IPv4Address) else AF_INET6, str(address))


def _shown(host: str) -> str:
    """A host as a message can hold it: one line, and not a page."""
    return host if host.isprintable() and len(host) <= 255 else ascii(host[:255])
