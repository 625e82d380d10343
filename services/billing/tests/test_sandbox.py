"""The whole way with the local Stripe, in a process of its own: trial, webhooks back to us, the ledger."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from lotpro_billing import app
from lotpro_kit import service, testing
from services.billing.tests.conftest import WEBHOOK_URL, Billing, over
from services.billing.tests.factories import Identity

SECRETS = {"billing-stripe-api-key": "sk_test_sandbox", "billing-stripe-webhook-secret": "whsec_sandbox"}


@pytest.fixture
async def sandboxed(
    postgres: testing.Postgres, signer: testing.Signer, identity_server: tuple[Identity, str], tmp_path: Path
) -> AsyncIterator[Billing]:
    """Billing on the local Stripe, which sends its webhooks to billing's own HTTP port."""
    listener = socket.create_server(("127.0.0.1", 0))
    (tmp_path / "vault.json").write_text(json.dumps(SECRETS))
    (tmp_path / "principals.json").write_text("{}")
    sandbox = testing.start(
        "lotpro_localcloud.providers", "--state", str(tmp_path), "--principals", str(tmp_path / "principals.json"),
        "--stripe-webhook-url", f"http://127.0.0.1:{listener.getsockname()[1]}{WEBHOOK_URL}",
        log=tmp_path / "providers.log",
    )
    settings: dict[str, Any] = {name.removeprefix("billing-").replace("-", "_"): key for name, key in SECRETS.items()}
    runtime = await testing.open_runtime(
        app.SERVICE, postgres, signer, identity_grpc=identity_server[1],
        stripe_api_url=f"http://127.0.0.1:{sandbox.ready['port']}/stripe", **settings,
    )
    billing = over(runtime, signer, identity=identity_server[0])
    server = uvicorn.Server(
        uvicorn.Config(service.create_app(app.SERVICE, runtime, billing.parts), log_config=None, lifespan="off")
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield billing
    server.force_exit = server.should_exit = True
    await serving
    await runtime.close()
    sandbox.stop()


async def test_a_trial_starts_and_its_first_invoice_comes_back_by_webhook(sandboxed: Billing) -> None:
    async with sandboxed.working():
        await sandboxed.create_organisation()
        entitlement = await sandboxed.until_status("trialing")

        async def invoiced() -> Any:
            return (await sandboxed.view("invoices"))["items"]

        (invoice,) = await testing.eventually(invoiced, within=20)
    assert entitlement["plan"] == "lotpro_standard"
    assert (invoice["status"], invoice["amount_due"], invoice["currency"]) == ("paid", 0, "USD")
    shown = await sandboxed.view("subscription")
    assert shown["trial_ends_at"] == shown["period_ends_at"] == entitlement["valid_until"]
