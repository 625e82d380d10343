"""SQL of reading the log, and of its days."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    Uuid,
    and_,
    any_,
    bindparam,
    func,
    insert,
    or_,
    select,
    text,
    tuple_,
    update,
)

from lotpro_audit.events.domain import Filter
from lotpro_audit.events.leaf import LEAF_SQL
from lotpro_audit.events.models import EVENTS, EXPIRED_RUNS, EXPIRIES, LEAF
from lotpro_kit.db import Session, Statement

#: Where a list goes on: the last row's `occurred_at` and `seq`.
Position = tuple[datetime, int]
#: The log is looked through from its newest day on, in windows of so many days; most lists end in the first.
_WINDOWS = (1, 7, 30)


#: What may be asked of events, by name, each with the value that is given under its name.
Conditions: TypeAlias = Mapping[str, object]
_MEANING: Mapping[str, ColumnElement[bool]] = {
    **{
        name: EVENTS.c[name] == bindparam(name)
        for name in ("org_id", "actor_id", "store_id", "session_id", "ip_index", "action")
    },
    # Without a parameter, so that failures are found by their own index.
    "success": EVENTS.c.success,
    "failure": ~EVENTS.c.success,
    "stores": EVENTS.c.store_id == any_(bindparam("stores", type_=ARRAY(Uuid))),
    "subject_id": or_(*(EVENTS.c[name] == bindparam("subject_id") for name in ("subject_id", "concerned_id"))),
    "person_id": or_(
        *(EVENTS.c[name] == bindparam("person_id") for name in ("actor_id", "subject_id", "concerned_id"))
    ),
    "since": EVENTS.c.occurred_at >= bindparam("since"),
    "until": EVENTS.c.occurred_at < bindparam("until"),
    "last_org_seq": EVENTS.c.org_seq <= bindparam("last_org_seq"),
}
_AFTER = tuple_(bindparam("after_at", type_=DateTime(timezone=True)), bindparam("after_seq", type_=BigInteger))
_PLACE = tuple_(EVENTS.c.occurred_at, EVENTS.c.seq)


def matching(wanted: Filter) -> Conditions:
    """A filter's conditions, but for its times."""
    names = ("actor_id", "store_id", "session_id", "ip_index", "action", "subject_id")
    found = {name: value for name in names if (value := getattr(wanted, name)) is not None}
    return found if wanted.success is None else found | {"success" if wanted.success else "failure": True}


def between(wanted: Filter) -> Conditions:
    """A filter's times."""
    return {name: value for name in ("since", "until") if (value := getattr(wanted, name)) is not None}


def of_organisation(org_id: UUID, stores: Collection[UUID] | None) -> Conditions:
    """An organisation's events; only those of these stores, unless None asks for all."""
    return {"org_id": org_id} | ({} if stores is None else {"stores": list(stores)})


def of_actor(user_id: UUID) -> Conditions:
    """What a person did."""
    return {"actor_id": user_id}


def about(org_id: UUID, person_id: UUID) -> Conditions:
    """The events of an organisation that name a person."""
    return {"org_id": org_id, "person_id": person_id}


def numbered_to(org_id: UUID, last: int) -> Conditions:
    """An organisation's events up to one of its own numbers."""
    return {"org_id": org_id, "last_org_seq": last}


def within_day(day: date) -> Conditions:
    """The events of a day (UTC)."""
    begin = datetime.combine(day, time(), UTC)
    return {"since": begin, "until": begin + timedelta(days=1)}


def _asked(conditions: Conditions) -> tuple[str, ...]:
    """The names of conditions, by which statements are compiled once."""
    return tuple(sorted(conditions))


def _all(names: Sequence[str]) -> list[ColumnElement[bool]]:
    return [_MEANING[name] for name in names]


async def newest(
    session: Session, conditions: Conditions, *, since: datetime, until: datetime, after: Position | None, limit: int
) -> list[Any]:
    """Events between two moments (`seq`, `leaf`), newest first, going on after a position."""
    rows: list[Any] = []
    newest_moment = until if after is None else min(until, after[0] + timedelta(microseconds=1))
    places = {} if after is None else {"after_at": after[0], "after_seq": after[1]}
    for begin, end in _windows(since, newest_moment):
        wanted = {**conditions, "since": begin, "until": end}
        statement = _newest(_asked(wanted), going_on=after is not None)
        rows += await statement.all(session, **wanted, **places, most=limit - len(rows))
        if len(rows) >= limit:
            break
    return rows


