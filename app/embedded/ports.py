"""TCP ports of this machine: a free one to listen on, and whether a wanted one is free."""

import errno
import random
import socket

from app.listening import bound_to

LOOPBACK = "127.0.0.1"

# Below every system's ephemeral range, so that while a server is restarted no outgoing connection is given its port.
_LOWEST, _HIGHEST = 15_000, 32_000
_TRIES = 100


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on at this moment; somebody may before the caller does."""
    for _ in range(_TRIES):
        port = random.randrange(_LOWEST, _HIGHEST)  # noqa: S311 - only has to be free, not unguessable
        if is_free(LOOPBACK, port):
            return port
    raise OSError(f"none of {_TRIES} ports between {_LOWEST} and {_HIGHEST} is free")


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now.

    Raises OSError for a host that is not an address of this machine, or a port that this user may not have, and
    UnicodeError for what can be no host's name.
    """
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        try:
            with bound_to(family, kind, protocol, address) as probe:
                probe.listen(1)
        except OSError as refused:
            if refused.errno == errno.EADDRINUSE:
                return False
            raise
    return True
