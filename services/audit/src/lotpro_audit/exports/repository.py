"""SQL of exports."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, text, update

from lotpro_audit.exports.models import CHUNKS, EXPORTS
from lotpro_kit.db import Session

#: Wakes the workers for a new export.
CHANNEL = "exports"

#: One who looks for work at a time: what they see of the others' leases is true until they have written their own.
_ONE_LOOKS = text("SELECT pg_advisory_xact_lock(hashtext('exports'))")
#: MATERIALIZED: a sub-select in IN may be asked once a row, and so lease many.
_LEASE = text(
    "WITH due AS MATERIALIZED ("
    " SELECT e.id FROM exports e WHERE e.leased_until <= :now AND e.expires_at > :now"
    " AND (e.state = 'running' OR e.state = 'waiting' AND NOT EXISTS ("
    "  SELECT FROM exports o WHERE o.org_id = e.org_id AND o.state = 'running'))"
    " AND (SELECT count(*) FROM exports o WHERE o.state = 'running' AND o.leased_until > :now) < :at_once"
    " ORDER BY e.state, e.id LIMIT 1 FOR UPDATE SKIP LOCKED)"
    " UPDATE exports SET state = 'running', version = version + CASE state WHEN 'waiting' THEN 1 ELSE 0 END,"
    " leases = leases + 1, tries = tries + 1, leased_until = :until WHERE id IN (SELECT id FROM due) RETURNING *"
)
_NEXT_DUE = text("SELECT min(leased_until) FROM exports WHERE state IN ('waiting', 'running') AND leased_until > :now")


async def add(session: Session, values: dict[str, Any]) -> None:
    """Store an export, and wake the workers when the transaction commits."""
    await session.execute(insert(EXPORTS).values(values))
    await session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})


async def count(session: Session, org_id: UUID, *, now: datetime) -> int:
    """How many exports an organisation keeps; whoever else counts waits until this transaction is over."""
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:org, 0))"), {"org": f"exports:{org_id}"})
    found = await session.execute(
        select(func.count()).select_from(EXPORTS).where(EXPORTS.c.org_id == org_id, EXPORTS.c.expires_at > now)
    )
    return int(found.scalar_one())


async def export(session: Session, org_id: UUID, export_id: UUID, *, now: datetime, lock: bool = False) -> Any:
    """An export that has not expired, or None."""
    wanted = select(EXPORTS).where(EXPORTS.c.org_id == org_id, EXPORTS.c.id == export_id, EXPORTS.c.expires_at > now)
    return (await session.execute(wanted.with_for_update() if lock else wanted)).one_or_none()


async def exports(
    session: Session, org_id: UUID, *, now: datetime, before: UUID | None, limit: int
) -> Sequence[Any]:
    """An organisation's exports, newest first."""
    conditions = [EXPORTS.c.org_id == org_id, EXPORTS.c.expires_at > now]
    if before is not None:
        conditions.append(EXPORTS.c.id < before)
    found = await session.execute(select(EXPORTS).where(*conditions).order_by(EXPORTS.c.id.desc()).limit(limit))
    return found.all()


async def remove(session: Session, export_id: UUID) -> None:
    """Remove an export and its chunks."""
    await session.execute(delete(EXPORTS).where(EXPORTS.c.id == export_id))


async def expired(session: Session, *, as_of: datetime, limit: int) -> Sequence[Any]:
    """Exports whose time is over (`id`, `org_id`), locked."""
    found = await session.execute(
        select(EXPORTS.c.id, EXPORTS.c.org_id)
        .where(EXPORTS.c.expires_at <= as_of)
        .order_by(EXPORTS.c.expires_at)
        .limit(limit)
        .with_for_update()
    )
    return found.all()


async def count_expired(session: Session, *, as_of: datetime) -> int:
    """How many exports' time is over."""
    found = await session.execute(select(func.count()).select_from(EXPORTS).where(EXPORTS.c.expires_at <= as_of))
    return int(found.scalar_one())


async def lease(session: Session, *, now: datetime, lease: timedelta, at_once: int) -> Any:
    """One export to work on until the lease ends, or None; interrupted ones come first. Fewer than `at_once` run."""
    await session.execute(_ONE_LOOKS)
    return (await session.execute(_LEASE, {"now": now, "until": now + lease, "at_once": at_once})).one_or_none()


async def next_due(session: Session, *, now: datetime) -> datetime | None:
    """When the next lease ends; None when there is none."""
    found: datetime | None = (await session.execute(_NEXT_DUE, {"now": now})).scalar_one()
    return found


async def change(session: Session, leased: Any, values: dict[str, Any]) -> bool:
    """Change a leased export; False when somebody else has it by now, or it is gone."""
    changed = await session.execute(
        update(EXPORTS)
        .where(EXPORTS.c.id == leased.id, EXPORTS.c.leases == leased.leases, EXPORTS.c.state == "running")
        .values(values)
        .returning(EXPORTS.c.id)
    )
    return changed.one_or_none() is not None


async def add_chunks(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Store chunks."""
    await session.execute(insert(CHUNKS), rows)


async def remove_chunks(session: Session, export_id: UUID) -> None:
    """Remove what there is of a file."""
    await session.execute(delete(CHUNKS).where(CHUNKS.c.export_id == export_id))


async def chunks(session: Session, export_id: UUID) -> Sequence[Any]:
    """What is known of the chunks (`number`, `last_seq`, `events`, `runs`, `held`), in their order."""
    found = await session.execute(
        select(CHUNKS.c.number, CHUNKS.c.last_seq, CHUNKS.c.events, CHUNKS.c.runs, CHUNKS.c.held)
        .where(CHUNKS.c.export_id == export_id)
        .order_by(CHUNKS.c.number)
    )
    return found.all()


async def content(session: Session, org_id: UUID, export_id: UUID, number: int) -> bytes | None:
    """A chunk's content, encrypted; None when there is no such chunk."""
    found: bytes | None = await session.scalar(
        select(CHUNKS.c.content).where(
            CHUNKS.c.org_id == org_id, CHUNKS.c.export_id == export_id, CHUNKS.c.number == number
        )
    )
    return found
