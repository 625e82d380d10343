"""Notifications, running on this test process's database, with the other services and providers of the test."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from google.protobuf.message import Message as Event

from lotpro.identity.v1 import identity_pb2, identity_pb2_grpc
from lotpro.inventory.v1 import inventory_pb2, inventory_pb2_grpc
from lotpro_kit import auth, bus, rpc, service, testing
from lotpro_kit.caller import system
from lotpro_notifications import app
from lotpro_notifications.clients.identity import IdentityOverGrpc
from lotpro_notifications.clients.inventory import InventoryOverGrpc
from lotpro_notifications.clients.mail import SendGrid
from lotpro_notifications.clients.sms import Twilio
from lotpro_notifications.db import SCOPE
from lotpro_notifications.messages import repository
from lotpro_notifications.messages.domain import Message
from lotpro_notifications.messages.jobs import Sender
from lotpro_notifications.ports import Ports
from lotpro_notifications.settings import Settings
from services.notifications.tests.factories import Identity, Inventory, Providers

SECRETS = {
    "sendgrid_api_url": "http://sendgrid.test/sendgrid",
    "sendgrid_api_key": "SG.test",
    "twilio_api_url": "http://twilio.test/twilio",
    "twilio_account_sid": "AC00000000000000000000000000000000",
    "twilio_auth_token": "twilio-test",
    "twilio_from_number": "+15005550006",
}


@dataclass
class Notifications:
    """The service, what it stands on, and ways to talk to it."""

    runtime: service.Runtime[Settings]
    parts: service.Parts
    ports: Ports
    signer: testing.Signer
    identity: Identity
    inventory: Inventory
    providers: Providers
    clock: testing.Clock
    org_id: UUID

    async def handle(self, event: Event, delivery: bus.Delivery) -> None:
        """Give an event to its handler, as the bus would."""
        for consumer in self.parts.consumers:
            if type(event) in consumer.handlers:
                await consumer.handlers[type(event)](event, delivery)
                return
        raise AssertionError(f"nobody handles {type(event).__name__}")

    async def of_event(self, delivery: bus.Delivery) -> list[Message]:
        """The messages that an event caused."""
        async with self.runtime.database.begin(system(scope=SCOPE)) as session:
            return await repository.messages_of_event(session, event_id=delivery.id)

    async def settled(self, delivery: bus.Delivery) -> list[Message]:
        """The messages of an event, once none of them is waiting or on its way."""

        async def all_settled() -> list[Message]:
            found = await self.of_event(delivery)
            return [] if any(message.state in ("queued", "sending") for message in found) else found

        found: list[Message] = await testing.eventually(all_settled)
        return found

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[Sender]:
        """With the sender running."""
        sender = Sender(self.runtime.database, self.ports)
        running = asyncio.create_task(sender.run())
        try:
            yield sender
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def client(self, *roles: str, org_id: UUID | None = None) -> httpx.AsyncClient:
        token = self.signer.user_token(user_id=uuid4(), org_id=org_id or self.org_id, roles={"*": list(roles)})
        return testing.client(app.SERVICE, self.runtime, self.parts, token)

    def anonymous(self) -> httpx.AsyncClient:
        return testing.client(app.SERVICE, self.runtime, self.parts)


@dataclass
class Peers:
    """The other services, served on a free port for this test process."""

    identity: Identity
    inventory: Inventory
    target: str


@pytest.fixture(scope="session")
async def peers(signer: testing.Signer) -> AsyncIterator[Peers]:
    identity, inventory = Identity(), Inventory()
    tokens = auth.ServiceTokens(
        signer.service_keys, issuer=testing.ENTRA_ISSUER, audience=testing.SERVICE_AUDIENCE,
        principals=signer.principals,
    )
    server = rpc.create_server(
        [
            rpc.Servicer(
                identity_pb2.DESCRIPTOR, identity_pb2_grpc.add_IdentityServiceServicer_to_server, identity
            ),
            rpc.Servicer(
                inventory_pb2.DESCRIPTOR, inventory_pb2_grpc.add_InventoryServiceServicer_to_server, inventory
            ),
        ],
        tokens,
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield Peers(identity, inventory, f"127.0.0.1:{port}")
    await server.stop(None)


@pytest.fixture
async def notifications(
    postgres: testing.Postgres, signer: testing.Signer, peers: Peers
) -> AsyncIterator[Notifications]:
    providers = Providers()
    async with httpx.AsyncClient(transport=httpx.MockTransport(providers)) as http:
        peers.identity.away = False
        found = await over(postgres, signer, peers, http, providers=providers)
        yield found
        await found.runtime.close()


async def over(
    postgres: testing.Postgres,
    signer: testing.Signer,
    peers: Peers,
    http: httpx.AsyncClient,
    *,
    settings: Mapping[str, str] = MappingProxyType({}),
    providers: Providers | None = None,
) -> Notifications:
    """Notifications that reaches its providers with this client, for a new organisation."""
    clock = testing.Clock()
    told: dict[str, Any] = {**SECRETS, **settings, "identity_grpc": peers.target, "inventory_grpc": peers.target}
    runtime = await testing.open_runtime(app.SERVICE, postgres, signer, clock=clock, **told)
    ports = Ports(
        identity=IdentityOverGrpc(runtime.channel(peers.target)),
        inventory=InventoryOverGrpc(runtime.channel(peers.target)),
        post=SendGrid(http, runtime.settings),
        texting=Twilio(http, runtime.settings),
        clock=clock,
        public_url=runtime.settings.public_url,
    )
    return Notifications(
        runtime, app.wire(runtime), ports, signer, peers.identity, peers.inventory, providers or Providers(), clock,
        uuid4(),
    )
