"""Passwords of newer breaches are asked for by five digits of a digest, where a range API is named."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from uuid import uuid4

import pytest

from lotpro_identity import app
from lotpro_identity.clients.breaches import Breaches
from lotpro_kit import testing
from services.identity.tests.conftest import Identity

#: Long, in no list, and known to the API below.
BREACHED, FINE = "quartz-lantern-orbit-77", "velvet-harbor-comet-31"


@dataclass
class Api:
    """A range API on this machine, and what it was asked."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    status: int = 200
    body: bytes = b""

    def knows(self, password: str, *, count: int = 3) -> None:
        """Let it answer the range of a password: among others and, as padding, with count 0."""
        digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
        self.body = f"{'0' * 35}:0\r\n{digest[5:]}:{count}\r\n{'F' * 35}:7".encode()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        head = f"HTTP/1.1 {self.status} X\r\ncontent-length: {len(self.body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + self.body)
        await writer.drain()
        writer.close()


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    found = Api()
    server = await asyncio.start_server(found.answer, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/range"
    yield found
    server.close()


async def test_a_breached_password_is_refused_and_five_digits_are_told(api: Api) -> None:
    breaches = Breaches(lambda: api.url)
    api.knows(BREACHED)
    assert [await breaches.has(word) for word in (BREACHED, FINE)] == [True, False]
    digest = hashlib.sha1(BREACHED.encode(), usedforsecurity=False).hexdigest().upper()
    assert api.asked[0].startswith(f"GET /range/{digest[:5]} HTTP/1.1")
    assert "add-padding: true" in api.asked[0].lower()
    assert not any(secret in "".join(api.asked) for secret in (digest[5:], digest[:6], BREACHED))
    api.knows(BREACHED, count=0)
    assert await breaches.has(BREACHED) is False, "padding is no finding"
    await breaches.close()


@pytest.mark.parametrize(
    ("status", "body"),
    [(503, b""), (301, b""), (200, b"<html>"), (200, b"\xff\xfe"), (200, b"A:1\n" * 300_000)],
    ids=["away", "elsewhere", "nonsense", "no text", "endless"],
)
async def test_an_api_that_cannot_be_asked_refuses_nobody(api: Api, status: int, body: bytes) -> None:
    breaches = Breaches(lambda: api.url)
    api.status, api.body = status, body
    assert await breaches.has(BREACHED) is False
    await breaches.close()
    gone = Breaches(lambda: "http://127.0.0.1:1/range")
    assert await gone.has(BREACHED) is False
    await gone.close()
    assert await Breaches(lambda: "").has(BREACHED) is False


async def test_nobody_signs_up_with_a_password_the_api_knows(identity: Identity, api: Api) -> None:
    settings = identity.runtime.settings.model_copy(update={"breached_range_url": api.url})
    here = replace(identity.runtime, settings=settings)
    identity = replace(identity, runtime=here, parts=app.wire(here))
    api.knows(BREACHED)
    for password, expected in ((BREACHED, 422), (FINE, 202)):
        body = identity.sign_up_body(f"{uuid4().hex[:12]}@prairie-motors.com") | {"password": password}
        answer = await identity.post("/accounts", body)
        assert answer.status_code == expected, answer.text
    assert len(api.asked) == 2
    for closing in here.closing[-2:]:
        await closing()


def test_production_asks_over_https_only() -> None:
    for url, wrong in (("http://ranges.example/range", True), ("https://ranges.example/range", False), (None, False)):
        with pytest.raises(ValueError, match="refusing to start") as refused:
            testing.settings(
                app.SERVICE, environment="production", code_key="x", pepper="x", signing_key="x", blob_url="https://x",
                breached_range_url=url,
            )
        assert ("breached_range_url" in str(refused.value)) == wrong
