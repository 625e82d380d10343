"""Audit with receivers for its streams on this machine."""

import dataclasses
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lotpro_audit import app
from lotpro_audit.clients.receivers import PublicReceivers
from lotpro_audit.streams.jobs import Pump
from lotpro_audit.streams.service import Outside
from lotpro_kit import testing
from services.audit.tests.conftest import Log
from services.audit.tests.streams import receivers
from services.audit.tests.streams.receivers import Authority, Request, Syslog, Webhook

STREAMS = "/api/audit/v1/streams"


@dataclass
class Streaming:
    """The service, an organisation with streams, and receivers."""

    log: Log
    outside: Outside
    webhook: Webhook
    other: Webhook
    syslog: Syslog

    async def ask(self, verb: str, path: str = "", body: Any = None, *, version: int | None = None) -> dict[str, Any]:
        """As the owner, who must be answered well."""
        headers = {"if-match": f'"v{version}"'} if version is not None else {}
        async with self.log.client("org_owner") as owner:
            answer = await owner.request(verb, f"{STREAMS}{path}", json=body, headers=headers)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    async def add(self, **chosen: Any) -> dict[str, Any]:
        body = {"kind": "webhook", "name": "SIEM", "address": f"{self.webhook.url}/log"} | chosen
        return await self.ask("POST", body=body)

    async def see(self, stream: dict[str, Any]) -> dict[str, Any]:
        return await self.ask("GET", f"/{stream['id']}")

    async def act(self, times: int, **more: Any) -> None:
        await self.log.take_all(*(self.log.act(**more) for _ in range(times)))

    async def pump(self) -> None:
        """Send what there is to send now."""
        pump = Pump(self.outside)
        await pump.look()
        await pump.idle()

    def later(self, step: timedelta = timedelta(hours=1)) -> None:
        self.log.clock.advance(step)


def is_signed(request: Request, secret: str) -> bool:
    """As a receiver checks it, by the documents of the API."""
    parts = [part.split("=", 1) for part in request.headers["lotpro-signature"].split(",")]
    moment = next(value for name, value in parts if name == "t")
    expected = hmac.digest(secret.encode(), f"{moment}.".encode() + request.body, "sha256").hex()
    return expected in [value for name, value in parts if name == "v1"]


@pytest.fixture(scope="session")
def trust(tmp_path_factory: pytest.TempPathFactory, storage: testing.Storage) -> Authority:
    """Trusted beside the one that storage has its certificate from."""
    made = receivers.authority(tmp_path_factory.mktemp("authority"))
    with made.ca_bundle.open("a") as bundle:
        bundle.write(Path(storage.ca_bundle).read_text())
    return made


def told(log: Log, trust: Authority, *sandbox: str) -> Log:
    """The same service with exceptions for receivers on this machine."""
    settings = log.runtime.settings.model_copy(
        update={"sandbox_receivers": sandbox, "ca_bundle": str(trust.ca_bundle)}
    )
    here = dataclasses.replace(log.runtime, settings=settings)
    return dataclasses.replace(log, runtime=here, parts=app.wire(here))


def outside(log: Log) -> Outside:
    settings = log.runtime.settings
    made = PublicReceivers(lambda: settings.sandbox_receivers, ca_bundle=lambda: settings.ca_bundle)
    log.runtime.closing.append(made.close)
    return Outside(log.runtime.database, app.ports(log.runtime), made)


@pytest.fixture
async def streaming(unled: Log, trust: Authority) -> AsyncIterator[Streaming]:
    async with (
        receivers.webhook(trust) as webhook, receivers.webhook(trust) as other, receivers.syslog(trust) as syslog
    ):
        here = told(unled, trust, webhook.url, other.url, syslog.address)
        async with here.leading():
            yield Streaming(here, outside(here), webhook, other, syslog)
