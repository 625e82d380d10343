"""The HTTP door to the register of disclosures."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from lotpro_audit.disclosures import schemas, service
from lotpro_audit.disclosures.domain import DisclosureNotTold, DisclosureTimesImpossible
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import service as sequencer
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.cursors import Cursors, InvalidCursor
from lotpro_kit.db import Database

MayRecord = Annotated[Caller, Depends(api.requires("audit:disclosure:record"))]
MayView = Annotated[Caller, Depends(api.requires("audit:disclosure:view"))]
LISTING = "disclosures"


def router(database: Database, cursors: Cursors, ports: Ports) -> APIRouter:
    """Routes of the register of disclosures."""
    routes = APIRouter(prefix="/api/audit/v1", tags=["disclosures"])

    @routes.post(
        "/disclosures",
        status_code=201,
        response_model=schemas.DisclosureAnswer,
        responses=api.problems(
            errors.Forbidden, errors.NotFound, DisclosureTimesImpossible, DisclosureNotTold,
            api.IdempotencyKeyReused, api.IdempotencyInFlight,
        ),
    )
    async def record_disclosure(
        body: schemas.RecordDisclosure, caller: MayRecord, once: api.Idempotent
    ) -> Response:
        """Record what was handed to an authority; it can never be changed. It is in the log before this answers.

        Were the log not written for a moment (503), the line may stand already and is logged later: repeat with the
        same Idempotency-Key.
        """
        told: list[UUID] = []

        async def make() -> api.Made:
            line, event_id = await service.record_disclosure(
                session, caller, ports, request=body.request(), given=body.given()
            )
            told.append(event_id)
            return 201, schemas.disclosure(line), {}

        async with database.begin(caller) as session:
            response = await once.answer(session, caller, make)
        for event_id in told:
            await sequencer.wait_for(database, event_id)
        return response

    @routes.get("/disclosures", responses=api.problems(errors.Forbidden, InvalidCursor))
    async def list_disclosures(
        caller: MayView, limit: api.Limit = 50, cursor: api.CursorParameter = None
    ) -> schemas.Disclosures:
        """The organisation's register of disclosures, newest first. Looking is logged too."""
        after = UUID(str(cursors.read(caller, LISTING, cursor)[0])) if cursor else None
        async with database.begin(caller) as session:
            rows = await service.list_disclosures(session, caller, ports, after=after, limit=limit + 1)
        following = cursors.write(caller, LISTING, [str(rows[limit - 1].id)]) if len(rows) > limit else None
        return schemas.Disclosures(items=[schemas.disclosure(row) for row in rows[:limit]], next_cursor=following)

    @routes.get("/disclosures/{disclosure_id}", responses=api.problems(errors.Forbidden, errors.NotFound))
    async def view_disclosure(disclosure_id: str, caller: MayView) -> schemas.DisclosureAnswer:
        """One line of the register. Looking is logged too."""
        wanted = api.path_id(disclosure_id)
        async with database.begin(caller) as session:
            found = await service.view_disclosure(session, caller, ports, disclosure_id=wanted)
        return schemas.disclosure(found)

    return routes
