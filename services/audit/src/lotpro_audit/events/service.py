"""Use cases of the log."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from lotpro.audit.v1 import events_pb2
from lotpro_audit.events import domain, repository
from lotpro_audit.events.domain import SecurityEvent
from lotpro_audit.events.repository import Filter, Position
from lotpro_audit.ports import Ports
from lotpro_kit import errors, inbox, outbox
from lotpro_kit.caller import Caller, Origin
from lotpro_kit.crypto import Undecryptable
from lotpro_kit.db import Session

ORIGIN = "events.origin"
SEPARATOR = "\n"
#: Stands for the key of events that name no person and no organisation.
NOBODY = UUID(int=0)
#: So many keys are looked at in one transaction.
KEYS_AT_ONCE = 500


async def append_event(session: Session, ports: Ports, event: SecurityEvent) -> date:
    """Write an event once, however often it comes; answers its day. Raises EventOutOfRange and EventUnreadable.

    Where it came from is encrypted under the actor's key, or the organisation's, so that forgetting a person makes it
    unreadable without touching the log. When the transaction has committed, the day's table is there for good.
    """
    domain.check(event)
    day = domain.day_of(event, now=ports.clock())
    if not await inbox.claim(session, event.id):
        return day
    if day not in ports.known_days:
        await repository.make_day(session, day)
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
    return day


def _key_id(event: SecurityEvent) -> UUID:
    if event.actor_kind == "user":
        try:
            return UUID(event.actor_id)
        except ValueError:
            pass
    return event.org_id or NOBODY


async def list_events(
    session: Session, caller: Caller, ports: Ports, *, wanted: Filter, after: Position | None, limit: int
) -> list[tuple[Any, Origin]]:
    """A page of the caller's organisation's log (of their stores, unless they see all), newest first, and one row more.

    Each row comes with where the act came from. That somebody looked is itself logged. Raises NotFound for somebody
    without an organisation.
    """
    if caller.org_id is None:
        raise errors.NotFound
    rows = await repository.page_of_organisation(
        session, caller.org_id, caller.stores, wanted, after=after, limit=limit + 1
    )
    return await _shown(session, caller, ports, rows)


async def list_own_events(
    session: Session, caller: Caller, ports: Ports, *, user_id: UUID, after: Position | None, limit: int
) -> list[tuple[Any, Origin]]:
    """What a person did, in any organisation or none, newest first, and one row more. Looking is logged."""
    rows = await repository.page_of_actor(session, user_id, after=after, limit=limit + 1)
    return await _shown(session, caller, ports, rows)


async def _shown(session: Session, caller: Caller, ports: Ports, rows: Sequence[Any]) -> list[tuple[Any, Origin]]:
    await ports.security_log.record(session, caller, "audit:event:list", at=ports.clock())
    return await _with_origins(session, ports, rows)


async def count_about(session: Session, *, org_id: UUID, person_id: UUID) -> int:
    """How many events of an organisation a person did or is concerned by."""
    return await repository.count_about(session, org_id, str(person_id))


async def events_about(
    session: Session, ports: Ports, *, org_id: UUID, person_id: UUID, after: Position | None, limit: int
) -> list[tuple[Any, Origin]]:
    """Those events, oldest first, each with where it came from."""
    rows = await repository.about(session, org_id, str(person_id), after=after, limit=limit)
    return await _with_origins(session, ports, rows)


async def _with_origins(session: Session, ports: Ports, rows: Sequence[Any]) -> list[tuple[Any, Origin]]:
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


async def count_missing_days(session: Session, days: list[date]) -> int:
    """How many of the days have no table yet."""
    return len(set(days) - set(await repository.days(session)))


async def make_days(session: Session, days: list[date]) -> int:
    """Make the tables of days that are missing; answers how many."""
    missing = set(days) - set(await repository.days(session))
    for day in sorted(missing):
        await repository.make_day(session, day)
    return len(missing)


async def expired_days(session: Session, *, as_of: datetime) -> list[date]:
    """The days whose retention is over, oldest first."""
    return domain.expired_days(await repository.days(session), as_of=as_of)


async def count_day(session: Session, day: date) -> int:
    """How many events a day has."""
    return await repository.count_day(session, day)


async def expire_day(session: Session, day: date) -> int:
    """Drop one day and say so; answers how many events it had. The database refuses a day that is still to be kept."""
    count = await repository.drop_day(session, day)
    await outbox.put(session, events_pb2.DayExpired(day=day.isoformat(), count=count))
    return count


async def forget_keys(session: Session, *, as_of: datetime, dry_run: bool) -> int:
    """Destroy keys, KEYS_AT_ONCE at most, of people and organisations the log holds nothing of any more."""
    before = as_of - domain.retention()
    unused = await repository.unused_keys(session, before=before, keep=NOBODY, limit=KEYS_AT_ONCE)
    if unused and not dry_run:
        return await repository.drop_unused_keys(session, unused)
    return len(unused)
