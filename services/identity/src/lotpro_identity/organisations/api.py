"""The HTTP door to organisations, stores, members and invitations."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.attempts import TooManyAttempts, reserve
from lotpro_identity.accounts.domain import EmailInvalid, PasswordTooWeak
from lotpro_identity.accounts.schemas import NewStore
from lotpro_identity.challenges.domain import CodeInvalid, challenge_of
from lotpro_identity.db import as_authenticator
from lotpro_identity.organisations import service
from lotpro_identity.organisations.domain import AlreadyMember, MayNotGrant, RoleNeedsStore, TimeZoneUnknown
from lotpro_identity.organisations.schemas import (
    AcceptInvitation,
    InvitationAnswer,
    Invitations,
    Invite,
    MemberAnswer,
    MemberRole,
    Members,
    OpenOrganisation,
    OrganisationAnswer,
    OwnOrganisation,
    OwnOrganisations,
    PendingInvitation,
    StoreAnswer,
    UpdateOrganisation,
)
from lotpro_identity.passwords import service as passwords
from lotpro_identity.passwords.hashing import Busy
from lotpro_identity.ports import Ports
from lotpro_identity.sessions.domain import BoundToOrganisation, is_federated
from lotpro_identity.sessions.schemas import Enrolment
from lotpro_identity.sessions.tokens import enrolment_token
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.db import Database, Session

MayUpdate = Annotated[Caller, Depends(api.requires("identity:organisation:update"))]
MayOpen = Annotated[Caller, Depends(api.requires("identity:store:open"))]
MayInvite = Annotated[Caller, Depends(api.requires("identity:member:invite"))]
MayList = Annotated[Caller, Depends(api.requires("identity:member:list"))]


def router(database: Database, ports: Ports) -> APIRouter:
    """Routes of organisations."""
    routes = APIRouter(prefix="/api/identity/v1", tags=["organisations"])

    async def current(session: Session, caller: Caller, response: Response) -> OrganisationAnswer:
        organisation, stores = await service.current(session, caller)
        response.headers.update(api.etag(organisation.version))
        return OrganisationAnswer(
            id=organisation.id, name=organisation.name, allow_sms_factor=organisation.allow_sms_factor,
            allow_email_factor=organisation.allow_email_factor, suspended=organisation.suspended_at is not None,
            stores=[StoreAnswer(id=store.id, name=store.name, time_zone=store.time_zone) for store in stores],
        )

    @routes.get("/organisations/current", responses=api.problems(errors.NotFound))
    async def get_current_organisation(caller: api.Signed, response: Response) -> OrganisationAnswer:
        """The organisation one is signed in to, and its stores."""
        async with database.begin(caller) as session:
            return await current(session, caller, response)

    @routes.patch(
        "/organisations/current",
        responses=api.problems(
            errors.Forbidden, errors.NotFound, errors.PreconditionFailed, errors.PreconditionRequired,
            api.StepUpRequired,
        ),
    )
    async def update_current_organisation(
        body: UpdateOrganisation, caller: MayUpdate, expected: api.ExpectedVersion, response: Response
    ) -> OrganisationAnswer:
        """Rename the organisation, or say which factors its people may use from their next sign-in on."""
        api.check_stepped_up(caller, now=ports.clock().timestamp())
        async with database.begin(caller) as session:
            await service.update_organisation(
                session, caller, ports, expected=expected, changes=body.model_dump(exclude_none=True)
            )
            return await current(session, caller, response)

    @routes.post(
        "/organisations/current:suspend", status_code=204, responses=api.problems(errors.Forbidden, api.StepUpRequired)
    )
    async def suspend_organisation(caller: MayUpdate) -> Response:
        """Take everybody's access but the owners' at once, for the day something is wrong; roles stay."""
        api.check_stepped_up(caller, now=ports.clock().timestamp())
        async with database.begin(as_authenticator(caller)) as session:
            await service.suspend(session, caller, ports, suspended=True)
        return Response(status_code=204)

    @routes.post(
        "/organisations/current:resume", status_code=204, responses=api.problems(errors.Forbidden, api.StepUpRequired)
    )
    async def resume_organisation(caller: MayUpdate) -> Response:
        """Give everybody back what a suspension of the organisation took."""
        api.check_stepped_up(caller, now=ports.clock().timestamp())
        async with database.begin(as_authenticator(caller)) as session:
            await service.suspend(session, caller, ports, suspended=False)
        return Response(status_code=204)

    @routes.post(
        "/organisations",
        status_code=201,
        responses=api.problems(api.StepUpRequired, BoundToOrganisation, TimeZoneUnknown, TooManyAttempts),
    )
    async def create_organisation(body: OpenOrganisation, caller: api.SteppedUp, once: api.Idempotent) -> Response:
        """Open another organisation with its first store, and own it; `POST /sessions:switch` goes there."""
        if is_federated(caller.amr):
            raise BoundToOrganisation

        async def make() -> api.Made:
            org_id = await service.open_organisation(
                session, caller, ports, name=body.organisation.name, store=body.store.name,
                time_zone=body.store.time_zone,
            )
            return 201, OwnOrganisation(id=org_id, name=body.organisation.name, current=False), {}

        async with database.begin(as_authenticator(caller)) as session:
            return await once.answer(session, caller, make)

    @routes.get("/organisations")
    async def list_own_organisations(caller: api.Signed) -> OwnOrganisations:
        """The organisations one can be at work in."""
        async with database.begin(as_authenticator(caller)) as session:
            rows = await service.organisations_of(session, api.user_id(caller))
        return OwnOrganisations(
            items=[OwnOrganisation(id=row.id, name=row.name, current=row.id == caller.org_id) for row in rows]
        )

    @routes.post("/stores", status_code=201, responses=api.problems(TimeZoneUnknown, errors.Forbidden))
    async def open_store(body: NewStore, caller: MayOpen, once: api.Idempotent) -> Response:
        """Open another store."""

        async def make() -> api.Made:
            store_id = await service.open_store(session, caller, ports, name=body.name, time_zone=body.time_zone)
            return 201, StoreAnswer(id=store_id, name=body.name, time_zone=body.time_zone), api.etag(1)

        async with database.begin(caller) as session:
            return await once.answer(session, caller, make)

    @routes.get("/members", responses=api.problems(errors.Forbidden))
    async def list_members(caller: MayList) -> Members:
        """The people of the organisation, in the stores where one may see them."""
        async with database.begin(caller) as session:
            rows = await service.list_members(session, caller)
        people: dict[str, MemberAnswer] = {}
        for row, account in rows:
            role = MemberRole(role=row.role, store_id=row.store_id)
            known = people.get(str(row.account_id))
            roles = [*known.roles, role] if known else [role]
            people[str(row.account_id)] = MemberAnswer(
                user_id=account.id, name=account.name, email=account.email, roles=roles,
                version=account.access_version, suspended=row.suspended_at is not None,
            )
        return Members(items=list(people.values()))

    @routes.post(
        "/invitations",
        status_code=201,
        responses=api.problems(EmailInvalid, RoleNeedsStore, MayNotGrant, AlreadyMember, errors.NotFound),
    )
    async def invite_member(body: Invite, caller: MayInvite, once: api.Idempotent) -> Response:
        """Invite a person to a role; the e-mail holds a token for one use within a week."""

        async def make() -> api.Made:
            invitation_id = await service.invite_member(
                session, caller, ports, email=body.email, role=body.role, store_id=body.store_id
            )
            return 201, InvitationAnswer(id=invitation_id), {}

        async with database.begin(caller) as session:
            return await once.answer(session, caller, make)

    @routes.get("/invitations", responses=api.problems(errors.Forbidden))
    async def list_invitations(caller: MayInvite) -> Invitations:
        """Invitations that nobody has accepted yet."""
        async with database.begin(caller) as session:
            rows = await service.list_invitations(session, caller, now=ports.clock())
        return Invitations(
            items=[
                PendingInvitation(
                    id=row.id, email=row.email, role=row.role, store_id=row.store_id, invited_at=row.created_at,
                    expires_at=until,
                )
                for row, until in rows
            ]
        )

    @routes.delete(
        "/invitations/{invitation_id}", status_code=204, responses=api.problems(errors.Forbidden, errors.NotFound)
    )
    async def revoke_invitation(invitation_id: str, caller: MayInvite) -> Response:
        """Take an invitation back."""
        async with database.begin(caller) as session:
            await service.revoke_invitation(session, caller, ports, invitation_id=api.path_id(invitation_id))
        return Response(status_code=204)

    @routes.post(
        "/invitations/{invitation_id}:resend",
        status_code=202,
        responses=api.problems(errors.Forbidden, errors.NotFound, TooManyAttempts),
    )
    async def resend_invitation(invitation_id: str, caller: MayInvite) -> Response:
        """Send an invitation again; the link in the mail before ends."""
        async with database.begin(caller) as session:
            await service.resend_invitation(session, caller, ports, invitation_id=api.path_id(invitation_id))
        return Response(status_code=202)

    @routes.post("/invitations:accept", responses=api.problems(CodeInvalid, PasswordTooWeak, TooManyAttempts, Busy))
    async def accept_invitation(body: AcceptInvitation, caller: api.Anyone) -> Enrolment:
        """Join an organisation; the token answered only enrols a second factor."""
        challenge_id = challenge_of(body.token)
        password = body.password.get_secret_value()
        async with database.begin(as_authenticator(caller)) as session:
            await reserve(session, "invitation", account=str(challenge_id), ip=caller.origin.ip, now=ports.clock())
            # Before anything is told or tried: who made the token up learns nothing of whoever was invited.
            invitation = await service.peek_invitation(session, ports, token=body.token)
            found = await accounts.find_by_email(session, invitation.email)
            known = found if found is not None and not found.is_unproven else None
            places = await service.names_around(session, org_id=invitation.org_id)
            if known is not None:
                await reserve(session, "password", account=known.email, ip=caller.origin.ip, now=ports.clock())
        if known is not None:
            right = await ports.passwords.verify(password, known.password_hash)
            if not right or not known.is_active or known.reset_required_at is not None:
                raise CodeInvalid
            hashed = known.password_hash
        else:
            await passwords.check_new(ports, password, known=(body.name, invitation.email, *places))
            hashed = await ports.passwords.hash(password)
        async with database.begin(as_authenticator(caller)) as session:
            invitation = await service.invitation_for(session, ports, token=body.token)
            account = known or await service.add_invited(
                session, caller, ports, name=body.name, email=invitation.email, password_hash=hashed
            )
            await service.join(session, caller, ports, invitation=invitation, account_id=account.id)
        return Enrolment(**enrolment_token(ports, account))

    return routes
