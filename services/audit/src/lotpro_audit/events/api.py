"""The HTTP door to the log."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, AwareDatetime

from lotpro_audit.events import domain, service
from lotpro_audit.events.repository import Filter, Position
from lotpro_audit.events.schemas import EventAnswer, Events, Party
from lotpro_audit.ports import Ports
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller, Origin
from lotpro_kit.cursors import Cursors, InvalidCursor
from lotpro_kit.db import Database

MayView = Annotated[Caller, Depends(api.requires("audit:event:view"))]
Outcome = Literal["success", "failure"]
#: What ids and actions are spelled with.
Text = Annotated[str | None, Query(max_length=96, pattern=r"^[A-Za-z0-9:._-]*$")]


def _storable(moment: datetime) -> datetime:
    if not 1970 <= moment.year < 9000:
        raise ValueError("must be between the years 1970 and 9000")
    return moment


Moment = Annotated[
    Annotated[AwareDatetime, AfterValidator(_storable)] | None, Query(examples=["2026-11-01T00:00:00Z"])
]
OWN = "events:mine"


def router(database: Database, cursors: Cursors, ports: Ports) -> APIRouter:
    """Routes of the log."""
    routes = APIRouter(prefix="/api/audit/v1", tags=["events"])

    @routes.get("/events", responses=api.problems(errors.Forbidden, InvalidCursor))
    async def list_events(
        caller: MayView,
        actor_id: Text = None,
        subject_id: Text = None,
        store_id: UUID | None = None,
        session_id: Text = None,
        action: Text = None,
        outcome: Outcome | None = None,
        since: Moment = None,
        until: Moment = None,
        limit: api.Limit = 50,
        cursor: api.CursorParameter = None,
    ) -> Events:
        """The organisation's security log, or that of one's stores, newest first. Looking is logged too."""
        wanted = Filter(
            actor_id=actor_id, subject_id=subject_id, store_id=store_id, session_id=session_id, action=action,
            success=None if outcome is None else outcome == "success", since=since, until=until,
        )
        listing = f"events:{caller.org_id}:{wanted.spelled()}"
        after = _position(caller, listing, cursor)
        async with database.begin(caller) as session:
            rows = await service.list_events(session, caller, ports, wanted=wanted, after=after, limit=limit)
        return _page(caller, listing, rows, limit)

    @routes.get("/events/mine", responses=api.problems(InvalidCursor))
    async def list_own_events(caller: api.Signed, limit: api.Limit = 50, cursor: api.CursorParameter = None) -> Events:
        """What oneself did, in any organisation or before there was one, newest first. Looking is logged too."""
        user_id, after = api.user_id(caller), _position(caller, OWN, cursor)
        async with database.begin(replace(caller, org_id=None, stores=frozenset())) as session:
            rows = await service.list_own_events(session, caller, ports, user_id=user_id, after=after, limit=limit)
        return _page(caller, OWN, rows, limit)

    def _position(caller: Caller, listing: str, cursor: str | None) -> Position | None:
        if cursor is None:
            return None
        occurred_at, event_id = cursors.read(caller, listing, cursor)
        return datetime.fromisoformat(str(occurred_at)), UUID(str(event_id))

    def _page(caller: Caller, listing: str, rows: Sequence[tuple[Any, Origin]], limit: int) -> Events:
        following = None
        if len(rows) > limit:
            last = rows[limit - 1][0]
            following = cursors.write(caller, listing, [last.occurred_at.isoformat(), str(last.id)])
        return Events(items=[_answer(row, origin) for row, origin in rows[:limit]], next_cursor=following)

    return routes


def _answer(row: Any, origin: Origin) -> EventAnswer:
    kind = domain.ocsf(row.action)
    return EventAnswer(
        id=row.id, occurred_at=row.occurred_at, action=row.action, outcome="success" if row.success else "failure",
        actor=Party(kind=row.actor_kind, id=row.actor_id), subject=_party(row.subject_kind, row.subject_id),
        concerned=_party(row.concerned_kind, row.concerned_id), store_id=row.store_id, session_id=row.session_id,
        factor=row.factor, ip=origin.ip, user_agent=origin.user_agent, changed_fields=row.changed_fields,
        request_id=row.request_id, trace_id=row.trace_id, ocsf_class_uid=kind.class_uid,
        ocsf_class_name=kind.class_name,
    )


def _party(kind: str, party_id: str) -> Party | None:
    return Party(kind=kind, id=party_id) if kind else None
