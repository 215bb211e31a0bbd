"""Making connections: to which addresses, in which order, and when the next is tried beside one that is silent."""

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
"""Of the addresses of a name so many are tried."""
_APART_SECONDS = 0.25
"""How long an address has to itself, before the next is tried beside it (RFC 8305, 5)."""
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
        # Beside the loop: to read all the certificates that a machine trusts takes tens of milliseconds. And at the
        # start: OpenSSL passes over a file that it cannot open, and later this process may be short of files.
        self._tls = self._loop.run_in_executor(None, _make_context)

    async def connect(self, origin: Origin, deadline: float) -> Connection:
        """A new connection, by a deadline of the loop's time and within ten seconds.

        Raises TransportFailure, and Unsendable where it says nothing of who was to be reached.
        """
        patience_seconds = min(deadline - self._loop.time(), _CONNECT_SECONDS)
        try:
            async with asyncio.timeout(patience_seconds) as patience:
                return await self._connect_to_one(origin, await self._addresses(origin), patience)
        except TimeoutError as late:
            if NoRoom.caused(late):
                raise Unsendable(f"no room within {patience_seconds:.3g} s to look up a name: too many hang") from None
            if (lacking := _lacked(late)) is not None:
                raise Unsendable(f"no connection from here: {_one_line(lacking)}") from None
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

    async def _connect_to_one(
        self, origin: Origin, addresses: Sequence[tuple[AddressFamily, str]], patience: asyncio.Timeout
    ) -> Connection:
        """A connection to one of the addresses, over which TLS is spoken where it is to be.

        TLS has its share of the time that is left: where it fails or hangs, the others have theirs.
        """
        until = patience.when()
        assert until is not None
        failed: OSError | None = None
        # Before anything is dialled: what is lost between that and the first word of TLS is found out late.
        tls = await asyncio.shield(self._tls) if origin.scheme == "https" else None
        left = list(addresses[:_ADDRESSES])
        while left:
            try:
                reached, transport, connection = await self._reach_one(origin, left)
            except OSError as refused:
                raise _more_telling(failed, refused) from None
            left.remove(reached)
            try:
                if not connection.reusable:
                    # Lost since it was made: its other end cannot be asked for, and TLS over it would never begin.
                    raise ConnectionResetError(_CLOSED_AT_ONCE)
                self._check_peer(origin, reached[1], transport)
                if tls is not None:
                    if connection.early:
                        raise ConnectionError("the target spoke first, and that is no TLS")
                    # The last one has all that is left, of which `connect` tells.
                    share_seconds = (until - self._loop.time()) / (len(left) + 1) if left else None
                    try:
                        async with asyncio.timeout(share_seconds):
                            await self._secure(origin, transport, connection, tls)
                    except TimeoutError:
                        if share_seconds is None:
                            raise
                        raise ConnectionError(f"no TLS within {share_seconds:.3g} s") from None
            except OSError as refused:
                connection.abort()
                failed = failed or refused
                continue
            except BaseException:
                connection.abort()
                raise
            spread = random.uniform(0.8, 1)  # noqa: S311 - not all that were made at one instant end at one
            connection.use_until = monotonic() + _AGE_SECONDS * spread
            return connection
        raise failed or OSError("no address")

    async def _reach_one(
        self, origin: Origin, addresses: Sequence[tuple[AddressFamily, str]]
    ) -> tuple[tuple[AddressFamily, str], asyncio.Transport, Connection]:
        """A connection to the first address that has one, and which that is.

        An address that does not answer for a quarter of a second goes on being tried beside the next: one of a name's
        machines that is gone, or a broken way of IPv6, costs a moment and not the request's time.
        """
        failed: OSError | None = None
        starting = iter(addresses)
        dials: dict[asyncio.Task[tuple[asyncio.Transport, Connection]], tuple[AddressFamily, str]] = {}
        try:
            while True:
                address = next(starting, None)
                if address is not None:
                    dials[self._loop.create_task(self._dial(origin, address[1], address[0]), name="dial")] = address
                elif not dials:
                    raise failed or OSError("no address")
                apart_seconds = None if address is None else _APART_SECONDS
                done, _ = await asyncio.wait(dials, timeout=apart_seconds, return_when=asyncio.FIRST_COMPLETED)
                for dial in done:
                    address = dials.pop(dial)
                    try:
                        return address, *dial.result()
                    except OSError as refused:
                        failed = _more_telling(failed, _placed(refused, *address))
        except asyncio.CancelledError as given_up:
            # Told where it was the deadline: who is silent still may not be to blame.
            raise given_up from failed
        finally:
            # Nobody waits until they have ended: who is cancelled meanwhile would leave the one that has won open.
            for dial in dials:
                dial.cancel()
                dial.add_done_callback(_close)

    async def _dial(self, origin: Origin, address: str, family: AddressFamily) -> tuple[asyncio.Transport, Connection]:
        """A connection to an address; no name is asked for."""
        return await self._loop.create_connection(
            lambda: Connection(self._loop), address, origin.port, family=family, flags=AI_NUMERICHOST
        )

    def _check_peer(self, origin: Origin, address: str, transport: asyncio.BaseTransport) -> None:
        """Nothing is sent to anyone but to whom was dialled.

        Raises Forbidden.
        """
        peer = transport.get_extra_info("peername")
        if peer is None:
            # It was reset in the moment in which it was made: nobody is there, and nothing will be sent.
            raise ConnectionResetError(_CLOSED_AT_ONCE)
        if not origin.trusted and ip_address(peer[0]) != ip_address(address):
            raise Forbidden(f"{origin.host} was to be dialled at {address}, and {peer} answered")

    async def _secure(
        self, origin: Origin, transport: asyncio.Transport, connection: Connection, tls: ssl.SSLContext
    ) -> None:
        """Speak TLS from now on: as a second step, because only the transport below knows whether all has left."""
        # Certificates have no dot at the end of a name.
        name = origin.host.removesuffix(".")
        secured = await self._loop.start_tls(transport, connection, tls, server_hostname=name)
        if secured is None:
            raise ConnectionResetError(_CLOSED_AT_ONCE)
        connection.secure(secured)


