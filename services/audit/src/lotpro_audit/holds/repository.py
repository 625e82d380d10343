"""SQL of holds, and of the events that they keep."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ColumnElement, Uuid, and_, bindparam, cast, delete, func, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from lotpro_audit.events.domain import Filter
from lotpro_audit.events.leaf import LEAF_SQL
from lotpro_audit.holds.domain import Hold, Scope
from lotpro_audit.holds.models import ERASURES, HELD_EVENTS, HOLDS
from lotpro_kit.db import Session

#: Where a list of events goes on: the last row's `occurred_at` and `seq`.
Position = tuple[datetime, int]

#: Whether hold `h` is not over at a moment,
ACTIVE = "(h.released_at IS NULL OR h.released_at > :now) AND (h.ends_at IS NULL OR h.ends_at > :now)"
#: and whether it reaches event `e` then.
REACHES = (
    f"{ACTIVE} AND h.org_id = e.org_id AND (h.store_id IS NULL OR h.store_id = e.store_id)"
    " AND (h.person_id IS NULL OR h.person_id IN (e.actor_id, e.subject_id, e.concerned_id))"
    " AND (h.since IS NULL OR e.occurred_at >= h.since) AND (h.until IS NULL OR e.occurred_at < h.until)"
)
_ACTIVE_IDS = text(f"SELECT h.id FROM holds h WHERE {ACTIVE}")  # noqa: S608 - our own constant
_HELD_OF_DAY = text(
    "SELECT e.seq, e.occurred_at, e.org_seq, e.org_id, e.store_id, e.actor_id, e.subject_id, e.concerned_id,"  # noqa: S608 - our own constants
    f" {LEAF_SQL} AS leaf FROM events e WHERE e.occurred_at >= :begin AND e.occurred_at < :end AND e.seq > :after"
    f" AND EXISTS (SELECT FROM holds h WHERE h.id = ANY(:holds) AND {REACHES}) ORDER BY e.seq LIMIT :limit"
)
#: What was copied out of a day that has not gone yet goes with it or stays with it.
_UNREACHED = (
    f"FROM held_events e WHERE NOT EXISTS (SELECT FROM holds h WHERE {REACHES})"  # noqa: S608 - our own constant
    " AND e.expired_day IN (SELECT x.day FROM expiries x)"
)
_COUNT_UNREACHED = text(f"SELECT count(*) {_UNREACHED}")
_DROP_UNREACHED = text(
    f"DELETE FROM held_events WHERE seq IN (SELECT e.seq {_UNREACHED} ORDER BY e.seq LIMIT :limit) RETURNING seq"  # noqa: S608 - our own constant
)
#: A hold reaches a person who is named in it, or in an event that it reaches.
_PERSON_HELD = text(
    "SELECT EXISTS (SELECT FROM holds h WHERE h.person_id = :person AND (:org IS NULL OR h.org_id = :org)"  # noqa: S608 - our own constants
    f" AND {ACTIVE})"
    + "".join(
        f" OR EXISTS (SELECT FROM {table} e JOIN holds h ON {REACHES}"
        " WHERE (e.actor_id = :person OR e.subject_id = :person OR e.concerned_id = :person)"
        " AND (:org IS NULL OR h.org_id = :org))"
        for table in ("held_events", "events")
    )
).bindparams(bindparam("person", type_=Uuid), bindparam("org", type_=Uuid))
_LOCK = "hashtext('audit_holds')"


async def lock(session: Session) -> None:
    """Wait until nobody is about to place a hold, and let nobody until the transaction's end."""
    await session.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))


async def lock_shared(session: Session) -> None:
    """Wait until nothing is about to be erased, and let nothing be until the transaction's end."""
    await session.execute(text(f"SELECT pg_advisory_xact_lock_shared({_LOCK})"))


async def add(session: Session, hold: Hold) -> None:
    """Insert a hold."""
    await session.execute(insert(HOLDS).values(asdict(hold)))


async def hold(session: Session, *, org_id: UUID, hold_id: UUID, for_update: bool = False) -> Hold | None:
    """An organisation's hold, or None."""
    wanted = select(HOLDS).where(HOLDS.c.org_id == org_id, HOLDS.c.id == hold_id)
    row = (await session.execute(wanted.with_for_update() if for_update else wanted)).one_or_none()
    return Hold(*row) if row is not None else None


