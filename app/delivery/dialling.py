"""Making connections: to which addresses, in which order, and for how long each is tried."""

import asyncio
import errno
import random
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, AI_NUMERICHOST, AddressFamily
from time import monotonic

from app.delivery.connection import Connection
from app.delivery.guard import Forbidden, Guard
from app.delivery.origin import Origin
from app.delivery.reply import TransportFailure, Unsendable
from app.delivery.resolver import NoRoom, Resolver

_AGE_SECONDS = 300.0
"""So long a connection is used, or a little less by chance: a target that is sent something all the time would never be
looked for where its name has moved to.
"""
_CONNECT_SECONDS = 10.0
_ADDRESSES = 8
"""Of the addresses of a name so many are tried: more would each have too little time."""
_NONE_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)
"""What this machine has no more of: it says nothing of the host that was to be asked."""
_CLOSED_AT_ONCE = "the target closed the connection at once"


class Dialler:
    """Connects to targets where the guard lets it, and to what is trusted where the machine finds it.

    The resolver is asked for the addresses of what is trusted. It is another than the guard's: names of users that hang
    do not hold up the workflow engine. To be made within the loop that it is used in.
    """

    def __init__(self, guard: Guard, resolver: Resolver) -> None:
        # Kept: to ask for the running loop is a call of the system in Python 3.11.
        self._loop = asyncio.get_running_loop()
        self._guard = guard
        self._resolver = resolver
        self._tls: ssl.SSLContext | None = None

    async def connect(self, origin: Origin, deadline: float) -> Connection:
        """A new connection, by a deadline of the loop's time and within ten seconds.

        Raises TransportFailure, and Unsendable where it says nothing of who was to be reached.
        """
        patience_seconds = min(deadline - self._loop.time(), _CONNECT_SECONDS)
        try:
            async with asyncio.timeout(patience_seconds) as patience:
                return await self._dial_each(origin, await self._addresses(origin), patience)
        except TimeoutError as late:
            if NoRoom.caused(late):
                raise Unsendable(f"no room within {patience_seconds:.3g} s to look up a name: too many hang") from None
            raise TransportFailure(f"no connection within {patience_seconds:.3g} s") from None
        except (OSError, ssl.SSLError, UnicodeError) as refused:
            if isinstance(refused, OSError) and refused.errno in _NONE_LEFT:
                raise Unsendable(f"no connection from here: {_one_line(refused)}") from refused
            raise TransportFailure(f"no connection: {_one_line(refused)}") from refused

    async def _addresses(self, origin: Origin) -> Sequence[tuple[AddressFamily, str]]:
        """Where to dial: what the guard has judged, and nothing else; what is trusted is where the machine finds it."""
        if not origin.trusted:
            return await self._guard.resolve(origin.host)
        addresses = [origin.host] if _is_address(origin.host) else await self._resolver(origin.host)
        return [(AF_INET6 if ":" in address else AF_INET, address) for address in addresses]

    async def _dial_each(
        self, origin: Origin, addresses: Sequence[tuple[AddressFamily, str]], patience: asyncio.Timeout
    ) -> Connection:
        """The connection to the first address that has one; each has its share of the time that is left."""
        until = patience.when()
        assert until is not None
        failed: OSError | None = None
        addresses = addresses[:_ADDRESSES]
        for position, (family, address) in enumerate(addresses):
            share_seconds = (until - self._loop.time()) / (len(addresses) - position)
            try:
                async with asyncio.timeout(share_seconds):
                    transport, connection = await self._dial(origin, address, family)
            except OSError as refused:
                if family is AF_INET6 and refused.errno == errno.EADDRNOTAVAIL:
                    # No port that is lacking, as for IPv4: to this machine the host is nowhere.
                    refused = OSError(errno.ENETUNREACH, f"no IPv6 from here to {address}")
                if failed is None or refused.errno in _NONE_LEFT:
                    failed = refused
                continue
            peer = transport.get_extra_info("peername")
            if peer is None:
                # It was reset in the moment in which it was made: nobody is there, and nothing will be sent.
                connection.abort()
                failed = failed or ConnectionResetError(_CLOSED_AT_ONCE)
                continue
            if not origin.trusted and ip_address(peer[0]) != ip_address(address):
                connection.abort()
                raise Forbidden(f"{origin.host} was to be dialled at {address}, and {peer} answered")
            return connection
        raise failed or OSError("no address")

    async def _dial(
        self, origin: Origin, address: str, family: AddressFamily
    ) -> tuple[asyncio.BaseTransport, Connection]:
        """A connection to an address; no name is asked for."""
        transport, connection = await self._loop.create_connection(
            lambda: Connection(self._loop), address, origin.port, family=family, flags=AI_NUMERICHOST
        )
        if origin.scheme == "https":
            # As a second step, because only the transport below knows whether all that TLS wrote has left.
            # Certificates have no dot at the end of a name.
            name = origin.host.removesuffix(".")
            secured = await self._loop.start_tls(transport, connection, self._context(), server_hostname=name)
            if secured is None:
                raise ConnectionResetError(_CLOSED_AT_ONCE)
            connection.secure(secured)
        spread = random.uniform(0.8, 1)  # noqa: S311 - not all that were made at one instant end at one
        connection.use_until = monotonic() + _AGE_SECONDS * spread
        return transport, connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _one_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
