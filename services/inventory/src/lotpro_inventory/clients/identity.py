"""What inventory asks of identity: the stores of an organisation."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import grpc.aio

from lotpro.identity.v1 import identity_pb2, identity_pb2_grpc
from lotpro_kit import rpc


@dataclass(frozen=True, slots=True)
class KnownStore:
    """A store as identity knows it; `time_zone` is an IANA name."""

    store_id: UUID
    time_zone: str


class Identity(Protocol):
    """Identity, as far as inventory needs it."""

    async def stores_of(self, org_id: UUID) -> list[KnownStore]:
        """The stores of an organisation; raises NotFound for an unknown one, Unavailable when identity is away."""
        ...


class IdentityOverGrpc:
    """Identity's own gRPC service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = identity_pb2_grpc.IdentityServiceStub(channel)

    async def stores_of(self, org_id: UUID) -> list[KnownStore]:
        with rpc.calling("identity"):
            answer = await self._stub.GetOrganisation(identity_pb2.GetOrganisationRequest(org_id=str(org_id)))
        return [KnownStore(UUID(store.store_id), store.time_zone) for store in answer.stores]
