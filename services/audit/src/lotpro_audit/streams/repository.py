"""All SQL about streams."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from lotpro_audit.streams.domain import State, Stream
from lotpro_audit.streams.models import COLUMNS, STREAMS
from lotpro_kit.db import Session


async def add(session: Session, stream: Stream) -> None:
    """Insert a stream."""
    await session.execute(insert(STREAMS).values(asdict(stream)))


async def hold_organisation(session: Session, org_id: UUID) -> None:
    """Be the only one who adds streams to an organisation until the transaction ends."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('streams' || :org_id, 0))"), {"org_id": str(org_id)}
    )


async def count(session: Session, org_id: UUID) -> int:
    """How many streams an organisation has."""
    found = await session.execute(select(func.count()).select_from(STREAMS).where(STREAMS.c.org_id == org_id))
    return int(found.scalar_one())


async def find(session: Session, org_id: UUID, stream_id: UUID, *, lock: bool = False) -> Stream | None:
    """An organisation's stream, or None; `lock` holds it until the transaction ends."""
    wanted = select(*COLUMNS).where(STREAMS.c.org_id == org_id, STREAMS.c.id == stream_id)
    row = (await session.execute(wanted.with_for_update() if lock else wanted)).one_or_none()
    return Stream(*row) if row is not None else None


async def page(session: Session, org_id: UUID, *, before: UUID | None, limit: int) -> list[Stream]:
    """An organisation's streams, the newest first, going on after one."""
    wanted = select(*COLUMNS).where(STREAMS.c.org_id == org_id)
    if before is not None:
        wanted = wanted.where(STREAMS.c.id < before)
    found = await session.execute(wanted.order_by(STREAMS.c.id.desc()).limit(limit))
    return [Stream(*row) for row in found]


async def change(session: Session, stream: Stream, changes: Mapping[str, Any]) -> Stream:
    """Change a stream, whose version grows."""
    found = await session.execute(
        update(STREAMS)
        .where(STREAMS.c.org_id == stream.org_id, STREAMS.c.id == stream.id)
        .values(**changes, version=STREAMS.c.version + 1)
        .returning(*COLUMNS)
    )
    return Stream(*found.one())


async def remove(session: Session, stream: Stream) -> None:
    """Delete a stream."""
    await session.execute(delete(STREAMS).where(STREAMS.c.org_id == stream.org_id, STREAMS.c.id == stream.id))


def _free(now: datetime) -> list[ColumnElement[bool]]:
    """Streams that may be sent now and are nobody's."""
    return [
        STREAMS.c.state == State.ACTIVE, STREAMS.c.next_attempt_at <= now,
        or_(STREAMS.c.leased_until.is_(None), STREAMS.c.leased_until < now),
    ]


async def free(session: Session, *, now: datetime) -> list[Any]:
    """Streams (`id`, `org_id`, `position`) of all organisations that may be sent now and are nobody's."""
    found = await session.execute(
        select(STREAMS.c.id, STREAMS.c.org_id, STREAMS.c.position)
        .where(*_free(now))
        .order_by(STREAMS.c.next_attempt_at)
    )
    return list(found.all())


async def lease(
    session: Session, *, org_id: UUID, stream_id: UUID, lease: UUID, until: datetime, now: datetime
) -> Stream | None:
    """Take a stream until a moment; None when it is somebody else's, or may not be sent now."""
    found = await session.execute(
        update(STREAMS)
        .where(STREAMS.c.org_id == org_id, STREAMS.c.id == stream_id, *_free(now))
        .values(lease=lease, leased_until=until)
        .returning(*COLUMNS)
    )
    row = found.one_or_none()
    return Stream(*row) if row is not None else None


async def settle(session: Session, stream: Stream, changes: Mapping[str, Any]) -> bool:
    """Give a stream back with what became of its batch; False when it is not ours any more."""
    found = await session.execute(
        update(STREAMS)
        .where(STREAMS.c.org_id == stream.org_id, STREAMS.c.id == stream.id, STREAMS.c.lease == stream.lease)
        .values(lease=None, leased_until=None, **changes)
        .returning(STREAMS.c.id)
    )
    return found.scalar_one_or_none() is not None
