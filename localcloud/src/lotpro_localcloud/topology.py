"""What runs on this machine: the names of the processes and the ports they listen on."""

import random
import socket
from collections.abc import Mapping
from contextlib import ExitStack

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


class PortTaken(Exception):
    """Another process listens on a port that is needed."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(f"port {port} ({name})")
        self.name, self.port = name, port


def free_ports() -> dict[str, int]:
    """Ports for a whole stack, all different, all free a moment ago."""
    ports: dict[str, int] = {}
    with ExitStack() as held:
        for name in DEFAULT_PORTS:
            while name not in ports:
                port = random.randrange(_FREE_FROM, _FREE_TO)  # noqa: S311 - a port, not a secret
                if (listener := _listen(port)) is not None:
                    held.enter_context(listener)
                    ports[name] = port
    return ports


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
