"""Inventory on this test process's database, beside an identity that answers over real gRPC."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from lotpro.identity.v1 import identity_pb2, identity_pb2_grpc
from lotpro_inventory import app
from lotpro_inventory.settings import Settings
from lotpro_kit import auth, errors, rpc, service, testing
from lotpro_kit.caller import ANONYMOUS, system
from services.inventory.tests import factories

VEHICLES = "/api/inventory/v1/vehicles"
CUSTOMERS = "/api/inventory/v1/customers"
SALES = "/api/inventory/v1/sales"
DELIVERIES = "/api/inventory/v1/deliveries"
TENANT_TABLES = ("stores", "cars", "vehicles", "customers", "sales", "deliveries")


class Organisations(identity_pb2_grpc.IdentityServiceServicer):
    """Identity's side of the contract: organisations with their stores and time zones, and how often it was asked."""

    def __init__(self) -> None:
        self.stores: dict[UUID, dict[UUID, str]] = {}
        self.asked: list[UUID] = []

    async def GetOrganisation(  # noqa: N802 - gRPC's name
        self, request: Any, context: Any
    ) -> identity_pb2.GetOrganisationResponse:
        org_id = rpc.request_id(request.org_id)
        self.asked.append(org_id)
        if org_id not in self.stores:
            raise errors.NotFound
        return identity_pb2.GetOrganisationResponse(
            org_id=str(org_id),
            stores=[
                identity_pb2.Store(store_id=str(store_id), time_zone=zone)
                for store_id, zone in self.stores[org_id].items()
            ],
        )


@dataclass
class Dealer:
    """One organisation with two stores, and whoever of its people a test wants."""

    runtime: service.Runtime[Settings]
    parts: service.Parts
    signer: testing.Signer
    clock: testing.Clock
    identity: Organisations
    org_id: UUID = field(default_factory=uuid4)
    store_id: UUID = field(default_factory=uuid4)
    other_store_id: UUID = field(default_factory=uuid4)
    user_id: UUID = field(default_factory=uuid4)

    def client(
        self, *roles: str, org_id: UUID | None = None, store_id: UUID | str | None = None, user_id: UUID | None = None
    ) -> httpx.AsyncClient:
        """Somebody with these roles in a store (`*`: in all), by default in this dealer's first."""
        token = self.signer.user_token(
            user_id=user_id or self.user_id, org_id=org_id or self.org_id,
            roles={str(store_id or self.store_id): list(roles)},
        )
        return testing.client(app.SERVICE, self.runtime, self.parts, token)

    def anonymous(self) -> httpx.AsyncClient:
        return testing.client(app.SERVICE, self.runtime, self.parts)

    async def add_vehicle(self, store_id: UUID | None = None, **changes: Any) -> dict[str, Any]:
        """A vehicle of a store, as answered to the owner."""
        async with self.client("org_owner", store_id="*") as client:
            body = factories.vehicle_body(store_id or self.store_id, **changes)
            added = await client.post("/api/inventory/v1/vehicles", json=body)
            assert added.status_code == 201, added.text
            return dict(added.json())

    async def sell(self, vehicle: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """The sale of a vehicle, made by this dealer's user."""
        async with self.client("sales", store_id=UUID(vehicle["store_id"])) as client:
            sold = await client.post(
                f"/api/inventory/v1/vehicles/{vehicle['id']}:sell", json=factories.sale_body(**changes),
                headers={"if-match": f'"v{vehicle["version"]}"'},
            )
            assert sold.status_code == 201, sold.text
            return dict(sold.json())

    async def events(self, name: str, *, containing: str = "") -> list[dict[str, Any]]:
        """The bodies of events of one type in the outbox that are about this organisation."""
        found = await testing.events(self.runtime.database, containing=str(self.org_id))
        return [body for kind, body in found if kind.endswith(f".{name}") and containing in str(body)]

    async def rows(self, *, signed_in: bool = True) -> dict[str, int]:
        """How many rows of each table this organisation, or a caller without one, can see."""
        async with self.runtime.database.begin(system(self.org_id) if signed_in else ANONYMOUS) as session:
            return {
                table: (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
                for table in TENANT_TABLES
            }


@pytest.fixture(scope="session")
async def identity_server(signer: testing.Signer) -> AsyncIterator[tuple[int, Organisations]]:
    organisations = Organisations()
    tokens = auth.ServiceTokens(
        signer.service_keys, issuer=testing.ENTRA_ISSUER, audience=testing.SERVICE_AUDIENCE,
        principals=signer.principals,
    )
    servicer = rpc.Servicer(
        identity_pb2.DESCRIPTOR, identity_pb2_grpc.add_IdentityServiceServicer_to_server, organisations
    )
    server = rpc.create_server([servicer], tokens)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield port, organisations
    await server.stop(None)


@pytest.fixture
async def dealer(
    postgres: testing.Postgres, signer: testing.Signer, identity_server: tuple[int, Organisations]
) -> AsyncIterator[Dealer]:
    port, organisations = identity_server
    clock = testing.Clock()
    runtime = await testing.open_runtime(
        app.SERVICE, postgres, signer, clock=clock, identity_grpc=f"127.0.0.1:{port}"
    )
    dealer = Dealer(runtime, app.wire(runtime), signer, clock, organisations)
    organisations.stores[dealer.org_id] = {
        dealer.store_id: "America/Denver", dealer.other_store_id: "America/New_York"
    }
    yield dealer
    await runtime.close()
