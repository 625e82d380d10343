"""Use cases of the log's days: made before they come, dropped when their time is over, which the log then says."""

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

import lotpro_policy
from lotpro.audit.v1 import events_pb2
from lotpro_audit.events import domain, repository
from lotpro_audit.events.domain import SecurityEvent
from lotpro_audit.events.leaf import NOBODY
from lotpro_audit.holds import service as holds
from lotpro_audit.verification import domain as verifying
from lotpro_audit.verification import service as verification
from lotpro_kit import outbox
from lotpro_kit.db import Session

#: The clause that days go by.
CLAUSE = "retention.security-logs"
#: So many keys are looked at in one transaction.
KEYS_AT_ONCE = 500


class DayDamaged(Exception):
    """A day is not as it was written: it stays, for whoever finds out why."""


@dataclass(frozen=True, slots=True)
class Going:
    """A day that is to go: what the log says of it, the places it held, and the holds that were asked about it."""

    event: SecurityEvent
    runs: bytes
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


async def prepare(session: Session, day: date, *, now: datetime) -> Going | None:
    """Hold a day against the tree and copy what holds reach; None when there is nothing in it, or said of it already.

    May run again after it was cut off anywhere. Raises DayDamaged.
    """
    if await repository.expiry(session, day) is not None:
        return None
    found = await verification.check_day(session, day)
    if found.damages:
        raise DayDamaged(f"{day}: {len(found.damages)} events, the first at {found.damages[0].seq}")
    if not found.count:
        return None
    asked = await holds.active_ids(session, now=now)
    held = await holds.keep_held(session, day, holds=asked, now=now)
    runs = verifying.write_runs(found.runs)
    expiry = {
        "day": day.isoformat(), "count": found.count, "held": held,
        "first": found.runs[0][0], "last": found.runs[-1][1],
        "root": b64encode(found.root).decode(), "runs_sha256": sha256(runs).hexdigest(), "clause": CLAUSE,
        "policy": lotpro_policy.policy().sha256,
    }
    return Going(
        SecurityEvent(
            id=event_id(day), occurred_at=now.astimezone(UTC), action=domain.EXPIRE, success=True, actor_kind="system",
            actor_name="audit", expiry=expiry,
        ),
        runs,
        asked,
    )


def event_id(day: date) -> UUID:
    """The id of the event that says that a day went: always the same, so that it is said once."""
    return uuid5(NOBODY, f"{domain.EXPIRE}:{day.isoformat()}")


async def drop(session: Session, day: date, *, going: Going | None, place: Any, now: datetime) -> None:
    """Drop a day whose going stands in the log (`place`: its row), and tell it.

    A hold that was placed since the day was prepared still finds it: what it reaches is copied, too. Holds that come
    later wait until the day is gone, and can then say so.
    """
    await holds.keep_out(session)
    late = await holds.active_ids(session, now=now) - (going.holds if going is not None else frozenset())
    await holds.keep_held(session, day, holds=late, now=now)
    if going is not None:
        await repository.add_expiry(session, day=day, seq=place.seq, leaf=place.leaf, runs=going.runs)
        count = (going.event.expiry or {})["count"]
        await outbox.put(session, events_pb2.DayExpired(day=day.isoformat(), count=count))
    await repository.keep_runs(session, day)
    await repository.drop_day(session, day)


async def place(session: Session, seq: int) -> Any:
    """The row of an event that was written."""
    return await repository.at(session, seq)


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
