"""What runs on this machine: the names of the processes and the ports they listen on."""

import errno
import random
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

SERVICES = ("identity", "inventory", "billing", "notifications", "privacy", "audit")
HOST = "127.0.0.1"

#: The ports of `make run`: what a person opens in a browser first, then what only processes talk to.
DEFAULT_PORTS: Mapping[str, int] = {
    "gateway": 8080,
    "gateway_tls": 8443,
    "gateway_admin": 8309,
    "postgres": 8300,
    "servicebus": 5672,
    "servicebus_tls": 5671,
    "providers": 8310,
    "providers_tls": 8343,
    **{f"{service}_http": 8101 + index for index, service in enumerate(SERVICES)},
    **{f"{service}_grpc": 8201 + index for index, service in enumerate(SERVICES)},
}

#: Linux hands out 32768-60999 to outgoing connections; a port from below cannot be taken by one of those.
_FREE_FROM, _FREE_TO = 20_000, 32_000
_SINGLE = range(18_000, _FREE_FROM)

#: The ports of one stack are neighbours: one for each name, and the first one that stands for all of them.
_BLOCK = len(DEFAULT_PORTS) + 1


class PortTaken(Exception):
    """Another process listens on a port that is needed."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(f"port {port} ({name})")
        self.name, self.port = name, port


@contextmanager
def free_ports() -> Iterator[dict[str, int]]:
    """Ports for a whole stack, all different, all free, and given to no other stack meanwhile.

    Of every block of ports the first is held, not listened on: the kernel then keeps a second stack out of the block,
    however close together the two start, and lets it go with the process, however that ends.
    """
    blocks = list(range(_FREE_FROM, _FREE_TO - _BLOCK, _BLOCK))
    random.shuffle(blocks)
    for first in blocks:
        with socket.socket() as claim:
            try:
                claim.bind((HOST, first))
            except OSError:
                continue
            ports = {name: first + 1 + index for index, name in enumerate(DEFAULT_PORTS)}
            if any(listens(port) for port in ports.values()):
                continue
            yield ports
            return
    raise OSError(errno.EADDRINUSE, f"no block of {_BLOCK} free ports from {_FREE_FROM} to {_FREE_TO}")


def free_port() -> int:
    """One port that was free a moment ago, below those of whole stacks."""
    return next(port for port in random.sample(_SINGLE, len(_SINGLE)) if not listens(port))


def check_free(ports: Mapping[str, int]) -> None:
    """Raise PortTaken for the first port that somebody listens on."""
    for name, port in ports.items():
        listener = _listen(port)
        if listener is None:
            raise PortTaken(name, port)
        listener.close()


def listens(port: int) -> bool:
    """True when somebody listens on a port."""
    listener = _listen(port)
    if listener is not None:
        listener.close()
    return listener is None


def _listen(port: int) -> socket.socket | None:
    listener = socket.socket()
    # Connections of an earlier run may still be in TIME_WAIT; only a listener counts as taken.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(1)
    except OSError:
        listener.close()
        return None
    return listener
