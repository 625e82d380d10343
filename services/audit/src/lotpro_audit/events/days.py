"""Use cases of the log's days: made before they come, dropped when their time is over, which the log then says."""

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

import lotpro_policy
from lotpro.audit.v1 import events_pb2
from lotpro_audit.db import RETENTION
from lotpro_audit.events import domain, repository
from lotpro_audit.events import service as events
from lotpro_audit.events.domain import SecurityEvent
from lotpro_audit.events.leaf import NOBODY
from lotpro_audit.holds import service as holds
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import service as sequencer
from lotpro_audit.verification import domain as verifying
from lotpro_audit.verification import service as verification
from lotpro_audit.verification.domain import Run
from lotpro_kit import outbox
from lotpro_kit.caller import system
from lotpro_kit.db import Database, Session

#: So many keys are looked at in one transaction.
KEYS_AT_ONCE = 500


class DayDamaged(Exception):
    """A day is not as it was written: it stays, for whoever finds out why."""


@dataclass(frozen=True, slots=True)
class Going:
    """A day that is to go: its events, the places they have, the hash over them, and the holds that were asked."""

    count: int
    runs: list[Run]
    root: bytes
    holds: frozenset[UUID]


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


async def prepare(database: Database, day: date, *, now: datetime) -> Going | None:
    """Hold a day against the tree and copy what holds reach; None when there is nothing in it.

    May run again after it was cut off anywhere. Raises DayDamaged.
    """
    found = await verification.check_day(database, day)
    if found.damages:
        raise DayDamaged(f"{day}: {len(found.damages)} events, the first at {found.damages[0].seq}")
    if not found.count:
        return None
    async with database.begin(system(scope=RETENTION)) as session:
        if await repository.went(session, day):
            raise DayDamaged(f"{day}: it went before, and has {found.count} events again")
        asked = await holds.active_ids(session, now=now)
        await holds.keep_held(session, day, holds=asked, now=now)
    return Going(found.count, found.runs, found.root, asked)


async def drop(session: Session, day: date, ports: Ports, *, going: Going | None, now: datetime) -> None:
    """Drop a day, and leave for the log what says so: in one transaction, so that it is said exactly when it is true.

    A hold that was placed since the day was prepared still finds it: what it reaches is copied, too. Holds that come
    later wait until the day is gone, and can then say so. Once it has committed, `wait_until_said`.
    """
    await holds.keep_out(session)
    if going is not None:
        late = await holds.active_ids(session, now=now) - going.holds
        await holds.keep_held(session, day, holds=late, now=now)
        held = await holds.kept_of_day(session, day, first=going.runs[0][0], last=going.runs[-1][1])
        await sequencer.leave(session, ports, _event(day, going, held, now=now))
        await repository.add_expiry(
            session, day=day, runs=verifying.write_runs(going.runs), held=verifying.write_runs(held)
        )
        await outbox.put(session, events_pb2.DayExpired(day=day.isoformat(), count=going.count))
    await repository.keep_runs(session, day)
    await repository.drop_day(session, day)


def _event(day: date, going: Going, held: list[Run], *, now: datetime) -> SecurityEvent:
    """What the log says of a day that goes: also what of it is held, which has to stay from now on or go on record."""
    return SecurityEvent(
        id=domain.expiry_id(day), occurred_at=now.astimezone(UTC), action=domain.EXPIRE, success=True,
        actor_kind="system", actor_name="audit",
        expiry={
            "day": day.isoformat(), "count": going.count, "held": verifying.count_of(held),
            "first": going.runs[0][0], "last": going.runs[-1][1], "root": b64encode(going.root).decode(),
            "runs_sha256": verifying.digest_of(going.runs), "held_sha256": verifying.digest_of(held),
            "clause": domain.CLAUSE, "policy": lotpro_policy.policy().sha256,
        },
    )


async def wait_until_said(database: Database) -> None:
    """Wait until the log says of all that went, days and held events, that it did, and keep the leaves that say so.

    Also of what went in a run that was cut off. Raises Unavailable.
    """
    async with database.begin(system(scope=RETENTION)) as session:
        unsaid = [domain.expiry_id(day) for day in await repository.unsaid_days(session)]
        unsaid += await holds.unsaid(session)
    for event_id in unsaid:
        await sequencer.wait_for(database, event_id)
    if unsaid:
        async with database.begin(system(scope=RETENTION)) as session:
            await _keep_leaves(session)
            await holds.keep_leaves(session)


async def _keep_leaves(session: Session) -> None:
    for day in await repository.unsaid_days(session):
        row = await events.said(session, domain.expiry_id(day))
        if row is not None:
            await repository.keep_leaf(session, day, seq=row.seq, leaf=row.leaf)


async def forget_keys(session: Session, *, as_of: datetime, dry_run: bool) -> int:
    """Destroy keys, KEYS_AT_ONCE at most, of people and organisations the log holds nothing of any more.

    The key of somebody whom a hold names stays.
    """
    before = as_of - domain.retention()
    unused = await repository.unused_keys(session, before=before, keep=NOBODY, now=as_of, limit=KEYS_AT_ONCE)
    if unused and not dry_run:
        await holds.keep_out(session)
        return await repository.drop_unused_keys(session, unused, now=as_of)
    return len(unused)
