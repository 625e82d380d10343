"""The HTTP door to the log."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, AwareDatetime, IPvAnyAddress

from lotpro_audit.events import domain, leaf, origins, service
from lotpro_audit.events.domain import Filter
from lotpro_audit.events.repository import Position
from lotpro_audit.events.schemas import EventAnswer, Events, ProofAnswer
from lotpro_audit.events.service import Event
from lotpro_audit.ports import Ports
from lotpro_audit.texts import storable
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.cursors import Cursors, InvalidCursor
from lotpro_kit.db import Database

MayView = Annotated[Caller, Depends(api.requires(service.VIEW))]
Outcome = Literal["success", "failure"]
Action = Annotated[str | None, Query(max_length=96, pattern=r"^[a-z:_]*$", examples=["inventory:vehicle:sell"])]
Address = Annotated[IPvAnyAddress | None, Query(examples=["203.0.113.9"])]


Moment = Annotated[
    Annotated[AwareDatetime, AfterValidator(storable)] | None, Query(examples=["2026-11-01T00:00:00Z"])
]
OWN = "events:mine"


def router(database: Database, cursors: Cursors, ports: Ports) -> APIRouter:
    """Routes of the log."""
    routes = APIRouter(prefix="/api/audit/v1", tags=["events"])

    @routes.get("/events", responses=api.problems(errors.Forbidden, InvalidCursor))
    async def list_events(
        caller: MayView,
        actor_id: UUID | None = None,
        subject_id: UUID | None = None,
        store_id: UUID | None = None,
        session_id: UUID | None = None,
        ip: Address = None,
        action: Action = None,
        outcome: Outcome | None = None,
        since: Moment = None,
        until: Moment = None,
        limit: api.Limit = 50,
        cursor: api.CursorParameter = None,
    ) -> Events:
        """The organisation's security log, or that of one's stores, newest first. Looking is logged too."""
        wanted = Filter(
            actor_id=actor_id, subject_id=subject_id, store_id=store_id, session_id=session_id, action=action,
            ip_index=None if ip is None else origins.ip_index(ports.blind_index, str(ip)),
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

    @routes.get("/events/{event_id}/proof", responses=api.problems(errors.NotFound))
    async def prove_event(event_id: str, caller: api.Signed) -> ProofAnswer:
        """The proof that an event is in the signed log, for those who may see the event. Looking is logged too."""
        viewer, user_id = service.seeing(caller), api.user_id(caller)
        async with database.begin(viewer) as session:
            event, checkpoint, path = await service.prove_event(
                session, viewer, ports, user_id=user_id, event_id=api.path_id(event_id)
            )
        shown = bool(event.origin_key)
        return ProofAnswer(
            leaf=event.content.decode(), seq=event.leaf.seq, size=checkpoint.size,
            proof=[b64encode(part).decode() for part in path], checkpoint=checkpoint.note,
            origin_key=b64encode(event.origin_key).decode() if shown else None,
            ip=event.origin.ip if shown else None, user_agent=event.origin.user_agent if shown else None,
        )

    def _position(caller: Caller, listing: str, cursor: str | None) -> Position | None:
        if cursor is None:
            return None
        occurred_us, seq = cursors.read(caller, listing, cursor)
        return leaf.moment(int(occurred_us or 0)), int(seq or 0)

    def _page(caller: Caller, listing: str, rows: Sequence[Event], limit: int) -> Events:
        following = None
        if len(rows) > limit:
            last = rows[limit - 1].leaf
            following = cursors.write(caller, listing, [last.occurred_us, last.seq])
        return Events(items=[answer(event) for event in rows[:limit]], next_cursor=following)

    return routes


def answer(event: Event) -> EventAnswer:
    """An event as it is shown."""
    made, origin = event.leaf, event.origin
    # Ids are read with the rest, in a third of the time that UUID takes for each.
    return EventAnswer.model_validate({
        "id": made.id, "seq": made.seq, "org_seq": made.org_seq, "occurred_at": made.occurred_at,
        "logged_at": made.logged_at, "action": made.action, "outcome": "success" if made.success else "failure",
        "actor": {"kind": made.actor_kind, "id": made.actor_id or made.actor_name},
        "subject": _party(made.subject_kind, made.subject_id),
        "concerned": _party(made.concerned_kind, made.concerned_id), "store_id": made.store_id or None,
        "session_id": made.session_id, "factor": made.factor, "feature": made.feature, "ip": origin.ip,
        "user_agent": origin.user_agent, "changed_fields": list(made.changed_fields), "request_id": made.request_id,
        "trace_id": made.trace_id, "ocsf_class_uid": made.class_uid,
        "ocsf_class_name": domain.ocsf(made.action).class_name, "ocsf_activity_id": made.activity_id,
    })


def _party(kind: str, party_id: str) -> dict[str, str] | None:
    return {"kind": kind, "id": party_id} if kind else None
