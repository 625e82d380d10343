"""A small HTTP/1.1 load generator: keep-alive connections, prepared bytes, open or closed loop, loopback only."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Result:
    """What came back: seconds a request took, and how many answers were not the expected status."""

    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    elapsed: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.elapsed if self.elapsed else 0.0


class _Connection(asyncio.Protocol):
    """One keep-alive connection with one request under way."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._waiter: asyncio.Future[int] | None = None
        self._missing = -1
        self._status = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._missing < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            self._status = int(head[9:12])
            at = head.find(b"\r\ncontent-length:")
            assert at >= 0, "the load generator reads answers with a content-length"
            length = int(head[at + 17 : (head.find(b"\r\n", at + 2) + len(head) + 1) % (len(head) + 1)])
            self._missing = end + 4 + length
        if len(self._buffer) >= self._missing and self._waiter is not None:
            del self._buffer[: self._missing]
            self._missing = -1
            waiter, self._waiter = self._waiter, None
            waiter.set_result(self._status)

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error or ConnectionResetError())

    async def ask(self, request: bytes) -> int:
        assert self._transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiter

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def request(url: str, headers: Mapping[str, str]) -> bytes:
    """A GET as bytes."""
    parts = urlsplit(url)
    lines = [f"GET {parts.path}{'?' + parts.query if parts.query else ''} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def closed_loop(
    url: str, headers: Mapping[str, str], *, connections: int, seconds: float, expect: int = 200
) -> Result:
    """Each connection asks again as soon as it is answered."""
    parts = urlsplit(url)
    assert parts.hostname in ("127.0.0.1", "localhost"), "load goes to this machine only"
    assert parts.port is not None
    loop = asyncio.get_running_loop()
    wire = request(url, headers)
    result = Result()
    links = [
        (await loop.create_connection(_Connection, parts.hostname, parts.port))[1] for _ in range(connections)
    ]
    end = time.perf_counter() + seconds

    async def ask(link: _Connection) -> None:
        while (begun := time.perf_counter()) < end:
            status = await link.ask(wire)
            result.seconds.append(time.perf_counter() - begun)
            result.wrong += status != expect

    begun = time.perf_counter()
    await asyncio.gather(*(ask(link) for link in links))
    result.elapsed = time.perf_counter() - begun
    for link in links:
        link.close()
    return result
