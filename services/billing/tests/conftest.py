"""Billing, running on this test process's database, with a Stripe and an identity of the test process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import uvicorn

from lotpro.identity.v1 import events_pb2, identity_pb2, identity_pb2_grpc
from lotpro_billing import app
from lotpro_billing.clients.identity import IdentityOverGrpc
from lotpro_billing.clients.stripe import StripeApi
from lotpro_billing.ports import Ports
from lotpro_billing.settings import Settings
from lotpro_billing.subscriptions.jobs import Starter
from lotpro_billing.webhooks.jobs import Processor
from lotpro_kit import auth, bus, rpc, service, testing
from services.billing.tests import factories
from services.billing.tests.factories import FakeStripe, Identity

WEBHOOK_URL = "/api/billing/v1/webhooks/stripe"


@dataclass
class Billing:
    """The service, what it stands on, and ways to talk to it."""

    runtime: service.Runtime[Settings]
    parts: service.Parts
    ports: Ports
    signer: testing.Signer
    stripe: FakeStripe
    identity: Identity
    clock: testing.Clock
    org_id: UUID
    owner_id: UUID

    async def create_organisation(self, delivery: bus.Delivery | None = None) -> bus.Delivery:
        """Tell billing that the organisation was created, as the bus would."""
        caused = delivery or factories.delivery()
        event = events_pb2.OrganisationCreated(org_id=str(self.org_id), owner_id=str(self.owner_id), version=1)
        (consumer,) = self.parts.consumers
        await consumer.handlers[type(event)](event, caused)
        return caused

    @asynccontextmanager
    async def working(self) -> AsyncIterator[tuple[Starter, Processor]]:
        """With the loops running."""
        starter = Starter(self.runtime.database, self.ports, self.runtime.settings)
        processor = Processor(self.runtime.database, self.ports)
        running = [asyncio.create_task(starter.run()), asyncio.create_task(processor.run())]
        try:
            yield starter, processor
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def started(self) -> dict[str, Any]:
        """Create the organisation and wait for its subscription; answers it as Stripe has it."""
        async with self.working():
            await self.create_organisation()
            await self.until_status("trialing")
        (subscription,) = self.stripe.of_org(self.org_id)
        return subscription

    async def view(self, what: str) -> dict[str, Any]:
        """A page of the owner's: subscription, entitlement or invoices."""
        async with self.client("org_owner") as client:
            answer = await client.get(f"/api/billing/v1/{what}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def until_status(self, status: str) -> dict[str, Any]:
        """Wait until the entitlement has a status; answers it."""

        async def reached() -> dict[str, Any] | None:
            found = await self.view("entitlement")
            return found if found["status"] == status else None

        found: dict[str, Any] = await testing.eventually(reached)
        return found

    async def post_webhook(self, body: bytes, header: str | None = None) -> httpx.Response:
        """Send a webhook, well signed unless a header says otherwise."""
        signature = factories.signature(body, at=self.clock()) if header is None else header
        async with self.anonymous() as client:
            return await client.post(WEBHOOK_URL, content=body, headers={b"stripe-signature": signature.encode()})

    def client(self, *roles: str, org_id: UUID | None = None) -> httpx.AsyncClient:
        token = self.signer.user_token(
            user_id=self.owner_id, org_id=org_id or self.org_id, roles={"*": list(roles)}
        )
        return testing.client(app.SERVICE, self.runtime, self.parts, token)

    def anonymous(self) -> httpx.AsyncClient:
        return testing.client(app.SERVICE, self.runtime, self.parts)


@pytest.fixture(scope="session")
async def stripe_server() -> AsyncIterator[tuple[FakeStripe, str]]:
    """A Stripe of this test process and its address."""
    fake = FakeStripe()
    config = uvicorn.Config(fake.app(), host="127.0.0.1", port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await testing.eventually(started)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield fake, f"http://127.0.0.1:{port}/stripe"
    server.force_exit = server.should_exit = True
    await serving


@pytest.fixture(scope="session")
async def identity_server(signer: testing.Signer) -> AsyncIterator[tuple[Identity, str]]:
    """An identity of this test process and its target."""
    fake = Identity()
    tokens = auth.ServiceTokens(
        signer.service_keys, issuer=testing.ENTRA_ISSUER, audience=testing.SERVICE_AUDIENCE,
        principals=signer.principals,
    )
    add = identity_pb2_grpc.add_IdentityServiceServicer_to_server
    server = rpc.create_server([rpc.Servicer(identity_pb2.DESCRIPTOR, add, fake)], tokens)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield fake, f"127.0.0.1:{port}"
    await server.stop(None)


@pytest.fixture
async def billing(
    postgres: testing.Postgres,
    signer: testing.Signer,
    stripe_server: tuple[FakeStripe, str],
    identity_server: tuple[Identity, str],
) -> AsyncIterator[Billing]:
    fake_stripe, stripe_url = stripe_server
    fake_identity, target = identity_server
    fake_identity.away = False
    fake_stripe.failures.clear()
    clock = testing.Clock()
    runtime = await testing.open_runtime(
        app.SERVICE, postgres, signer, clock=clock, identity_grpc=target, stripe_api_url=stripe_url,
        stripe_api_key="sk_test_lotpro", stripe_webhook_secret=factories.WEBHOOK_SECRET,
    )
    yield over(runtime, signer, identity=fake_identity, stripe=fake_stripe, clock=clock)
    await runtime.close()


def over(
    runtime: service.Runtime[Settings],
    signer: testing.Signer,
    *,
    identity: Identity,
    stripe: FakeStripe | None = None,
    clock: testing.Clock | None = None,
) -> Billing:
    """Billing over a runtime, for a new organisation."""
    api = StripeApi(runtime.settings)
    runtime.closing.append(api.close)
    target = runtime.settings.identity_grpc
    ports = Ports(identity=IdentityOverGrpc(runtime.channel(target)), stripe=api, clock=runtime.clock)
    return Billing(
        runtime, app.wire(runtime), ports, signer, stripe or FakeStripe(), identity, clock or testing.Clock(), uuid4(),
        uuid4(),
    )
