"""Receivers of streams on this machine: an HTTPS server and a syslog server over TLS, with a test authority."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority, and a certificate of it for localhost."""

    ca_bundle: Path
    server: ssl.SSLContext


def authority(folder: Path) -> Authority:
    """A new one, its files in a folder."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test authority")]), datetime.now(UTC)

    def begin(subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(ca_name).public_key(public_key)
            .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
        )

    ca = begin(ca_name, ca_key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    ).sign(ca_key, hashes.SHA256())
    leaf = begin(
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")]), key.public_key()
    ).add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False).sign(
        ca_key, hashes.SHA256()
    )
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "server.pem").write_bytes(
        leaf.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return Authority(folder / "ca.pem", context)


@dataclass
class Request:
    """What a webhook was sent."""

    headers: dict[str, str]
    body: bytes

    @property
    def events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.body)
        return found

    @property
    def numbers(self) -> list[int]:
        return [event["metadata"]["sequence"] for event in self.events]


@dataclass
class Webhook:
    """An HTTPS server: answers 204, unless other answers were queued; says nothing while it is silent."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    speaks: asyncio.Event = field(default_factory=asyncio.Event)
    #: Extra header lines of its answers.
    headers: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append(Request(headers, body))
        await self.speaks.wait()
        status = self.answers.pop(0) if self.answers else 204
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n{self.headers}connection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    @property
    def numbers(self) -> list[int]:
        """The numbers of all events that came, in their order."""
        return [number for request in self.requests for number in request.numbers]


@dataclass
class Syslog:
    """A syslog server over TLS: takes messages with their length before them. The line to it may be cut off."""

    address: str = ""
    inner_port: int = 0
    messages: list[str] = field(default_factory=list)
    #: How often the line is cut off, after so many bytes.
    cuts: int = 0
    cut_after: int = 20_000

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                length = int((await reader.readuntil(b" ")).decode())
                self.messages.append((await reader.readexactly(length)).decode())
            except (asyncio.IncompleteReadError, OSError):
                break
        writer.close()

    async def line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What is between the client and the server."""
        there = await asyncio.open_connection("127.0.0.1", self.inner_port)
        left = self.cut_after if self.cuts else None
        self.cuts = max(0, self.cuts - 1)
        back = asyncio.create_task(_forward(there[0], writer, None))
        await _forward(reader, there[1], left)
        if left is None:
            await back
        for end in (writer, there[1]):
            end.transport.abort()
        await asyncio.gather(back, return_exceptions=True)


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int | None) -> None:
    """Hand on what comes, until the end or so many bytes."""
    while left is None or left > 0:
        try:
            found = await reader.read(4096)
            if not found:
                writer.close()
                return
            writer.write(found)
            await writer.drain()
        except OSError:
            return
        left = left - len(found) if left is not None else None


@asynccontextmanager
async def webhook(trust: Authority) -> AsyncIterator[Webhook]:
    """A webhook that is reached at `url`."""
    made = Webhook()
    made.speaks.set()
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=trust.server) as server:
        made.url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        yield made
        made.speaks.set()


@asynccontextmanager
async def syslog(trust: Authority) -> AsyncIterator[Syslog]:
    """A syslog server that is reached at `address`."""
    made = Syslog()
    async with (
        await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=trust.server) as inner,
        await asyncio.start_server(made.line, "127.0.0.1", 0) as outer,
    ):
        made.inner_port = inner.sockets[0].getsockname()[1]
        made.address = f"localhost:{outer.sockets[0].getsockname()[1]}"
        yield made