@cache
def _newest(names: tuple[str, ...], *, going_on: bool) -> Statement:
    return Statement(
        select(EVENTS.c.occurred_at, EVENTS.c.seq, LEAF)
        .where(*_all(names), *([_PLACE < _AFTER] if going_on else []))
        .order_by(EVENTS.c.occurred_at.desc(), EVENTS.c.seq.desc())
        .limit(bindparam("most"))
    )


def _windows(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The time between two moments in windows, the newest and smallest first, that end with days (UTC)."""
    end = until
    for days in (*_WINDOWS, None):
        if end <= since:
            return
        begin = since
        if days is not None:
            midnight = datetime.combine((end - timedelta(microseconds=1)).astimezone(UTC).date(), time(), UTC)
            begin = max(since, midnight - timedelta(days=days - 1))
        yield begin, end
        end = begin


async def oldest(
    session: Session, conditions: Conditions, *, after: Position | None, limit: int
) -> Sequence[Any]:
    """Events (`occurred_at`, `seq`, `leaf`), oldest first, going on after a position."""
    places = {} if after is None else {"after_at": after[0], "after_seq": after[1]}
    statement = _oldest(_asked(conditions), going_on=after is not None)
    return await statement.all(session, **conditions, **places, most=limit)


@cache
def _oldest(names: tuple[str, ...], *, going_on: bool) -> Statement:
    # The row comparison alone would not leave out the days before.
    beyond = [EVENTS.c.occurred_at >= bindparam("after_at"), _PLACE > _AFTER] if going_on else []
    return Statement(
        select(EVENTS.c.occurred_at, EVENTS.c.seq, LEAF)
        .where(*_all(names), *beyond)
        .order_by(EVENTS.c.occurred_at, EVENTS.c.seq)
        .limit(bindparam("most"))
    )


async def numbered(session: Session, org_id: UUID, *, after: int, limit: int) -> Sequence[Any]:
    """An organisation's events (`leaf`) by their numbers in its own sequence, going on after one."""
    found = await session.execute(
        select(LEAF)
        .where(EVENTS.c.org_id == org_id, EVENTS.c.org_seq > after)
        .order_by(EVENTS.c.org_seq)
        .limit(limit)
    )
    return found.all()


async def knows_store(session: Session, *, org_id: UUID, store_id: UUID) -> bool:
    """Whether the log holds something of an organisation's store."""
    found = await session.execute(
        select(EVENTS.c.seq).where(EVENTS.c.org_id == org_id, EVENTS.c.store_id == store_id).limit(1)
    )
    return found.scalar_one_or_none() is not None


async def days_that_went(session: Session) -> list[date]:
    """The days with events that were dropped."""
    return list((await session.execute(select(EXPIRIES.c.day))).scalars())


async def pages(session: Session, conditions: Conditions, *, after: int, size: int) -> Sequence[Any]:
    """How the events after a place of the tree fall into pages of a size, in the tree's order.

    For each page its last place (`last`), between which moments its events happened (`since`, `until`), and how many
    they are (`events`): nothing but the log's indexes is read, and a page by its moments touches only its own days.
    """
    return await _pages(_asked(conditions)).all(session, **conditions, beyond=after, size=size)


@cache
def _pages(names: tuple[str, ...]) -> Statement:
    number = func.row_number().over(order_by=EVENTS.c.seq) - 1
    numbered = (
        select(EVENTS.c.seq, EVENTS.c.occurred_at, (number // bindparam("size", type_=BigInteger)).label("page"))
        .where(*_all(names), EVENTS.c.seq > bindparam("beyond"))
        .subquery()
    )
    return Statement(
        select(
            func.max(numbered.c.seq).label("last"),
            func.min(numbered.c.occurred_at).label("since"),
            func.max(numbered.c.occurred_at).label("until"),
            func.count().label("events"),
        )
        .group_by(numbered.c.page)
        .order_by(numbered.c.page)
    )


async def page(
    session: Session, conditions: Conditions, *, after: int, last: int, since: datetime, until: datetime
) -> Sequence[Any]:
    """The events of a page (`leaf`) that are still there, in the tree's order."""
    return await _page(_asked(conditions)).all(
        session, **conditions, beyond=after, last=last, earliest=since, latest=until
    )


@cache
def _page(names: tuple[str, ...]) -> Statement:
    return Statement(
        select(LEAF)
        .where(
            *_all(names), EVENTS.c.seq > bindparam("beyond"), EVENTS.c.seq <= bindparam("last"),
            EVENTS.c.occurred_at >= bindparam("earliest"), EVENTS.c.occurred_at <= bindparam("latest"),
        )
        .order_by(EVENTS.c.seq)
    )


async def at(session: Session, seq: int) -> Any:
    """The event at a place of the tree (`occurred_at`, `seq`, `leaf`), or None."""
    found = await session.execute(
        select(EVENTS.c.occurred_at, EVENTS.c.seq, LEAF).where(EVENTS.c.seq == seq)
    )
    return found.one_or_none()


async def visible(
    session: Session, *, seq: int, occurred_at: datetime, user_id: UUID, org_id: UUID | None,
    stores: Collection[UUID] | None,
) -> Any:
    """The event at a place (`seq`, `leaf`) if it is the user's own, or of these stores of the organisation; or None.

    `stores` are as in `of_organisation`; without an organisation only one's own acts are there.
    """
    conditions = {} if org_id is None else of_organisation(org_id, stores)
    return await _visible(_asked(conditions)).one_or_none(
        session, seq=seq, occurred_at=occurred_at, **of_actor(user_id), **conditions
    )


@cache
def _visible(names: tuple[str, ...]) -> Statement:
    seen = [_MEANING["actor_id"], *([and_(*_all(names))] if names else [])]
    return Statement(
        select(EVENTS.c.seq, LEAF).where(
            EVENTS.c.occurred_at == bindparam("occurred_at"), EVENTS.c.seq == bindparam("seq"), or_(*seen)
        )
    )


_COUNT_ABOUT = Statement(select(func.count().label("events")).select_from(EVENTS).where(*_all(["org_id", "person_id"])))


async def count_about(session: Session, org_id: UUID, person_id: UUID) -> int:
    """How many events of an organisation name a person."""
    [row] = await _COUNT_ABOUT.all(session, **about(org_id, person_id))
    return int(row.events)


async def days(session: Session) -> list[date]:
    """The days there are tables for."""
    found = await session.execute(text("SELECT day FROM audit_days() AS day ORDER BY day"))
    return list(found.scalars())


async def make_day(session: Session, day: date) -> None:
    """Make the table of a day where it is missing."""
    await session.execute(text("SELECT audit_make_day(:day)"), {"day": day})


async def drop_day(session: Session, day: date) -> None:
    """Drop the table of a day. The database refuses one that is still to be kept, or whose expiry is not logged."""
    await session.execute(text("SELECT audit_drop_day(:day)"), {"day": day})


async def count_day(session: Session, day: date) -> int:
    """How many events a day has."""
    [row] = await _COUNT_DAY.all(session, **within_day(day))
    return int(row.events)


_COUNT_DAY = Statement(select(func.count().label("events")).select_from(EVENTS).where(*_all(["since", "until"])))


#: A day's page views by feature, of at least so many people, without those who are left out. Nobody else sees a person.
_USE_OF_DAY = text(
    "SELECT feature, count(DISTINCT actor_id) AS people, count(*) AS uses,"  # noqa: S608 - our own constant
    " sum(duration_ms)::bigint AS duration_ms FROM (SELECT actor_id, leaf ->> 'feature' AS feature,"
    " coalesce((leaf ->> 'duration')::bigint, 0) AS duration_ms"
    f" FROM (SELECT actor_id, convert_from({LEAF_SQL}, 'UTF8')::json AS leaf FROM events"
    " WHERE occurred_at >= :begin AND occurred_at < :end AND action = :action AND actor_id IS NOT NULL"
    " AND NOT actor_id = ANY(:without)) AS views) AS uses"
    " WHERE feature IS NOT NULL GROUP BY feature HAVING count(DISTINCT actor_id) >= :fewest ORDER BY feature"
)


async def use_of_day(
    session: Session, day: date, *, action: str, without: Collection[UUID], fewest: int
) -> Sequence[Any]:
    """How many people did something to which feature on a day (`feature`, `people`, `uses`, `duration_ms`)."""
    begin = datetime.combine(day, time(), UTC)
    found = await session.execute(
        _USE_OF_DAY,
        {
            "begin": begin, "end": begin + timedelta(days=1), "action": action, "without": list(without),
            "fewest": fewest,
        },
    )
    return found.all()


async def went(session: Session, day: date) -> bool:
    """Whether a day with events went before."""
    return (await session.execute(select(EXPIRIES.c.day).where(EXPIRIES.c.day == day))).one_or_none() is not None


async def add_expiry(session: Session, *, day: date, runs: bytes, held: bytes) -> None:
    """A day went; the log is about to say so."""
    await session.execute(insert(EXPIRIES).values(day=day, runs=runs, held=held))


async def unsaid_days(session: Session) -> list[date]:
    """The days that went and whose leaf is not kept yet."""
    return list((await session.execute(select(EXPIRIES.c.day).where(EXPIRIES.c.seq.is_(None)))).scalars())


async def keep_leaf(session: Session, day: date, *, seq: int, leaf: bytes) -> None:
    """Keep the leaf that says that a day went."""
    await session.execute(
        update(EXPIRIES).where(EXPIRIES.c.day == day, EXPIRIES.c.seq.is_(None)).values(seq=seq, leaf=leaf)
    )


#: Runs of numbers without a gap have the same difference to the count.
_KEEP_RUNS = text(
    "INSERT INTO expired_runs (org_id, first, last, day) SELECT org_id, min(org_seq), max(org_seq), :day FROM ("
    " SELECT org_id, org_seq, org_seq - row_number() OVER (PARTITION BY org_id ORDER BY org_seq) AS run FROM events"
    " WHERE occurred_at >= :begin AND occurred_at < :end AND org_id IS NOT NULL) AS numbered GROUP BY org_id, run"
)


async def keep_runs(session: Session, day: date) -> None:
    """Remember which of each organisation's own numbers a day has that is about to be dropped."""
    begin = datetime.combine(day, time(), UTC)
    await session.execute(_KEEP_RUNS, {"day": day, "begin": begin, "end": begin + timedelta(days=1)})


async def expired_runs(session: Session, org_id: UUID) -> Sequence[Any]:
    """The organisation's own numbers that went with their days (`first`, `last`, `day`), ascending."""
    found = await session.execute(
        select(EXPIRED_RUNS.c.first, EXPIRED_RUNS.c.last, EXPIRED_RUNS.c.day)
        .where(EXPIRED_RUNS.c.org_id == org_id)
        .order_by(EXPIRED_RUNS.c.first)
    )
    return found.all()


#: A key is used by events of its actor, or of its organisation; both are looked up by an index in every day.
_UNUSED = (
    " AND NOT EXISTS (SELECT FROM events e WHERE e.actor_id = k.subject_id)"
    " AND NOT EXISTS (SELECT FROM events e WHERE e.org_id = k.subject_id)"
    " AND NOT EXISTS (SELECT FROM held_events e WHERE k.subject_id IN (e.actor_id, e.org_id))"
    " AND NOT EXISTS (SELECT FROM holds h WHERE h.person_id = k.subject_id"
    " AND (h.released_at IS NULL OR h.released_at > :now) AND (h.ends_at IS NULL OR h.ends_at > :now))"
)
_UNUSED_KEYS = text(
    "SELECT k.subject_id FROM data_keys k WHERE k.created_at < :before AND k.subject_id <> :keep"  # noqa: S608 - our own constant
    f"{_UNUSED} ORDER BY k.created_at LIMIT :limit"
)
_DROP_UNUSED_KEYS = text(
    "DELETE FROM data_keys k WHERE k.subject_id = ANY(:ids)" + _UNUSED  # noqa: S608 - our own constant
)


async def unused_keys(session: Session, *, before: datetime, keep: UUID, now: datetime, limit: int) -> list[UUID]:
    """Keys made before a moment that no event in the log needs, and of nobody whom a hold names."""
    found = await session.execute(_UNUSED_KEYS, {"before": before, "keep": keep, "now": now, "limit": limit})
    return list(found.scalars())


async def drop_unused_keys(session: Session, subject_ids: Sequence[UUID], *, now: datetime) -> int:
    """Destroy those of the keys that are still unused; answers how many.

    The lock waits for everybody who has read a key and not yet written their event, and lets nobody read one meanwhile.
    """
    await session.execute(text("SET LOCAL lock_timeout = '4s'"))
    await session.execute(text("LOCK TABLE data_keys IN ACCESS EXCLUSIVE MODE"))
    dropped = await session.execute(_DROP_UNUSED_KEYS, {"ids": list(subject_ids), "now": now})
    return int(getattr(dropped, "rowcount", 0))
