"""Systems of organisations that take their log: by HTTPS, or as syslog over TLS. Only public ones are gone to."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property, partial
from typing import Protocol
from urllib.parse import urlsplit

from lotpro_kit.web import Unreachable, Web, is_public, public_addresses

#: For a batch of syslog: to connect, write, and be sure that all was read.
TOTAL_SECONDS = 10.0
_CHUNK = 65_536
#: Batches may be on their way to so many receivers at once; a silent one takes one place for TOTAL_SECONDS.
CONNECTIONS = 128


class Receivers(Protocol):
    """Where logs are sent to. Sending raises Unreachable when it is not known that everything arrived."""

    def is_webhook(self, address: str) -> bool:
        """Whether it is an https address that may be gone to, as far as its form says."""
        ...

    def is_syslog(self, address: str) -> bool:
        """Whether it is a `host:port` that may be gone to, as far as its form says."""
        ...

    async def post(self, address: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send to a webhook; answers the status of its answer."""
        ...

    async def write(self, address: str, content: bytes) -> None:
        """Send to a syslog server by TLS."""
        ...


class PublicReceivers:
    """The public internet. `sandbox` names exceptions for a workstation (`https://host:port`, `host:port`), whose
    certificates are looked at with the authorities in `ca_bundle`; production has none."""

    def __init__(self, sandbox: Callable[[], tuple[str, ...]] = tuple, *, ca_bundle: Callable[[], str] = str) -> None:
        self._settings, self._ca_bundle = sandbox, ca_bundle
        self._web = Web(
            lambda: (self._settings(), ()), connections=CONNECTIONS, sandbox_trust=lambda: self._sandbox_trust
        )

    @cached_property
    def _sandbox(self) -> frozenset[str]:
        return frozenset(self._settings())

    @cached_property
    def _sandbox_trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._ca_bundle() or None)

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    def is_webhook(self, address: str) -> bool:
        parts = urlsplit(address) if self._web.is_allowed(address) else None
        if parts is None or parts.scheme != "https" or not parts.hostname:
            return False
        return f"{parts.scheme}://{parts.netloc}" in self._sandbox or _may_be_public(parts.hostname)

    def is_syslog(self, address: str) -> bool:
        try:
            host, port = _host_and_port(address)
        except ValueError:
            return False
        return address in self._sandbox or (port > 0 and _may_be_public(host))

    async def post(self, address: str, body: bytes, headers: Mapping[str, str]) -> int:
        return (await self._web.send(address, body, headers)).status

    async def write(self, address: str, content: bytes) -> None:
        """Syslog has no answer: that the server ends TLS in good order after we did says that it has read all."""
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                await self._write(address, content)
        except (OSError, TimeoutError, UnicodeError, ValueError) as error:
            raise Unreachable from error

    async def _write(self, address: str, content: bytes) -> None:
        host, port = _host_and_port(address)
        exempt = address in self._sandbox
        target = host if exempt else (await public_addresses(host, port))[0]
        reader, writer = await asyncio.open_connection(target, port)
        try:
            tls = _Tls(self._sandbox_trust if exempt else self._trust, host, reader, writer)
            await tls.run(tls.session.do_handshake)
            for begin in range(0, len(content), _CHUNK):
                await tls.run(partial(tls.session.write, content[begin : begin + _CHUNK]))
            await tls.end()
        finally:
            writer.transport.abort()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._web.close()


class _Tls:
    """TLS over a connection, by hand: asyncio's own takes a connection that breaks off for one that ended in order."""

    def __init__(
        self, context: ssl.SSLContext, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader, self._writer = reader, writer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    async def run(self, act: Callable[[], object]) -> None:
        """Do something of the session to its end; raises OSError, also when the server hangs up in the middle."""
        while True:
            try:
                act()
            except ssl.SSLWantReadError:
                await self._flush()
                self._take(await self._reader.read(_CHUNK))
            else:
                await self._flush()
                return

    async def end(self) -> None:
        """End the session and wait until the server has ended it too; raises OSError when it hangs up instead."""
        await self.run(self.session.unwrap)
        # OpenSSL may call it done when it has read something else than the server's end: read on until that comes.
        with suppress(ssl.SSLZeroReturnError):
            while True:
                await self.run(partial(self.session.read, _CHUNK))

    async def _flush(self) -> None:
        self._writer.write(self._outgoing.read())
        await self._writer.drain()

    def _take(self, received: bytes) -> None:
        if not received:
            raise ConnectionResetError("the server hung up")
        self._incoming.write(received)


def _host_and_port(address: str) -> tuple[str, int]:
    """Of `host:port`; raises ValueError."""
    parts = urlsplit(f"//{address}")
    if not parts.hostname or parts.port is None or parts.netloc != address or "@" in address or not address.isascii():
        raise ValueError("not host:port")
    if any(ord(character) <= 32 for character in address):
        raise ValueError("not host:port")
    return parts.hostname, parts.port


def _may_be_public(host: str) -> bool:
    """Whether a host is a public address, or a name: what a name means is looked up when it is gone to."""
    looks_like_address = ":" in host or host.replace(".", "").isdigit()
    return is_public(host) if looks_like_address else "." in host and host != "localhost"
