"""The HTTP door to legal holds."""

from base64 import b64encode
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from lotpro_audit.events import leaf
from lotpro_audit.events.api import answer as event_answer
from lotpro_audit.holds import schemas, service
from lotpro_audit.holds.domain import HoldEndsInThePast, HoldOver, HoldTimeEmpty, Scope
from lotpro_audit.holds.service import Proven
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import service as sequencer
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.cursors import Cursors, InvalidCursor
from lotpro_kit.db import Database

MayPlace = Annotated[Caller, Depends(api.requires("audit:hold:place"))]
MayRelease = Annotated[Caller, Depends(api.requires("audit:hold:release"))]
MayView = Annotated[Caller, Depends(api.requires("audit:hold:view"))]
Active = Annotated[bool | None, Query(description="Only those that keep something, or only those that are over.")]


def router(database: Database, cursors: Cursors, ports: Ports) -> APIRouter:
    """Routes of legal holds."""
    routes = APIRouter(prefix="/api/audit/v1", tags=["holds"])

    @routes.post(
        "/holds",
        status_code=201,
        response_model=schemas.HoldAnswer,
        responses=api.problems(
            errors.Forbidden, errors.NotFound, HoldEndsInThePast, HoldTimeEmpty, api.IdempotencyKeyReused,
            api.IdempotencyInFlight,
        ),
    )
    async def place_hold(body: schemas.PlaceHold, caller: MayPlace, once: api.Idempotent) -> Response:
        """Keep events of the log beyond their day. It is in the log before this answers.

        What went before a hold was placed does not come back: see `first_day` and `days_gone`. Were the log not
        written for a moment (503), the hold may stand already and is logged later: repeat with the same
        Idempotency-Key.
        """
        told: list[UUID] = []

        async def make() -> api.Made:
            made, event_id = await service.place_hold(
                session, caller, ports, scope=Scope(body.store_id, body.person_id, body.since, body.until),
                reason=body.reason, authority=body.authority, ends_at=body.ends_at,
            )
            told.append(event_id)
            return 201, schemas.hold(made, now=ports.clock()), api.etag(made.version)

        async with database.begin(caller) as session:
            response = await once.answer(session, caller, make)
        for event_id in told:
            await sequencer.wait_for(database, event_id)
        return response

    @routes.get("/holds", responses=api.problems(errors.Forbidden, InvalidCursor))
    async def list_holds(
        caller: MayView, active: Active = None, limit: api.Limit = 50, cursor: api.CursorParameter = None
    ) -> schemas.Holds:
        """The organisation's legal holds, newest first. Looking is logged too."""
        listing = f"holds:{active}"
        after = UUID(str(cursors.read(caller, listing, cursor)[0])) if cursor else None
        async with database.begin(caller) as session:
            rows = await service.list_holds(session, caller, ports, active=active, after=after, limit=limit + 1)
        following = cursors.write(caller, listing, [str(rows[limit - 1].id)]) if len(rows) > limit else None
        now = ports.clock()
        return schemas.Holds(items=[schemas.hold(row, now=now) for row in rows[:limit]], next_cursor=following)

    @routes.get(
        "/holds/{hold_id}",
        response_model=schemas.HoldAnswer,
        responses=api.problems(errors.Forbidden, errors.NotFound),
    )
    async def view_hold(hold_id: str, caller: MayView) -> Response:
        """One legal hold. Looking is logged too."""
        wanted = api.path_id(hold_id)
        async with database.begin(caller) as session:
            found = await service.view_hold(session, caller, ports, hold_id=wanted)
        return api.answer(200, schemas.hold(found, now=ports.clock()), api.etag(found.version))

    @routes.post(
        "/holds/{hold_id}:release",
        response_model=schemas.HoldAnswer,
        responses=api.problems(
            errors.Forbidden, errors.NotFound, errors.PreconditionRequired, errors.PreconditionFailed, HoldOver
        ),
    )
    async def release_hold(hold_id: str, caller: MayRelease, version: api.ExpectedVersion) -> Response:
        """End a legal hold: what it alone kept is erased at night. It is in the log before this answers."""
        wanted = api.path_id(hold_id)
        async with database.begin(caller) as session:
            released, event_id = await service.release_hold(
                session, caller, ports, hold_id=wanted, version=version
            )
        await sequencer.wait_for(database, event_id)
        return api.answer(200, schemas.hold(released, now=ports.clock()), api.etag(released.version))

    @routes.get(
        "/holds/{hold_id}/events", responses=api.problems(errors.Forbidden, errors.NotFound, InvalidCursor)
    )
    async def list_held_events(
        hold_id: str, caller: MayView, limit: api.Limit = 50, cursor: api.CursorParameter = None
    ) -> schemas.HeldEvents:
        """What a hold reaches, oldest first, each event with its proof. Looking is logged too."""
        wanted = api.path_id(hold_id)
        listing, after = f"held_events:{wanted}", None
        if cursor:
            occurred_us, seq = cursors.read(caller, listing, cursor)
            after = leaf.moment(int(occurred_us or 0)), int(seq or 0)
        async with database.begin(caller) as session:
            rows = await service.list_held_events(
                session, caller, ports, hold_id=wanted, after=after, limit=limit + 1
            )
        following = None
        if len(rows) > limit:
            last = rows[limit - 1].event.leaf
            following = cursors.write(caller, listing, [last.occurred_us, last.seq])
        return schemas.HeldEvents(items=[_held(row) for row in rows[:limit]], next_cursor=following)

    return routes


def _held(row: Proven) -> schemas.HeldEvent:
    """An event and its proof as they are answered."""
    key = row.event.origin_key
    return schemas.HeldEvent(
        event=event_answer(row.event), leaf=row.event.content.decode(),
        proof=[b64encode(hashed).decode() for hashed in row.path], tree_size=row.size, checkpoint=row.checkpoint,
        origin_key=b64encode(key).decode() if key else None, expired_day=row.expired_day,
    )
