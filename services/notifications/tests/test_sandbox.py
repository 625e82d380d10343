"""The whole way with the local SendGrid and Twilio, in a process of their own: from the event to the inbox."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from lotpro.identity.v1 import events_pb2 as identity_events
from lotpro.inventory.v1 import events_pb2 as inventory_events
from lotpro_kit import testing
from services.notifications.tests.conftest import SECRETS, Notifications, Peers, over
from services.notifications.tests.factories import delivery

PHONE = "+14025550123"


@pytest.fixture
async def sandboxed(
    postgres: testing.Postgres, signer: testing.Signer, peers: Peers, tmp_path: Path
) -> AsyncIterator[tuple[Notifications, httpx.AsyncClient]]:
    """Notifications on the local providers, and a client of their inbox."""
    keys = {f"notifications-{name.replace('_', '-')}": key for name, key in SECRETS.items()}
    (tmp_path / "vault.json").write_text(json.dumps(keys))
    (tmp_path / "principals.json").write_text("{}")
    sandbox = testing.start(
        "lotpro_localcloud.providers", "--state", str(tmp_path), "--principals", str(tmp_path / "principals.json"),
        log=tmp_path / "providers.log",
    )
    url = f"http://127.0.0.1:{sandbox.ready['port']}"
    where = {"sendgrid_api_url": f"{url}/sendgrid", "twilio_api_url": f"{url}/twilio"}
    async with httpx.AsyncClient(trust_env=False, base_url=url) as client:
        notifications = await over(postgres, signer, peers, client, settings=where)
        yield notifications, client
        await notifications.runtime.close()
    sandbox.stop()


async def messages_to(inbox: httpx.AsyncClient, address: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await inbox.get("/inbox/messages", params={"to": address})).json()
    return found


async def test_a_code_and_the_news_of_a_sale_reach_the_inbox(
    sandboxed: tuple[Notifications, httpx.AsyncClient],
) -> None:
    notifications, inbox = sandboxed
    expires_at = notifications.clock() + timedelta(minutes=10)
    challenge_id, code, address = notifications.identity.add_code(expires_at=expires_at)
    owner = notifications.identity.add_person(phone=PHONE)
    notifications.identity.owners[str(notifications.org_id)] = [str(owner)]
    sale_id = notifications.inventory.add_sale(notifications.org_id)
    coded, sold = delivery(), delivery()
    async with notifications.sending():
        await notifications.handle(identity_events.CodeRequested(challenge_id=str(challenge_id)), coded)
        await notifications.handle(
            inventory_events.VehicleSold(org_id=str(notifications.org_id), sale_id=str(sale_id)), sold
        )
        fates = [*await notifications.settled(coded), *await notifications.settled(sold)]
    assert [fate.state for fate in fates] == ["sent", "sent", "sent"]
    assert all(fate.provider_id for fate in fates)
    (mail,) = await messages_to(inbox, address)
    assert code in mail["text"]
    (news,) = await messages_to(inbox, f"{owner}@example.com")
    assert news["subject"] == "Sold: 2020 Honda Accord"
    (alert,) = await messages_to(inbox, PHONE)
    assert "was sold" in alert["text"]
