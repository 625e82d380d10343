"""The process remembers all of it when it is killed, ends when it is told to, and costs nothing while nobody asks."""

import sqlite3
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
from azure.identity import ManagedIdentityCredential

from localcloud.tests.providers.conftest import SECRETS, Cloud, Receiver, be, start
from localcloud.tests.providers.test_inbox import send
from localcloud.tests.providers.test_stripe import client
from lotpro_kit import testing
from lotpro_localcloud import keys

IDLE_SECONDS = 2.0
#: Beside PostgreSQL, the broker, the gateway and six services it may have this share of the stack's 1.2 GiB.
MOST_MIB = 75


@pytest.fixture
def own(tmp_path: Path, receiver: Receiver) -> Iterator[Cloud]:
    """Providers that this test may kill."""
    running = start(tmp_path, receiver)
    yield running
    running.http.close()
    running.process.stop()


def restarted(cloud: Cloud) -> Cloud:
    """The same providers on the same ports, after kill -9."""
    cloud.process.kill()
    cloud.process.stop()
    cloud.http.close()
    return start(cloud.folder, cloud.receiver, ports=(cloud.port, cloud.tls_port))


async def test_nothing_is_lost_when_it_is_killed(own: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, own, "billing")
    with ManagedIdentityCredential(client_id=keys.client_id("billing")) as credential:
        token = credential.get_token("https://vault.azure.net/.default").token
    send(own, "kept@example.com", "kept")
    key = uuid4().hex
    own.receiver.refusals["/stripe"] = 1
    made = client(own).v1.customers.create({"name": "kept"}, {"idempotency_key": key})
    again = restarted(own)
    own.process, own.http = again.process, again.http
    assert [message["subject"] for message in own.inbox("kept@example.com")] == ["kept"]
    assert client(own).v1.customers.create({"name": "kept"}, {"idempotency_key": key}).id == made.id
    read = own_secret(own, token)
    assert read == SECRETS["billing-stripe-api-key"]

    async def comes() -> Any:
        return own.receiver.on("/stripe", made.id)

    assert await testing.eventually(comes)


def test_a_trial_begins_on_objects_that_an_earlier_version_stored(own: Cloud) -> None:
    v1 = client(own).v1
    price = v1.prices.create(
        {"currency": "usd", "unit_amount": 1, "recurring": {"interval": "month"}, "product_data": {"name": "p"}}
    )
    customer = v1.customers.create()
    with closing(sqlite3.connect(own.folder / "providers" / "providers.sqlite", isolation_level=None)) as database:
        for name in ("nickname", "unit_amount_decimal", "phone", "invoice_prefix", "next_invoice_sequence"):
            database.execute(
                "UPDATE objects SET body = json_remove(body, ?) WHERE id IN (?, ?)",
                (f"$.{name}", price.id, customer.id),
            )
    made = v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}], "trial_period_days": 1})
    prefix = v1.customers.retrieve(customer.id).invoice_prefix
    assert v1.invoices.retrieve(str(made.latest_invoice)).number == f"{prefix}-0001"


def own_secret(cloud: Cloud, token: str) -> str:
    """A secret, by a token given out before the kill: the tenant's key is the same."""
    answer = httpx.get(
        f"{cloud.vault_url}/secrets/billing-stripe-api-key", headers={"authorization": f"Bearer {token}"},
        verify=ssl.create_default_context(cafile=cloud.ca), trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["value"])


def test_sigterm_ends_it_cleanly_while_somebody_watches_the_inbox(own: Cloud) -> None:
    with own.http.stream("GET", "/inbox/events") as stream:
        assert next(stream.iter_lines()) == ": hello"
        began = time.monotonic()
        own.process.stop()
        assert time.monotonic() - began < 3
    assert own.process.popen.returncode == 0


def test_while_nobody_asks_it_sleeps_and_is_small(own: Cloud) -> None:
    own.http.get("/inbox/messages")
    process = psutil.Process(own.process.popen.pid)
    before = process.num_ctx_switches().voluntary
    time.sleep(IDLE_SECONDS)  # measures a span of time; there is no clock to pass in
    assert process.num_ctx_switches().voluntary - before <= 2
    assert process.memory_info().rss < MOST_MIB * 2**20


def test_it_listens_to_this_machine_only(own: Cloud) -> None:
    listening = [one for one in psutil.Process(own.process.popen.pid).net_connections("inet") if one.status == "LISTEN"]
    assert {one.laddr.port for one in listening} == {own.port, own.tls_port}
    assert {one.laddr.ip for one in listening} == {"127.0.0.1"}
