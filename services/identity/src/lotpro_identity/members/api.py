"""The HTTP door to members."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from lotpro_identity.db import as_authenticator
from lotpro_identity.members import service
from lotpro_identity.members.domain import OwnRoles
from lotpro_identity.organisations.domain import LastOwner, MayNotGrant, Role, RoleNeedsStore
from lotpro_identity.ports import Ports
from lotpro_kit import api, errors
from lotpro_kit.api import Body
from lotpro_kit.caller import Caller
from lotpro_kit.db import Database

MayUpdate = Annotated[Caller, Depends(api.requires("identity:member:update"))]
MayRemove = Annotated[Caller, Depends(api.requires("identity:member:remove"))]
MayTransfer = Annotated[Caller, Depends(api.requires("identity:organisation:transfer"))]
_CHANGING = (OwnRoles, errors.NotFound, LastOwner, MayNotGrant, api.StepUpRequired)


class RoleOf(Body):
    """A role, in a store or, without one, in the whole organisation."""

    role: Role = Field(examples=["sales"])
    store_id: UUID | None = None


class SetRoles(Body):
    """Everything the member is to be in the stores one answers for."""

    roles: Annotated[list[RoleOf], Field(min_length=1, max_length=200)]


class Transfer(Body):
    """Who is to own the organisation."""

    user_id: UUID


def router(database: Database, ports: Ports) -> APIRouter:
    """Routes of members."""
    routes = APIRouter(prefix="/api/identity/v1", tags=["members"])

    def check(caller: Caller) -> None:
        api.check_stepped_up(caller, now=ports.clock().timestamp())

    @routes.put(
        "/members/{user_id}/roles",
        status_code=204,
        responses=api.problems(
            *_CHANGING, RoleNeedsStore, errors.PreconditionFailed, errors.PreconditionRequired, errors.Forbidden
        ),
    )
    async def set_member_roles(
        user_id: str, body: SetRoles, caller: MayUpdate, expected: api.ExpectedVersion
    ) -> Response:
        """Say what a member is; If-Match takes the member's version. It holds on their next request, everywhere."""
        check(caller)
        async with database.begin(as_authenticator(caller)) as session:
            await service.set_roles(
                session, caller, ports, user_id=api.path_id(user_id), expected=expected,
                wanted={(entry.role, entry.store_id) for entry in body.roles},
            )
        return Response(status_code=204)

    @routes.delete("/members/{user_id}", status_code=204, responses=api.problems(*_CHANGING, errors.Forbidden))
    async def remove_member(user_id: str, caller: MayRemove) -> Response:
        """Take every role one answers for from a member; without any role left they are out of the organisation."""
        check(caller)
        async with database.begin(as_authenticator(caller)) as session:
            await service.remove(session, caller, ports, user_id=api.path_id(user_id))
        return Response(status_code=204)

    @routes.post("/members/{user_id}:suspend", status_code=204, responses=api.problems(*_CHANGING, errors.Forbidden))
    async def suspend_member(user_id: str, caller: MayUpdate) -> Response:
        """Take a member's access for a while; roles stay."""
        check(caller)
        async with database.begin(as_authenticator(caller)) as session:
            await service.suspend(session, caller, ports, user_id=api.path_id(user_id), suspended=True)
        return Response(status_code=204)

    @routes.post("/members/{user_id}:resume", status_code=204, responses=api.problems(*_CHANGING, errors.Forbidden))
    async def resume_member(user_id: str, caller: MayUpdate) -> Response:
        """Give a suspended member access again."""
        check(caller)
        async with database.begin(as_authenticator(caller)) as session:
            await service.suspend(session, caller, ports, user_id=api.path_id(user_id), suspended=False)
        return Response(status_code=204)

    @routes.post(
        "/organisations/current:leave", status_code=204, responses=api.problems(LastOwner, api.StepUpRequired)
    )
    async def leave_organisation(caller: api.SteppedUp) -> Response:
        """Leave the organisation one is at work in; its last owner cannot."""
        async with database.begin(as_authenticator(caller)) as session:
            await service.leave(session, caller, ports)
        return Response(status_code=204)

    @routes.post(
        "/organisations/current:transfer", status_code=204, responses=api.problems(*_CHANGING, errors.Forbidden)
    )
    async def transfer_organisation(body: Transfer, caller: MayTransfer) -> Response:
        """Hand the organisation to another member; one runs its stores from then on."""
        check(caller)
        async with database.begin(as_authenticator(caller)) as session:
            await service.transfer(session, caller, ports, user_id=body.user_id)
        return Response(status_code=204)

    return routes