async def holds(
    session: Session, *, org_id: UUID, active: bool | None, now: datetime, after: UUID | None, limit: int
) -> list[Hold]:
    """An organisation's holds, the newest first, going on after one; those that are not over, or those that are."""
    is_active = and_(
        or_(HOLDS.c.released_at.is_(None), HOLDS.c.released_at > now),
        or_(HOLDS.c.ends_at.is_(None), HOLDS.c.ends_at > now),
    )
    wanted = select(HOLDS).where(HOLDS.c.org_id == org_id)
    if active is not None:
        wanted = wanted.where(is_active if active else ~is_active)
    if after is not None:
        wanted = wanted.where(HOLDS.c.id < after)
    return [Hold(*row) for row in await session.execute(wanted.order_by(HOLDS.c.id.desc()).limit(limit))]


async def release(session: Session, *, hold_id: UUID, by: UUID, at: datetime, version: int) -> None:
    """The hold is released, and is of this version now."""
    await session.execute(
        update(HOLDS).where(HOLDS.c.id == hold_id).values(released_by=by, released_at=at, version=version)
    )


async def active_ids(session: Session, *, now: datetime) -> frozenset[UUID]:
    """Every organisation's holds that are not over."""
    return frozenset((await session.execute(_ACTIVE_IDS, {"now": now})).scalars())


async def held_of_day(
    session: Session, day: date, *, holds: Collection[UUID], now: datetime, after: int, limit: int
) -> Sequence[Any]:
    """The events of a day that one of these holds reaches, after a place in the tree."""
    begin = datetime.combine(day, time(), UTC)
    found = await session.execute(
        _HELD_OF_DAY,
        {
            "begin": begin, "end": begin + timedelta(days=1), "now": now, "holds": list(holds), "after": after,
            "limit": limit,
        },
    )
    return found.mappings().all()


