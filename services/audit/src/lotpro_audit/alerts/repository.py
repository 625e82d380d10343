"""All SQL about alerts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from lotpro_audit.alerts.domain import Alert, Raised
from lotpro_audit.alerts.models import ALERTS, COLUMNS, POSITIONS, RAISED, RAISED_COLUMNS, WINDOWS
from lotpro_kit.db import Session


async def add(session: Session, alert: Alert) -> None:
    """Insert an alert."""
    await session.execute(insert(ALERTS).values(asdict(alert)))


async def find(session: Session, org_id: UUID, alert_id: UUID) -> Alert | None:
    """An organisation's alert, or None."""
    found = await session.execute(select(*COLUMNS).where(ALERTS.c.org_id == org_id, ALERTS.c.id == alert_id))
    row = found.one_or_none()
    return Alert(*row) if row is not None else None


async def page(session: Session, org_id: UUID, *, before: UUID | None, limit: int) -> list[Alert]:
    """An organisation's alerts, the newest first, going on after one."""
    wanted = select(*COLUMNS).where(ALERTS.c.org_id == org_id)
    if before is not None:
        wanted = wanted.where(ALERTS.c.id < before)
    found = await session.execute(wanted.order_by(ALERTS.c.id.desc()).limit(limit))
    return [Alert(*row) for row in found]


async def count(session: Session, org_id: UUID) -> int:
    """How many alerts an organisation has."""
    found = await session.execute(select(func.count()).select_from(ALERTS).where(ALERTS.c.org_id == org_id))
    return int(found.scalar_one())


async def change(session: Session, alert: Alert, changes: Mapping[str, Any]) -> Alert:
    """Change an alert, whose version grows."""
    found = await session.execute(
        update(ALERTS)
        .where(ALERTS.c.org_id == alert.org_id, ALERTS.c.id == alert.id)
        .values(**changes, version=ALERTS.c.version + 1)
        .returning(*COLUMNS)
    )
    return Alert(*found.one())


async def remove(session: Session, alert: Alert) -> None:
    """Delete an alert with its counts and what it raised."""
    await session.execute(delete(ALERTS).where(ALERTS.c.org_id == alert.org_id, ALERTS.c.id == alert.id))


async def begin_at(session: Session, org_id: UUID, org_seq: int) -> None:
    """Look at an organisation's log from here on, if it is not looked at yet; whoever is at it is waited for."""
    await session.execute(insert(POSITIONS).values(org_id=org_id, org_seq=org_seq).on_conflict_do_nothing())
    await session.execute(select(POSITIONS).where(POSITIONS.c.org_id == org_id).with_for_update())


async def end(session: Session, org_id: UUID) -> None:
    """Look at an organisation's log no more."""
    await session.execute(delete(POSITIONS).where(POSITIONS.c.org_id == org_id))


async def positions(session: Session) -> dict[UUID, int]:
    """How far each log was looked at, of those that are looked at."""
    return {row.org_id: row.org_seq for row in await session.execute(select(POSITIONS))}


async def take_position(session: Session, org_id: UUID) -> int | None:
    """How far a log was looked at, held until the transaction ends; None when somebody else is at it."""
    found: int | None = await session.scalar(
        select(POSITIONS.c.org_seq).where(POSITIONS.c.org_id == org_id).with_for_update(skip_locked=True)
    )
    return found


async def move_position(session: Session, org_id: UUID, org_seq: int) -> None:
    """The log was looked at this far."""
    await session.execute(update(POSITIONS).where(POSITIONS.c.org_id == org_id).values(org_seq=org_seq))


async def windows(session: Session, alert_id: UUID, keys: Collection[str]) -> dict[str, list[int]]:
    """What was counted so far for these groups of an alert."""
    found = await session.execute(
        select(WINDOWS.c.key, WINDOWS.c.moments).where(WINDOWS.c.alert_id == alert_id, WINDOWS.c.key.in_(keys))
    )
    return {row.key: list(row.moments) for row in found}


async def put_windows(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Remember what was counted."""
    statement = insert(WINDOWS)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["alert_id", "key"],
            set_={"moments": statement.excluded.moments, "newest_at": statement.excluded.newest_at},
        ),
        rows,
    )


async def forget_windows_of(session: Session, alert_id: UUID) -> None:
    """Count anew."""
    await session.execute(delete(WINDOWS).where(WINDOWS.c.alert_id == alert_id))


async def add_raised(session: Session, raised: Sequence[Raised]) -> None:
    """Remember alerts that were raised, and at each alert when that was last."""
    await session.execute(insert(RAISED), [asdict(one) for one in raised])
    for one in raised:
        await session.execute(
            update(ALERTS)
            .where(ALERTS.c.org_id == one.org_id, ALERTS.c.id == one.alert_id)
            .values(raised_at=one.raised_at)
        )


async def raised_of(session: Session, alert: Alert, *, before: int | None, limit: int) -> list[Raised]:
    """What an alert raised, the newest first, going on after a place in the log."""
    wanted = select(*RAISED_COLUMNS).where(RAISED.c.org_id == alert.org_id, RAISED.c.alert_id == alert.id)
    if before is not None:
        wanted = wanted.where(RAISED.c.seq < before)
    found = await session.execute(wanted.order_by(RAISED.c.seq.desc()).limit(limit))
    return [Raised(*row) for row in found]


async def forget(
    session: Session, *, windows_before: datetime, raised_before: datetime, dry_run: bool
) -> tuple[int, int]:
    """Drop windows whose newest event, and raised alerts that, are older than these moments; answers how many each."""
    conditions = ((WINDOWS, WINDOWS.c.newest_at < windows_before), (RAISED, RAISED.c.raised_at < raised_before))
    counts = []
    for table, old in conditions:
        if dry_run:
            counts.append(int((await session.execute(select(func.count()).select_from(table).where(old))).scalar_one()))
        else:
            counts.append(int(getattr(await session.execute(delete(table).where(old)), "rowcount", 0)))
    return counts[0], counts[1]
