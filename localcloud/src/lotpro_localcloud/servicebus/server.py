"""Starts the broker: the journal, the entities, a plain and a TLS listener, both on loopback."""

import argparse
import asyncio
import json
import signal
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from lotpro_localcloud.servicebus import entities
from lotpro_localcloud.servicebus.access import Gatekeeper
from lotpro_localcloud.servicebus.connection import Connection
from lotpro_localcloud.servicebus.store import Journal

HOST = "127.0.0.1"


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM; one line {"event": "ready", ...} on stdout says where."""
    parser = argparse.ArgumentParser(prog="python -m lotpro_localcloud.servicebus")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True, help="entities, in the layout of Microsoft's emulator")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls-port", type=int, default=0)
    parser.add_argument("--cert", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--sas-key", default="")
    parser.add_argument("--issuer", default="")
    parser.add_argument("--jwks-file", type=Path, default=Path("/nonexistent"))
    parser.add_argument("--principals", type=Path, help="JSON: client id -> {service, ...}")
    uvloop.run(serve(parser.parse_args(argv)))


async def serve(options: argparse.Namespace) -> None:
    """Run both listeners until a signal."""
    journal = Journal(options.state / "journal.sqlite")
    namespace = entities.build(json.loads(options.config.read_text()), journal)
    principals = json.loads(options.principals.read_text()) if options.principals else {}
    gatekeeper = Gatekeeper(
        sas_key=options.sas_key, issuer=options.issuer, jwks=options.jwks_file,
        services={client_id: item["service"] for client_id, item in principals.items()},
    )
    connections: set[Connection] = set()
    loop = asyncio.get_running_loop()

    def connect() -> Connection:
        return Connection(namespace, journal, gatekeeper, connections)

    plain = await loop.create_server(connect, HOST, options.port)
    ready = {"event": "ready", "port": plain.sockets[0].getsockname()[1]}
    servers = [plain]
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(options.cert, options.key)
        tls = await loop.create_server(connect, HOST, options.tls_port, ssl=context)
        servers.append(tls)
        ready["tls_port"] = tls.sockets[0].getsockname()[1]
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    for server in servers:
        server.close()
    for connection in list(connections):
        connection.close()
    await journal.close()
