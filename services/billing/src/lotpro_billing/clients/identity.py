"""What billing asks of identity: whom the bill goes to."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import grpc.aio

from lotpro.identity.v1 import identity_pb2, identity_pb2_grpc
from lotpro_kit import rpc


@dataclass(frozen=True, slots=True, repr=False)
class Payer:
    """Whom the bill is addressed to; texts are empty where identity knows nothing."""

    organisation_name: str
    email: str


class Identity(Protocol):
    """Identity, as far as billing needs it."""

    async def payer(self, org_id: UUID, owner_id: UUID) -> Payer:
        """An organisation's name and its owner's address; raises NotFound, and Unavailable when identity is away."""
        ...


class IdentityOverGrpc:
    """Identity's own gRPC service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = identity_pb2_grpc.IdentityServiceStub(channel)

    async def payer(self, org_id: UUID, owner_id: UUID) -> Payer:
        with rpc.calling("identity"):
            organisation = await self._stub.GetOrganisation(identity_pb2.GetOrganisationRequest(org_id=str(org_id)))
            found = await self._stub.GetContacts(identity_pb2.GetContactsRequest(user_ids=[str(owner_id)]))
        email = found.contacts[0].email if found.contacts else ""
        return Payer(organisation_name=organisation.name, email=email)
