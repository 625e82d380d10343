"""Use cases of the log."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from lotpro.audit.v1 import events_pb2
from lotpro_audit.events import domain, repository
from lotpro_audit.events.domain import SecurityEvent
from lotpro_audit.events.repository import Filter
from lotpro_audit.ports import Ports
from lotpro_kit import inbox, outbox
from lotpro_kit.caller import Caller, Origin
from lotpro_kit.crypto import Undecryptable
from lotpro_kit.db import Session

ORIGIN = "events.origin"
SEPARATOR = "\n"
#: Stands for the key of events that name no person and no organisation.
NOBODY = UUID(int=0)


async def append_event(session: Session, ports: Ports, event: SecurityEvent) -> bool:
    """Write an event once; False when it stands there already. Raises EventOutOfRange.

    Where it came from is encrypted under the actor's key, or the organisation's, so that forgetting a person makes it
    unreadable without touching the log.
    """
    day = domain.day_of(event, now=ports.clock())
    if not await inbox.claim(session, event.id):
        return False
    if day not in ports.known_days:
        await repository.make_day(session, day)
        ports.known_days.add(day)
    key_id = _key_id(event)
    key = await ports.keyring.for_subject(session, key_id)
    origin = key.encrypt(event.origin.ip + SEPARATOR + event.origin.user_agent, context=ORIGIN)
    await repository.add(
        session,
        {
            "occurred_at": event.occurred_at, "id": event.id, "action": event.action, "success": event.success,
            "actor_kind": event.actor_kind, "actor_id": event.actor_id, "subject_kind": event.subject_kind,
            "subject_id": event.subject_id, "concerned_kind": event.concerned_kind,
            "concerned_id": event.concerned_id, "org_id": event.org_id, "store_id": event.store_id,
            "session_id": event.session_id, "factor": event.factor, "request_id": event.request_id,
            "trace_id": event.trace_id, "changed_fields": list(event.changed_fields), "key_id": key_id,
            "origin": origin,
        },
    )
    return True


def _key_id(event: SecurityEvent) -> UUID:
    if event.actor_kind == "user":
        try:
            return UUID(event.actor_id)
        except ValueError:
            pass
    return event.org_id or NOBODY


async def list_events(
    session: Session, caller: Caller, ports: Ports, *, wanted: Filter, after: tuple[datetime, UUID] | None, limit: int
) -> list[tuple[Any, Origin]]:
    """A page of the log with one row more, each with where it came from; that somebody looked is itself logged."""
    rows = await repository.page(session, wanted, after=after, limit=limit)
    await ports.security_log.record(session, caller, "audit:event:list", at=ports.clock())
    return await with_origins(session, ports, rows)


async def with_origins(session: Session, ports: Ports, rows: Sequence[Any]) -> list[tuple[Any, Origin]]:
    """Each row with where it came from; unknown where the person's key was destroyed."""
    keys = await ports.keyring.existing_many(session, {row.key_id for row in rows})
    opened = []
    for row in rows:
        try:
            ip, _, user_agent = keys[row.key_id].decrypt(row.origin, context=ORIGIN).partition(SEPARATOR)
        except (KeyError, Undecryptable):
            ip, user_agent = "", ""
        opened.append((row, Origin(ip=ip, user_agent=user_agent)))
    return opened


async def make_days(session: Session, days: list[date]) -> int:
    """Make the tables of days that are missing; answers how many."""
    missing = set(days) - set(await repository.days(session))
    for day in sorted(missing):
        await repository.make_day(session, day)
    return len(missing)


async def expire_days(session: Session, *, as_of: datetime, dry_run: bool) -> dict[str, int]:
    """Drop the days whose retention is over, and say so; answers how many days and events."""
    counts = {"days": 0, "events": 0}
    for day in domain.expired_days(await repository.days(session), as_of=as_of):
        count = await (repository.count_day if dry_run else repository.drop_day)(session, day)
        counts = {"days": counts["days"] + 1, "events": counts["events"] + count}
        if not dry_run:
            await outbox.put(session, events_pb2.DayExpired(day=day.isoformat(), count=count))
    return counts
