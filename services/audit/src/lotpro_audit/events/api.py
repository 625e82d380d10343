"""The HTTP door to the log."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from lotpro_audit.events import domain, service
from lotpro_audit.events.repository import Filter
from lotpro_audit.events.schemas import EventAnswer, Events, Party
from lotpro_audit.ports import Ports
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller, Origin
from lotpro_kit.cursors import Cursors, InvalidCursor
from lotpro_kit.db import Database

MayView = Annotated[Caller, Depends(api.requires("audit:event:view"))]
Outcome = Literal["success", "failure"]
Text = Annotated[str | None, Query(max_length=96)]
Moment = Annotated[datetime | None, Query(examples=["2026-11-01T00:00:00Z"])]


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
        return await _page(caller, caller, wanted, limit, cursor)

    @routes.get("/events/mine", responses=api.problems(InvalidCursor))
    async def list_own_events(caller: api.Signed, limit: api.Limit = 50, cursor: api.CursorParameter = None) -> Events:
        """What oneself did, or what was done in one's name, newest first."""
        alone = replace(caller, org_id=None, stores=frozenset())
        return await _page(caller, alone, Filter(actor_id=str(api.user_id(caller))), limit, cursor)

    async def _page(caller: Caller, seen_as: Caller, wanted: Filter, limit: int, cursor: str | None) -> Events:
        listing = f"events:{seen_as.org_id}:{wanted.spelled()}"
        after = _position(cursors.read(caller, listing, cursor)) if cursor else None
        async with database.begin(seen_as) as session:
            rows = await service.list_events(session, caller, ports, wanted=wanted, after=after, limit=limit)
        following = None
        if len(rows) > limit:
            last = rows[limit - 1][0]
            following = cursors.write(caller, listing, [last.occurred_at.isoformat(), str(last.id)])
        return Events(items=[_answer(row, origin) for row, origin in rows[:limit]], next_cursor=following)

    return routes


def _position(values: list[str | int | None]) -> tuple[datetime, UUID]:
    return datetime.fromisoformat(str(values[0])), UUID(str(values[1]))


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