def _make_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    # Finite-field Diffie-Hellman is left out: its numbers are the target's to choose, and with those of 10 000 bits one
    # handshake holds up whatever else this process sends for two seconds. Browsers have not offered it since 2016.
    usual = [cipher["name"] for cipher in context.get_ciphers() if cipher["kea"] != "kx-dhe"]
    context.set_ciphers(":".join(usual))
    return context


def _more_telling(before: OSError | None, refused: OSError) -> OSError:
    """Of two failures the first, unless the other is this machine's own."""
    return refused if before is None or refused.errno in _NONE_LEFT else before


def _lacked(late: TimeoutError) -> OSError | None:
    """What this machine had no more of while one address was waited for; null where nothing was lacking."""
    cancelled = late.__cause__
    failed = None if cancelled is None else cancelled.__cause__
    return failed if isinstance(failed, OSError) and failed.errno in _NONE_LEFT else None


def _close(dial: "asyncio.Task[tuple[asyncio.Transport, Connection]]") -> None:
    """Close what was dialled and is not wanted: it may have arrived in the moment in which it was let go."""
    if not dial.cancelled() and dial.exception() is None:
        dial.result()[1].abort()


def _placed(refused: OSError, family: AddressFamily, address: str) -> OSError:
    """What a failure to dial says of the host."""
    if family is AF_INET6 and refused.errno == errno.EADDRNOTAVAIL:
        # No port that is lacking, as for IPv4: to this machine the host is nowhere.
        return OSError(errno.ENETUNREACH, f"no IPv6 from here to {address}")
    return refused


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _one_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
