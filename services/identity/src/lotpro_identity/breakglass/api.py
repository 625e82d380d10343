"""The HTTP door to the platform's access to an organisation."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import AfterValidator, Field

from lotpro_identity.accounts.schemas import one_line
from lotpro_identity.breakglass import service
from lotpro_identity.breakglass.domain import MemberHere, NotStaff
from lotpro_identity.db import as_authenticator
from lotpro_identity.ports import Ports
from lotpro_identity.sessions import service as sessions
from lotpro_identity.sessions.domain import SessionOver
from lotpro_identity.sessions.schemas import Transport
from lotpro_identity.sessions.tokens import SteppedUp, deliver_access, transport_of
from lotpro_kit import api, errors
from lotpro_kit.api import Answer, Body
from lotpro_kit.caller import Caller
from lotpro_kit.db import Database

MayList = Annotated[Caller, Depends(api.requires("identity:access:list"))]


class OpenAccess(Body):
    """Which organisation to look into, why, and for how many minutes."""

    organisation_id: UUID
    reason: Annotated[
        str,
        Field(min_length=20, max_length=500, examples=["Ticket 4711: the owner sees no vehicles"]),
        AfterValidator(one_line),
    ]
    minutes: Annotated[int, Field(ge=5, le=60, examples=[30])] = 30
    transport: Transport = Transport.BODY


class AccessAnswer(Answer):
    """One look into the organisation by somebody of the platform."""

    id: UUID
    role: str
    reason: str
    opened_at: datetime
    expires_at: datetime
    ended_at: datetime | None


class Accesses(Answer):
    """Newest first."""

    items: list[AccessAnswer]


def router(database: Database, ports: Ports) -> APIRouter:
    """Routes of the platform's access."""
    routes = APIRouter(prefix="/api/identity/v1", tags=["access"])

    @routes.post(
        "/accesses", responses=api.problems(NotStaff, errors.NotFound, MemberHere, api.StepUpRequired, SessionOver)
    )
    async def open_access(
        body: OpenAccess, request: Request, caller: api.SteppedUp, response: Response
    ) -> SteppedUp:
        """Look into a dealer's organisation, for an hour at most. Its owners are told, and it is logged."""
        async with database.begin(as_authenticator(caller)) as session:
            await service.open_access(
                session, caller, ports, org_id=body.organisation_id, reason=body.reason,
                duration=timedelta(minutes=body.minutes),
            )
            token = await sessions.switch(session, caller, ports, org_id=body.organisation_id)
        return deliver_access(response, token, transport_of(request, body.transport))

    @routes.post("/accesses:close", status_code=204, responses=api.problems(errors.NotFound))
    async def close_access(caller: api.Signed) -> Response:
        """End one's look into an organisation before its time."""
        async with database.begin(as_authenticator(caller)) as session:
            await service.close_access(session, caller, ports)
        return Response(status_code=204)

    @routes.get("/accesses", responses=api.problems(errors.Forbidden))
    async def list_accesses(caller: MayList) -> Accesses:
        """Who of the platform looked into one's organisation, when and why."""
        async with database.begin(caller) as session:
            rows = await service.list_accesses(session, caller)
        return Accesses(
            items=[
                AccessAnswer(
                    id=row.id, role=row.role, reason=row.reason, opened_at=row.opened_at, expires_at=row.expires_at,
                    ended_at=row.ended_at,
                )
                for row in rows
            ]
        )

    return routes
