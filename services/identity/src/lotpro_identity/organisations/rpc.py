"""The gRPC door: what identity tells the other services."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from lotpro.identity.v1 import identity_pb2, identity_pb2_grpc
from lotpro_identity.accounts import service as accounts
from lotpro_identity.challenges import service as challenges
from lotpro_identity.challenges.domain import Purpose
from lotpro_identity.db import DIRECTORY
from lotpro_identity.organisations import repository, service
from lotpro_identity.ports import Ports
from lotpro_kit import errors, rpc
from lotpro_kit.caller import system
from lotpro_kit.db import Database

#: People that one call describes at most: the page of any list is shorter.
MOST_DESCRIBED = 500


class IdentityRpc(identity_pb2_grpc.IdentityServiceServicer):
    """IdentityService of the contract."""

    def __init__(self, database: Database, ports: Ports) -> None:
        self._database, self._ports = database, ports

    async def GetContacts(  # noqa: N802 - gRPC's name
        self, request: identity_pb2.GetContactsRequest, context: Any
    ) -> identity_pb2.GetContactsResponse:
        """Contact data of accounts; unknown ids and people who are gone are left out."""
        wanted = {rpc.request_id(user_id) for user_id in request.user_ids}
        async with self._database.begin(system(scope=DIRECTORY)) as session:
            found = await accounts.find_many(session, wanted)
            known = [account for account in found.values() if not account.is_ended]
            contacts = [
                identity_pb2.Contact(
                    user_id=str(account.id), name=account.name, email=account.email, locale=account.locale,
                    phone=await accounts.phone_of(session, self._ports, account) or "",
                )
                for account in known
            ]
        return identity_pb2.GetContactsResponse(contacts=contacts)

    async def GetMembers(  # noqa: N802 - gRPC's name
        self, request: identity_pb2.GetMembersRequest, context: Any
    ) -> identity_pb2.GetMembersResponse:
        """The members of an organisation; for roles, those who can use one of them (not while closing the account)."""
        org_id = rpc.request_id(request.org_id)
        async with self._database.begin(system(org_id, scope=DIRECTORY)) as session:
            rows = [row for row in await repository.members(session, org_id) if row.suspended_at is None]
            people = await accounts.find_many(session, {row.account_id for row in rows})
        if request.roles:
            rows = [row for row in rows if row.account_id in people and people[row.account_id].is_active]
        members: dict[str, identity_pb2.Member] = {}
        for row in rows:
            member = members.setdefault(str(row.account_id), identity_pb2.Member(user_id=str(row.account_id)))
            member.roles.add(store_id=str(row.store_id or ""), role=row.role)
        wanted = set(request.roles)
        chosen = [m for m in members.values() if not wanted or wanted & {role.role for role in m.roles}]
        return identity_pb2.GetMembersResponse(members=chosen)

    async def CheckPermission(  # noqa: N802 - gRPC's name
        self, request: identity_pb2.CheckPermissionRequest, context: Any
    ) -> identity_pb2.CheckPermissionResponse:
        """Whether a person may do something now; INVALID_ARGUMENT for a permission that is not in the table."""
        user_id, org_id = rpc.request_id(request.user_id), rpc.request_id(request.org_id)
        store_id = rpc.request_id(request.store_id) if request.store_id else None
        async with self._database.begin(system(org_id, scope=DIRECTORY)) as session:
            stores = await service.stores_with(
                session, user_id=user_id, org_id=org_id, permission=request.permission
            )
        allowed = stores is None or (stores is not False and store_id in stores)
        return identity_pb2.CheckPermissionResponse(allowed=allowed)

    async def DescribeUser(  # noqa: N802 - gRPC's name
        self, request: identity_pb2.DescribeUserRequest, context: Any
    ) -> identity_pb2.DescribeUserResponse:
        """Names of members, and who is a former one; INVALID_ARGUMENT for more than 500."""
        org_id = rpc.request_id(request.org_id)
        wanted = [rpc.request_id(user_id) for user_id in request.user_ids]
        if len(wanted) > MOST_DESCRIBED:
            raise errors.Invalid
        async with self._database.begin(system(org_id, scope=DIRECTORY)) as session:
            names = await service.names_of_members(session, org_id)
        return identity_pb2.DescribeUserResponse(
            users=[
                identity_pb2.User(user_id=str(user_id), name=names.get(user_id, ""), former=user_id not in names)
                for user_id in wanted
            ]
        )

    async def GetOrganisation(  # noqa: N802 - gRPC's name
        self, request: identity_pb2.GetOrganisationRequest, context: Any
    ) -> identity_pb2.GetOrganisationResponse:
        """An organisation's name and stores; NOT_FOUND."""
        org_id = rpc.request_id(request.org_id)
        async with self._database.begin(system(org_id, scope=DIRECTORY)) as session:
            organisation = await repository.organisation(session, org_id)
            if organisation is None:
                raise errors.NotFound
            stores = await repository.stores(session, org_id)
        return identity_pb2.GetOrganisationResponse(
            org_id=str(org_id),
            name=organisation.name,
            stores=[
                identity_pb2.Store(store_id=str(store.id), name=store.name, time_zone=store.time_zone)
                for store in stores
            ],
        )

    async def RevealCode(  # noqa: N802 - gRPC's name
        self, request: identity_pb2.RevealCodeRequest, context: Any
    ) -> identity_pb2.RevealCodeResponse:
        """A challenge's code and where to send it; NOT_FOUND, FAILED_PRECONDITION when it is over."""
        challenge_id = rpc.request_id(request.challenge_id)
        async with self._database.begin(system(scope=DIRECTORY)) as session:
            challenge, code = await challenges.reveal(
                session, challenge_id=challenge_id, codes=self._ports.codes, now=self._ports.clock()
            )
        expires = Timestamp()
        expires.FromDatetime(challenge.expires_at)
        answer = identity_pb2.RevealCodeResponse(
            code=code, purpose=challenge.purpose, channel=challenge.channel, topic=challenge.topic or "",
            expire_time=expires, locale="en-US",
            user_id=str(challenge.account_id or ""), org_id=str(challenge.org_id or ""),
        )
        if challenge.purpose == Purpose.INVITATION:
            await self._invited(answer, challenge)
        else:
            await self._known(answer, challenge)
        return answer

    async def _invited(self, answer: identity_pb2.RevealCodeResponse, challenge: Any) -> None:
        async with self._database.begin(system(challenge.org_id, scope=DIRECTORY)) as session:
            invitation = await repository.invitation_of(session, challenge.id)
            organisation = await repository.organisation(session, challenge.org_id)
        if invitation is None or organisation is None:
            raise errors.NotFound
        answer.address, answer.organisation_name = invitation.email, organisation.name

    async def _known(self, answer: identity_pb2.RevealCodeResponse, challenge: Any) -> None:
        async with self._database.begin(system(scope=DIRECTORY)) as session:
            account = await accounts.find(session, challenge.account_id)
        if account is None or account.is_ended:
            raise errors.NotFound
        answer.address = challenges.open_address(self._ports.keyring, challenge) or account.email
        answer.locale = account.locale
