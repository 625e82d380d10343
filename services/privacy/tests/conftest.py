"""Privacy on this test process's database, beside services that answer over real gRPC."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

import lotpro_policy
from lotpro.audit.v1 import audit_pb2, audit_pb2_grpc
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_kit import errors, rpc, service, testing
from lotpro_kit.caller import system
from lotpro_privacy import app
from lotpro_privacy.ports import Ports
from lotpro_privacy.requests.jobs import Engine
from lotpro_privacy.settings import Settings

REQUESTS = "/api/privacy/v1/requests"


class Others(participant_pb2_grpc.PrivacyParticipantServiceServicer, audit_pb2_grpc.AuditServiceServicer):
    """All other services' side of the contracts: what they hold, and how often they fail before they answer."""

    def __init__(self) -> None:
        self.failures = 0
        self.asked: list[participant_pb2.Subject] = []
        self.logged: list[Any] = []
        self.log_is_away = False
        self.policy_sha256 = lotpro_policy.policy().sha256
        self.at_once = 0
        self.slow_until = asyncio.Event()
        self.slow_until.set()

    async def Describe(self, request: Any, context: Any) -> participant_pb2.DescribeResponse:  # noqa: N802
        column = participant_pb2.Column(
            table="customers", column="name", data_class="customer", purpose="provide_services",
            lawful_basis="contract", retention="business_data",
        )
        return participant_pb2.DescribeResponse(policy_sha256=self.policy_sha256, columns=[column])

    async def Discover(self, request: Any, context: Any) -> participant_pb2.DiscoverResponse:  # noqa: N802
        if self.failures:
            self.failures -= 1
            raise errors.Unavailable
        self.asked.append(request.subject)
        self.at_once += 1
        await self.slow_until.wait()
        self.at_once -= 1
        return participant_pb2.DiscoverResponse(
            counts=[participant_pb2.TableCount(table="customers", count=1)], email="casey@example.com"
        )

    async def Export(self, request: Any, context: Any) -> AsyncIterator[participant_pb2.ExportResponse]:  # noqa: N802
        answer = participant_pb2.ExportResponse(table="customers", record_id=request.subject.id)
        answer.fields.update({"name": "Casey Lindqvist"})
        yield answer

    async def AppendEvent(self, request: Any, context: Any) -> audit_pb2.AppendEventResponse:  # noqa: N802
        if self.log_is_away:
            raise errors.Unavailable
        self.logged.append(request.event)
        return audit_pb2.AppendEventResponse(event_id=request.event_id)


@dataclass
class Privacy:
    """The service with an organisation and its compliance officer."""

    runtime: service.Runtime[Settings]
    parts: service.Parts
    signer: testing.Signer
    clock: testing.Clock
    others: Others
    ports: Ports
    org_id: UUID = field(default_factory=uuid4)
    officer_id: UUID = field(default_factory=uuid4)

    def client(self, *roles: str, org_id: UUID | None = None) -> httpx.AsyncClient:
        token = self.signer.user_token(
            user_id=self.officer_id, org_id=org_id or self.org_id, roles={"*": list(roles)}
        )
        return testing.client(app.SERVICE, self.runtime, self.parts, token)

    async def open(self, client: httpx.AsyncClient, **subject: Any) -> dict[str, Any]:
        body = {"kind": "access", "subject": {"kind": "customer", "id": str(uuid4())} | subject}
        answer = await client.post(REQUESTS, json=body)
        assert answer.status_code == 201, answer.text
        opened: dict[str, Any] = answer.json()
        return opened

    async def collect(self) -> None:
        """Let the engine work until nothing is due."""
        await Engine(self.runtime.database, self.ports).collect()


@pytest.fixture
async def privacy(postgres: testing.Postgres, signer: testing.Signer) -> AsyncIterator[Privacy]:
    others, clock = Others(), testing.Clock()
    server_runtime = await testing.open_runtime(
        app.SERVICE, postgres, signer, clock=clock, **dict.fromkeys(_PEERS, "127.0.0.1:1")
    )
    server = rpc.create_server(
        [
            rpc.Servicer(
                participant_pb2.DESCRIPTOR,
                participant_pb2_grpc.add_PrivacyParticipantServiceServicer_to_server,
                others,
            ),
            rpc.Servicer(audit_pb2.DESCRIPTOR, audit_pb2_grpc.add_AuditServiceServicer_to_server, others),
        ],
        server_runtime.service_tokens,
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    runtime = await testing.open_runtime(
        app.SERVICE, postgres, signer, clock=clock, **dict.fromkeys(_PEERS, f"127.0.0.1:{port}")
    )
    # The engine works on all organisations' cases: what another test left behind is not this one's.
    async with runtime.database.begin(system(scope="retention")) as session:
        await session.execute(text("DELETE FROM requests"))
    yield Privacy(runtime, app.wire(runtime), signer, clock, others, app.ports(runtime))
    await runtime.close()
    await server_runtime.close()
    await server.stop(None)


_PEERS = ("identity_grpc", "inventory_grpc", "billing_grpc", "notifications_grpc", "audit_grpc")
