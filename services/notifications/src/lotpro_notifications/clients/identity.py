"""What notifications asks of identity: who is to be told, where, and the codes to tell them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

import grpc.aio

from lotpro.identity.v1 import identity_pb2, identity_pb2_grpc
from lotpro_kit import errors, rpc

ORG_OWNER = "org_owner"


class CodeIsGone(errors.Conflict):
    """The code was used, replaced or has expired; it must not be sent any more."""

    code = "notifications.code_is_gone"
    message = "This code can no longer be used."


@dataclass(frozen=True, slots=True)
class Contact:
    """Where a person is reached; `phone` is E.164, or empty when they set none."""

    name: str
    email: str
    phone: str


@dataclass(frozen=True, slots=True)
class Code:
    """A one-time code (or an invitation's token) and where it goes; `channel` is `email` or `sms`."""

    code: str
    purpose: str
    channel: str
    address: str
    expires_at: datetime
    organisation_name: str
    #: What an alert tells of.
    topic: str = ""


class Identity(Protocol):
    """Identity, as far as notifications needs it. Every method raises Unavailable when identity is away."""

    async def contacts(self, user_ids: Collection[UUID]) -> dict[UUID, Contact]:
        """Where these people are reached; the unknown ones are left out."""
        ...

    async def owners(self, org_id: UUID) -> list[UUID]:
        """The people who own an organisation."""
        ...

    async def members(self, org_id: UUID) -> list[UUID]:
        """All people of an organisation."""
        ...

    async def members_with(self, org_id: UUID, roles: Collection[str]) -> list[UUID]:
        """The people of an organisation who have one of these roles, somewhere in it."""
        ...

    async def reveal_code(self, challenge_id: UUID) -> Code:
        """The code of a challenge; raises CodeIsGone."""
        ...


class IdentityOverGrpc:
    """Identity's own gRPC service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = identity_pb2_grpc.IdentityServiceStub(channel)

    async def contacts(self, user_ids: Collection[UUID]) -> dict[UUID, Contact]:
        request = identity_pb2.GetContactsRequest(user_ids=[str(user_id) for user_id in user_ids])
        with rpc.calling("identity"):
            answer = await self._stub.GetContacts(request)
        return {
            UUID(found.user_id): Contact(name=found.name, email=found.email, phone=found.phone)
            for found in answer.contacts
        }

    async def owners(self, org_id: UUID) -> list[UUID]:
        return await self._members(org_id, [ORG_OWNER])

    async def members(self, org_id: UUID) -> list[UUID]:
        return await self._members(org_id, [])

    async def members_with(self, org_id: UUID, roles: Collection[str]) -> list[UUID]:
        # Asked for no role, identity would name everybody.
        return await self._members(org_id, sorted(roles)) if roles else []

    async def _members(self, org_id: UUID, roles: list[str]) -> list[UUID]:
        with rpc.calling("identity"):
            answer = await self._stub.GetMembers(identity_pb2.GetMembersRequest(org_id=str(org_id), roles=roles))
        return [UUID(member.user_id) for member in answer.members]

    async def reveal_code(self, challenge_id: UUID) -> Code:
        try:
            with rpc.calling("identity"):
                found = await self._stub.RevealCode(identity_pb2.RevealCodeRequest(challenge_id=str(challenge_id)))
        except (rpc.Refused, errors.NotFound) as error:
            raise CodeIsGone from error
        return Code(
            code=found.code,
            purpose=found.purpose,
            channel=found.channel,
            address=found.address,
            expires_at=found.expire_time.ToDatetime(UTC),
            organisation_name=found.organisation_name,
            topic=found.topic,
        )
