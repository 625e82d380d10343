"""Use cases of the log: showing it to those who may see it."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from lotpro_audit.events import domain, leaf, origins, repository
from lotpro_audit.events.domain import Filter
from lotpro_audit.events.leaf import Leaf
from lotpro_audit.events.repository import Conditions, Position
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import service as sequencer
from lotpro_audit.tree import service as tree_service
from lotpro_kit import errors
from lotpro_kit.caller import Caller, Origin
from lotpro_kit.db import Session

VIEW = "audit:event:view"


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
    conditions = {**repository.of_organisation(caller.org_id, caller.stores), **repository.matching(wanted)}
    return await _shown(session, caller, ports, conditions, wanted=wanted, after=after, limit=limit)


async def list_own_events(
    session: Session, caller: Caller, ports: Ports, *, user_id: UUID, after: Position | None, limit: int
) -> list[Event]:
    """What a person did, in any organisation or none, newest first, and one row more. Looking is logged."""
    conditions = repository.of_actor(user_id)
    return await _shown(session, caller, ports, conditions, wanted=Filter(), after=after, limit=limit)


async def _shown(
    session: Session, caller: Caller, ports: Ports, conditions: Conditions, *, wanted: Filter, after: Position | None,
    limit: int,
) -> list[Event]:
    await ports.security_log.record(session, caller, "audit:event:list", at=ports.clock())
    since, until = reach(wanted.since, wanted.until, now=ports.clock())
    rows = await repository.newest(session, conditions, since=since, until=until, after=after, limit=limit + 1)
    return await opened(session, ports, rows)


def reach(since: datetime | None, until: datetime | None, *, now: datetime) -> tuple[datetime, datetime]:
    """The moments between which the log can hold anything that is asked for."""
    begin, end = now - domain.retention() - timedelta(days=2), now + 2 * domain.AHEAD
    return max(since or begin, begin), min(until or end, end)


def seeing(caller: Caller) -> Caller:
    """The caller with the stores whose log they see: none where they hold no such role."""
    stores = caller.stores_with(VIEW)
    return caller.narrowed(frozenset() if stores is False else stores)


async def prove_event(
    session: Session, caller: Caller, ports: Ports, *, user_id: UUID, event_id: UUID
) -> tuple[Event, Any, list[bytes]]:
    """An event, the newest checkpoint, and the hashes that prove that the one is in the other.

    For those who see the organisation's log, or that of the event's store (`caller` as of `seeing`), or whose own act
    it is; to others it does not exist: NotFound. That it was looked at is logged.
    """
    place = await sequencer.place_of(session, event_id)
    row = None if place is None else await repository.visible(
        session, seq=place.seq, occurred_at=place.occurred_at, user_id=user_id, org_id=caller.org_id,
        stores=caller.stores,
    )
    if row is None:
        raise errors.NotFound
    await ports.security_log.record(session, caller, "audit:event:prove", at=ports.clock(), subject=("event", event_id))
    checkpoint = await tree_service.newest_checkpoint(session)
    [path] = await tree_service.inclusion_proofs(session, [row.seq], checkpoint.size)
    [event] = await opened(session, ports, [row])
    return event, checkpoint, path


async def count_about(session: Session, *, org_id: UUID, person_id: UUID) -> int:
    """How many events of an organisation a person did or is concerned by."""
    return await repository.count_about(session, org_id, person_id)


async def events_about(
    session: Session, ports: Ports, *, org_id: UUID, person_id: UUID, after: Position | None, limit: int
) -> list[Event]:
    """Those events, oldest first, each with where it came from."""
    rows = await repository.oldest(session, repository.about(org_id, person_id), after=after, limit=limit)
    return await opened(session, ports, rows)


class Page(NamedTuple):
    """A stretch of the tree with so many events of an export, which happened between two moments."""

    after: int
    last: int
    since: datetime
    until: datetime
    events: int


async def pages(
    session: Session, org_id: UUID, *, wanted: Filter, last_org_seq: int, after: int, size: int
) -> list[Page]:
    """How an organisation's events up to one of its own numbers, and after a place of the tree, fall into pages."""
    conditions = _of_export(org_id, wanted, last_org_seq)
    found, begin = [], after
    for row in await repository.pages(session, conditions, after=after, size=size):
        found.append(Page(begin, row.last, row.since, row.until, row.events))
        begin = row.last
    return found


async def rows_of_page(
    session: Session, org_id: UUID, page: Page, *, wanted: Filter, last_org_seq: int
) -> Sequence[Any]:
    """The rows of a page, for `opened`, in the tree's order; fewer when a day has gone since."""
    return await repository.page(
        session, _of_export(org_id, wanted, last_org_seq), after=page.after, last=page.last, since=page.since,
        until=page.until,
    )


def _of_export(org_id: UUID, wanted: Filter, last_org_seq: int) -> Conditions:
    to_last = repository.numbered_to(org_id, last_org_seq)
    return {**to_last, **repository.matching(wanted), **repository.between(wanted)}


async def expired_runs(session: Session, org_id: UUID) -> Sequence[Any]:
    """The organisation's own numbers that went with their days (`first`, `last`, `day`), ascending."""
    return await repository.expired_runs(session, org_id)


async def rows_in_scope(
    session: Session, *, org_id: UUID, store_id: UUID | None, person_id: UUID | None, since: datetime | None,
    until: datetime | None, after: Position | None, limit: int,
) -> Sequence[Any]:
    """An organisation's rows (`occurred_at`, `seq`, `leaf`), of a store, about a person, of a time; oldest first."""
    conditions = {
        **repository.of_organisation(org_id, None if store_id is None else [store_id]),
        **({} if person_id is None else {"person_id": person_id}),
        **repository.between(Filter(since=since, until=until)),
    }
    return await repository.oldest(session, conditions, after=after, limit=limit)


async def knows_store(session: Session, *, org_id: UUID, store_id: UUID) -> bool:
    """Whether the log holds something of an organisation's store."""
    return await repository.knows_store(session, org_id=org_id, store_id=store_id)


async def first_day(session: Session, *, now: datetime) -> date:
    """The oldest day that the log still has."""
    return min([*await repository.days(session), now.astimezone(UTC).date()])


async def days_that_went(session: Session) -> list[date]:
    """The days with events that were dropped."""
    return await repository.days_that_went(session)


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


async def said(session: Session, event_id: UUID) -> Any:
    """The row (`seq`, `leaf`) of an event that was left for the log; None when it is not written yet."""
    place = await sequencer.place_of(session, event_id)
    return None if place is None else await repository.at(session, place.seq)


async def kept_days(session: Session) -> list[date]:
    """The days the log has tables for."""
    return await repository.days(session)


async def opened(session: Session, ports: Ports, rows: Sequence[Any]) -> list[Event]:
    """Rows (`leaf`) as events, with where they came from: unknown where the person's key was destroyed."""
    found = [(leaf.read(row.leaf), row.leaf) for row in rows]
    owners = {text: leaf.subject(text) for text in {made.key_owner for made, _ in found if made.origin}}
    known = await ports.keyring.existing_many(session, set(owners.values()))
    keys = {text: known.get(owner) for text, owner in owners.items()}
    events = []
    for made, content in found:
        key = origins.key_of(keys[made.key_owner], made) if made.origin else b""
        origin = origins.open_origin(made, key)
        events.append(Event(made, content, Origin(), b"") if origin is None else Event(made, content, origin, key))
    return events
