"""From the contract's event to the log's."""

from datetime import UTC, datetime
from uuid import UUID

from lotpro.security.v1 import events_pb2
from lotpro_audit.events.domain import SecurityEvent
from lotpro_audit.ports import Ports
from lotpro_kit.caller import Caller, Origin
from lotpro_kit.crypto import Undecryptable, open_origin

PERSON = "user"


def read(event: events_pb2.SecurityEvent, event_id: UUID, ports: Ports) -> SecurityEvent:
    """The event with its origin opened; an origin that cannot be opened is unknown, the act is not."""
    try:
        origin = open_origin(event.sealed_origin, ports.sealing_key())
    except Undecryptable:
        origin = Origin()
    is_person = event.actor_kind == PERSON
    return SecurityEvent(
        id=event_id,
        occurred_at=event.occurred_time.ToDatetime(tzinfo=UTC),
        action=event.action,
        success=event.outcome == events_pb2.OUTCOME_SUCCESS,
        actor_kind=event.actor_kind,
        actor_id=event.actor_id if is_person else "",
        actor_name="" if is_person else event.actor_id,
        subject_kind=event.subject_kind,
        subject_id=event.subject_id,
        concerned_kind=event.concerned_kind,
        concerned_id=event.concerned_id,
        org_id=event.org_id,
        store_id=event.store_id,
        session_id=event.session_id,
        factor=event.factor,
        request_id=event.request_id,
        trace_id=event.trace_id,
        changed_fields=tuple(event.changed_fields),
        origin=origin,
    )


def of_caller(
    ports: Ports, caller: Caller, action: str, *, event_id: UUID, at: datetime, subject: tuple[str, UUID],
    store_id: UUID | None = None, concerned: tuple[str, UUID] | None = None,
) -> SecurityEvent:
    """An act of audit's own caller, for those that must not happen unlogged."""
    made = ports.security_log.event(
        caller, action, at=at, subject=subject, store_id=store_id, concerned=concerned
    )
    return read(made, event_id, ports)
