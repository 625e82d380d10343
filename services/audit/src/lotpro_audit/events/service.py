"""Use cases of the log: showing it to those who may see it."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement

from lotpro_audit.events import domain, leaf, origins, repository
from lotpro_audit.events.leaf import Leaf
from lotpro_audit.events.repository import Filter, Position
from lotpro_audit.ports import Ports
from lotpro_kit import errors
from lotpro_kit.caller import Caller, Origin
from lotpro_kit.db import Session


class Event(NamedTuple):
    """An event of the log with where it came from, and the key that opens that in its leaf (none when unknown)."""

    leaf: Leaf
    content: bytes
    origin: Origin
    origin_key: bytes


async def list_events(
    session: Session, caller: Caller, ports: Ports, *, wanted: Filter, after: Position | None, limit: int
) -> list[Event]:
    """A page of the caller's organisation's log (of their stores, unless they see all), newest first, and one row more.

    Each comes with where the act came from. That somebody looked is itself logged. Raises NotFound for somebody without
    an organisation.
    """
    if caller.org_id is None:
        raise errors.NotFound
    conditions = [*repository.of_organisation(caller.org_id, caller.stores), *wanted.conditions()]
    return await _shown(session, caller, ports, conditions, wanted=wanted, after=after, limit=limit)


async def list_own_events(
    session: Session, caller: Caller, ports: Ports, *, user_id: UUID, after: Position | None, limit: int
) -> list[Event]:
    """What a person did, in any organisation or none, newest first, and one row more. Looking is logged."""
    conditions = repository.of_actor(user_id)
    return await _shown(session, caller, ports, conditions, wanted=Filter(), after=after, limit=limit)


async def _shown(
    session: Session, caller: Caller, ports: Ports, conditions: Sequence[ColumnElement[bool]], *, wanted: Filter,
    after: Position | None, limit: int,
) -> list[Event]:
    await ports.security_log.record(session, caller, "audit:event:list", at=ports.clock())
    since, until = reach(wanted.since, wanted.until, now=ports.clock())
    rows = await repository.newest(session, conditions, since=since, until=until, after=after, limit=limit + 1)
    return await opened(session, ports, rows)


def reach(since: datetime | None, until: datetime | None, *, now: datetime) -> tuple[datetime, datetime]:
    """The moments between which the log can hold anything that is asked for."""
    begin, end = now - domain.retention() - timedelta(days=2), now + 2 * domain.AHEAD
    return max(since or begin, begin), min(until or end, end)


async def count_about(session: Session, *, org_id: UUID, person_id: UUID) -> int:
    """How many events of an organisation a person did or is concerned by."""
    return await repository.count_about(session, org_id, person_id)


async def events_about(
    session: Session, ports: Ports, *, org_id: UUID, person_id: UUID, after: Position | None, limit: int
) -> list[Event]:
    """Those events, oldest first, each with where it came from."""
    rows = await repository.oldest(session, repository.about(org_id, person_id), after=after, limit=limit)
    return await opened(session, ports, rows)


async def events_of_organisation(
    session: Session, ports: Ports, *, org_id: UUID, wanted: Filter, after: Position | None, limit: int
) -> list[Event]:
    """An organisation's events, oldest first: for exports."""
    conditions = [*repository.of_organisation(org_id, None), *wanted.conditions(), *repository.between(wanted)]
    rows = await repository.oldest(session, conditions, after=after, limit=limit)
    return await opened(session, ports, rows)


async def numbered(session: Session, *, org_id: UUID, after: int, limit: int) -> list[Leaf]:
    """An organisation's events in the order of its own sequence, going on after a number, without their origins.

    No number is left out as long as its day is kept: whoever remembers the last one misses nothing.
    """
    return [leaf.read(row.leaf) for row in await repository.numbered(session, org_id, after=after, limit=limit)]


async def numbered_and_opened(
    session: Session, ports: Ports, *, org_id: UUID, after: int, limit: int
) -> list[Event]:
    """The same with where each came from."""
    return await opened(session, ports, await repository.numbered(session, org_id, after=after, limit=limit))


async def use_of_day(
    session: Session, day: date, *, action: str, without: Collection[UUID], fewest: int
) -> Sequence[Any]:
    """How often which feature was used on a day (UTC) on the whole platform, by at least `fewest` people.

    Rows of `feature`, `people`, `uses` and `duration_ms`, without those people who are left out.
    """
    return await repository.use_of_day(session, day, action=action, without=without, fewest=fewest)


async def kept_days(session: Session) -> list[date]:
    """The days the log has tables for."""
    return await repository.days(session)


async def opened(session: Session, ports: Ports, rows: Sequence[Any]) -> list[Event]:
    """Rows (`leaf`) as events, with where they came from: unknown where the person's key was destroyed."""
    found = [(leaf.read(row.leaf), row.leaf) for row in rows]
    keys = await ports.keyring.existing_many(session, {made.key_id for made, _ in found if made.origin})
    events = []
    for made, content in found:
        key = origins.key_of(keys.get(made.key_id), made) if made.origin else b""
        events.append(Event(made, content, origins.open_origin(made, key), key))
    return events
