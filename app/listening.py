"""Having a port before anything else is begun: one that is taken is said in one line, and nothing was claimed yet."""

import errno
import socket

from app.core.errors import ConfigurationException

EVERY_INTERFACE = "0.0.0.0"  # noqa: S104 - where a scrape comes in
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""An address of a name that this machine does not have, `localhost` without IPv6: the others will do."""


def bound(host: str, port: int) -> list[socket.socket]:
    """A socket on each address of a host. Nobody can connect until a server listens on them.

    Raises ConfigurationException where one is taken, may not be had, or the host has no address here.
    """
    sockets: list[socket.socket] = []
    refused: OSError | UnicodeError | None = None
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            try:
                sockets.append(bound_to(family, kind, protocol, address))
            except OSError as failed:
                if failed.errno not in _NOT_HERE:
                    raise
                refused = failed
    except (OSError, UnicodeError) as failed:
        # UnicodeError: what can be no name of a host is not looked up.
        for one in sockets:
            one.close()
        sockets, refused = [], failed
    if not sockets:
        taken = isinstance(refused, OSError) and refused.errno == errno.EADDRINUSE
        why = f"port {port} is taken" if taken else str(refused)
        raise ConfigurationException(f"cannot listen on {host}, port {port}: {why}") from refused
    return sockets


def bound_to(
    family: socket.AddressFamily, kind: socket.SocketKind, protocol: int, address: tuple[object, ...]
) -> socket.socket:
    """A socket on one address, of those that `socket.getaddrinfo` answers.

    Raises OSError.
    """
    one = socket.socket(family, kind, protocol)
    try:
        # As servers do it: connections that have ended and are still remembered do not count.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            # Else it would have the port of the IPv4 addresses, too.
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
    except OSError:
        one.close()
        raise
    return one
