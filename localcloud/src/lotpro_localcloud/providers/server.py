"""Starts the providers: one app on a plain and a TLS port, both on loopback."""

import argparse
import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lotpro_localcloud.providers.blobs import Blobs
from lotpro_localcloud.providers.deliveries import Deliveries
from lotpro_localcloud.providers.entra import Tenant
from lotpro_localcloud.providers.faults import Faults
from lotpro_localcloud.providers.inbox import Inbox
from lotpro_localcloud.providers.otlp import Collector
from lotpro_localcloud.providers.sendgrid import SendGrid
from lotpro_localcloud.providers.store import Store
from lotpro_localcloud.providers.stripe.api import Stripe
from lotpro_localcloud.providers.twilio import Twilio
from lotpro_localcloud.providers.vault import Vault

HOST = "127.0.0.1"


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM; one line {"event": "ready", ...} on stdout says where."""
    parser = argparse.ArgumentParser(prog="python -m lotpro_localcloud.providers")
    parser.add_argument("--state", type=Path, required=True, help="has vault.json: every secret by its name")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls-port", type=int, default=0)
    parser.add_argument("--cert", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--principals", type=Path, required=True, help="JSON: client id -> {service, header}")
    parser.add_argument("--issuer", default="", help="default: https://localhost:<tls port>/tenant/v2.0")
    parser.add_argument("--jwks-file", type=Path, help="default: jwks.json in the state")
    parser.add_argument("--telemetry", type=Path, help="default: telemetry beside the state")
    parser.add_argument("--stripe-webhook-url", default="", help="where Stripe's events are sent; default: nowhere")
    parser.add_argument("--sendgrid-event-url", default="", help="where SendGrid's events are sent; default: nowhere")
    uvloop.run(serve(parser.parse_args(argv)))


async def serve(options: argparse.Namespace) -> None:
    """Run until a signal."""
    plain = _listen(options.port)
    listeners: list[tuple[socket.socket, dict[str, Any]]] = [(plain, {})]
    ready: dict[str, Any] = {"event": "ready", "port": plain.getsockname()[1]}
    if options.cert:
        tls = _listen(options.tls_port)
        ready["tls_port"] = tls.getsockname()[1]
        listeners.append((tls, {"ssl_certfile": str(options.cert), "ssl_keyfile": str(options.key)}))
    app = build(options, issuer=options.issuer or f"https://localhost:{ready.get('tls_port', 0)}/tenant/v2.0")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    servers = [
        _Server(
            uvicorn.Config(
                app, log_config=None, access_log=False, lifespan="on" if number == 0 else "off", server_header=False,
                date_header=False, proxy_headers=False, http=HttpToolsProtocol, timeout_graceful_shutdown=1, **extra,
            ),
            stop,
        )
        for number, (_, extra) in enumerate(listeners)
    ]

    def hang_up(client: tuple[str, int]) -> None:
        for server in servers:
            for connection in server.server_state.connections:
                if isinstance(connection, HttpToolsProtocol) and connection.client == client:
                    connection.transport.abort()

    app.state.hang_up = hang_up
    running = [
        asyncio.create_task(server.serve(sockets=[listener]))
        for server, (listener, _) in zip(servers, listeners, strict=True)
    ]
    while not all(server.started for server in servers):  # noqa: ASYNC110 - uvicorn tells by an attribute only
        await asyncio.sleep(0.01)
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    await asyncio.gather(*running)


def build(options: argparse.Namespace, *, issuer: str) -> Starlette:
    """The app with all providers."""
    state: Path = options.state
    store = Store(state / "providers.sqlite")
    faults, inbox, deliveries = Faults(), Inbox(store), Deliveries(store)
    tenant = Tenant(
        state, issuer=issuer, principals=options.principals, jwks_file=options.jwks_file or state / "jwks.json"
    )
    vault = Vault(state / "vault.json", store, tenant)
    providers = (
        SendGrid(
            store, inbox, faults, deliveries, vault.value, key_file=state / "sendgrid-event-key.pem",
            event_url=options.sendgrid_event_url,
        ),
        Twilio(store, inbox, faults, deliveries, vault.value),
        Stripe(store, faults, deliveries, vault.value, webhook_url=options.stripe_webhook_url),
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        sending = asyncio.create_task(deliveries.run())
        yield
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        store.close()

    collector = Collector(options.telemetry or state.parent / "telemetry")
    parts = (tenant, vault, Blobs(state / "blobs", tenant), *providers, collector, faults, inbox)
    return Starlette(
        routes=[route for part in parts for route in part.routes()],
        # A page of the web whose name is made to resolve to this machine must not read the inbox.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["localhost", HOST])],
        lifespan=lifespan,
    )


def _listen(port: int) -> socket.socket:
    # With the protocol named, asyncio turns Nagle's algorithm off; without, each answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    return listener


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers, for one process has two servers, and without ten looks a second."""

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event) -> None:
        super().__init__(config)
        self._stop = stop
        self.capture_signals = suppress  # type: ignore[method-assign,assignment] # a context manager that does nothing

    async def main_loop(self) -> None:
        await self._stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Over TLS a peer that asks nothing does not answer a goodbye either: its connection is cut, not waited for."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, HttpToolsProtocol) and (
                connection.cycle is None or connection.cycle.response_complete
            ):
                connection.transport.abort()
        await super().shutdown(sockets)