async def keep(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Keep rows beyond their day; those that are kept already stay as they are."""
    await session.execute(insert(HELD_EVENTS).on_conflict_do_nothing(), rows)


async def count_unreached(session: Session, *, now: datetime) -> int:
    """How many kept events no hold reaches."""
    return int((await session.execute(_COUNT_UNREACHED, {"now": now})).scalar_one())


async def drop_unreached(session: Session, *, now: datetime, limit: int) -> list[int]:
    """Erase kept events that no hold reaches; answers their places in the tree, ascending."""
    return sorted((await session.execute(_DROP_UNREACHED, {"now": now, "limit": limit})).scalars())


async def add_erasure(session: Session, *, event_id: UUID, runs: bytes) -> None:
    """Kept events were erased; the log is about to say so."""
    await session.execute(insert(ERASURES).values(event_id=event_id, runs=runs))


async def unsaid_erasures(session: Session) -> list[UUID]:
    """The events that say that kept ones were erased, and whose leaves are not kept yet."""
    return list((await session.execute(select(ERASURES.c.event_id).where(ERASURES.c.seq.is_(None)))).scalars())


async def keep_leaf(session: Session, event_id: UUID, *, seq: int, leaf: bytes) -> None:
    """Keep the leaf that says that kept events were erased."""
    await session.execute(
        update(ERASURES).where(ERASURES.c.event_id == event_id, ERASURES.c.seq.is_(None)).values(seq=seq, leaf=leaf)
    )


async def kept_of_day(session: Session, day: date, *, first: int, last: int) -> list[int]:
    """The places in the tree, ascending and within these two, of what is kept of a day."""
    found = await session.execute(
        select(HELD_EVENTS.c.seq)
        .where(HELD_EVENTS.c.seq.between(first, last), HELD_EVENTS.c.expired_day == day)
        .order_by(HELD_EVENTS.c.seq)
    )
    return list(found.scalars())


def about(person_id: UUID) -> ColumnElement[bool]:
    """Whether a kept event names a person."""
    return or_(*(HELD_EVENTS.c[name] == person_id for name in ("actor_id", "subject_id", "concerned_id")))


async def kept(
    session: Session, *, org_id: UUID, scope: Scope, after: Position | None, limit: int
) -> Sequence[Any]:
    """What is kept of an organisation within a scope, oldest first, going on after a position."""
    wanted = [HELD_EVENTS.c.org_id == org_id]
    if scope.store_id is not None:
        wanted.append(HELD_EVENTS.c.store_id == scope.store_id)
    if scope.person_id is not None:
        wanted.append(about(scope.person_id))
    if scope.since is not None:
        wanted.append(HELD_EVENTS.c.occurred_at >= scope.since)
    if scope.until is not None:
        wanted.append(HELD_EVENTS.c.occurred_at < scope.until)
    if after is not None:
        wanted.append(tuple_(HELD_EVENTS.c.occurred_at, HELD_EVENTS.c.seq) > after)
    found = await session.execute(
        select(HELD_EVENTS).where(*wanted).order_by(HELD_EVENTS.c.occurred_at, HELD_EVENTS.c.seq).limit(limit)
    )
    return found.all()


def matching(org_id: UUID, wanted: Filter, *, last_org_seq: int) -> list[ColumnElement[bool]]:
    """What is kept of an organisation's events up to one of its own numbers, and fits a filter.

    What has no column is read from the leaf: a leaf is proven, and a column for each question would have to be as well.
    """
    said = cast(func.convert_from(HELD_EVENTS.c.leaf, "UTF8"), JSON)
    asked = {
        "action": wanted.action, "session": None if wanted.session_id is None else str(wanted.session_id),
        "ip": None if wanted.ip_index is None else wanted.ip_index.hex(),
        "ok": None if wanted.success is None else str(wanted.success).lower(),
    }
    found = [HELD_EVENTS.c.org_id == org_id, HELD_EVENTS.c.org_seq <= last_org_seq]
    found += [said[name].as_string() == value for name, value in asked.items() if value is not None]
    if wanted.actor_id is not None:
        found.append(HELD_EVENTS.c.actor_id == wanted.actor_id)
    if wanted.store_id is not None:
        found.append(HELD_EVENTS.c.store_id == wanted.store_id)
    if wanted.subject_id is not None:
        found.append(or_(*(HELD_EVENTS.c[name] == wanted.subject_id for name in ("subject_id", "concerned_id"))))
    if wanted.since is not None:
        found.append(HELD_EVENTS.c.occurred_at >= wanted.since)
    if wanted.until is not None:
        found.append(HELD_EVENTS.c.occurred_at < wanted.until)
    return found


async def pages(
    session: Session, conditions: Sequence[ColumnElement[bool]], *, after: int, size: int
) -> Sequence[Any]:
    """How what is kept after a place of the tree falls into pages: each one's last place (`last`) and its `events`."""
    numbered = (
        select(HELD_EVENTS.c.seq, ((func.row_number().over(order_by=HELD_EVENTS.c.seq) - 1) // size).label("page"))
        .where(*conditions, HELD_EVENTS.c.seq > after)
        .subquery()
    )
    found = await session.execute(
        select(func.max(numbered.c.seq).label("last"), func.count().label("events"))
        .group_by(numbered.c.page)
        .order_by(numbered.c.page)
    )
    rows: Sequence[Any] = found.all()
    return rows


async def stretch(
    session: Session, conditions: Sequence[ColumnElement[bool]], *, after: int, last: int
) -> Sequence[Any]:
    """What is kept (`leaf`) after a place of the tree and up to another one, in the tree's order."""
    found = await session.execute(
        select(HELD_EVENTS.c.leaf)
        .where(*conditions, HELD_EVENTS.c.seq > after, HELD_EVENTS.c.seq <= last)
        .order_by(HELD_EVENTS.c.seq)
    )
    return found.all()


async def count_about(session: Session, *, org_id: UUID, person_id: UUID) -> int:
    """How many kept events of an organisation name a person."""
    found = await session.execute(
        select(func.count()).select_from(HELD_EVENTS).where(HELD_EVENTS.c.org_id == org_id, about(person_id))
    )
    return int(found.scalar_one())


async def knows_store(session: Session, *, org_id: UUID, store_id: UUID) -> bool:
    """Whether something is kept of a store."""
    found = await session.execute(
        select(HELD_EVENTS.c.seq).where(HELD_EVENTS.c.org_id == org_id, HELD_EVENTS.c.store_id == store_id).limit(1)
    )
    return found.scalar_one_or_none() is not None


async def is_person_held(session: Session, *, person_id: UUID, org_id: UUID | None, now: datetime) -> bool:
    """Whether a hold that is not over names the person, or reaches an event that does."""
    found = await session.execute(_PERSON_HELD, {"person": person_id, "org": org_id, "now": now})
    return bool(found.scalar_one())


async def forget(session: Session, *, over_before: datetime) -> int:
    """Drop the records of holds that were over before a moment; answers how many."""
    over = func.least(HOLDS.c.released_at, HOLDS.c.ends_at) < over_before
    return int(getattr(await session.execute(delete(HOLDS).where(over)), "rowcount", 0))


async def count_forgettable(session: Session, *, over_before: datetime) -> int:
    """How many records of holds `forget` would drop."""
    over = func.least(HOLDS.c.released_at, HOLDS.c.ends_at) < over_before
    return int((await session.execute(select(func.count()).select_from(HOLDS).where(over))).scalar_one())
