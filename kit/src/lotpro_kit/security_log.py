"""The one way to say that something security-relevant happened: an event for audit, in the same transaction."""

from datetime import datetime
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from lotpro.security.v1 import events_pb2
from lotpro_kit import crypto, outbox, telemetry
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session


class SecurityLog:
    """Builds and records security events; where they came from is sealed to audit's public key."""

    def __init__(self, *, service: str, sealing_public_key: str) -> None:
        self._service = service
        self._public_key = sealing_public_key

    async def record(
        self,
        session: Session,
        caller: Caller,
        action: str,
        *,
        at: datetime,
        success: bool = True,
        subject: tuple[str, UUID] | None = None,
        store_id: UUID | None = None,
        org_id: UUID | None = None,
        actor_id: UUID | None = None,
        session_id: UUID | None = None,
        factor: str = "",
        changed: tuple[str, ...] = (),
        concerned: tuple[str, UUID] | None = None,
    ) -> None:
        """Record an act (`service:noun:verb`) that becomes true with the transaction.

        `subject` is what it was done to, `concerned` another person it is about, `changed` names fields, never values.
        `actor_id`, `org_id` and `session_id` stand in where the caller is not signed in yet.
        """
        event = self.event(
            caller, action, at=at, success=success, subject=subject, store_id=store_id, org_id=org_id,
            actor_id=actor_id, session_id=session_id, factor=factor, changed=changed, concerned=concerned,
        )
        await outbox.put(session, event)

    def event(
        self,
        caller: Caller,
        action: str,
        *,
        at: datetime,
        success: bool = True,
        subject: tuple[str, UUID] | None = None,
        store_id: UUID | None = None,
        org_id: UUID | None = None,
        actor_id: UUID | None = None,
        session_id: UUID | None = None,
        factor: str = "",
        changed: tuple[str, ...] = (),
        concerned: tuple[str, UUID] | None = None,
    ) -> events_pb2.SecurityEvent:
        """The same event, for a synchronous AppendEvent."""
        occurred = Timestamp()
        occurred.FromDatetime(at)
        actor = actor_id or caller.user_id
        return events_pb2.SecurityEvent(
            action=action,
            outcome=events_pb2.OUTCOME_SUCCESS if success else events_pb2.OUTCOME_FAILURE,
            occurred_time=occurred,
            actor_kind="user" if actor else caller.kind,
            actor_id=str(actor or caller.service or ""),
            subject_kind=subject[0] if subject else "",
            subject_id=str(subject[1]) if subject else "",
            org_id=str(org_id or caller.org_id or ""),
            store_id=str(store_id or ""),
            session_id=str(session_id or caller.session_id or ""),
            factor=factor,
            request_id=caller.request_id,
            trace_id=telemetry.trace_id(),
            changed_fields=changed,
            sealed_origin=crypto.seal_origin(caller.origin, self._public_key),
            concerned_kind=concerned[0] if concerned else "",
            concerned_id=str(concerned[1]) if concerned else "",
        )
