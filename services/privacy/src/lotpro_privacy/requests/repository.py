"""SQL of requests and their tasks."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, text, update

from lotpro_kit.db import Session
from lotpro_privacy.requests.models import RECORDS, REQUESTS, TASKS

_LEASE = text(
    "UPDATE tasks SET attempts = attempts + 1, next_run_at = :until"
    " WHERE (org_id, request_id, service) IN ("
    "  SELECT t.org_id, t.request_id, t.service FROM tasks t"
    "  WHERE t.done_at IS NULL AND t.next_run_at <= :now AND (t.stage = 1 OR NOT EXISTS ("
    "   SELECT 1 FROM tasks f WHERE f.org_id = t.org_id AND f.request_id = t.request_id AND f.stage = 1"
    "   AND f.done_at IS NULL))"
    "  ORDER BY t.next_run_at LIMIT 1 FOR UPDATE SKIP LOCKED)"
    " RETURNING org_id, request_id, service, stage, attempts"
)


async def add_request(session: Session, values: dict[str, Any]) -> None:
    """Store a request."""
    await session.execute(insert(REQUESTS).values(values))


async def add_tasks(session: Session, rows: list[dict[str, Any]]) -> None:
    """Store which services are to be asked."""
    await session.execute(insert(TASKS), rows)


async def request(session: Session, org_id: UUID, request_id: UUID) -> Any:
    """A request, or None."""
    found = await session.execute(select(REQUESTS).where(REQUESTS.c.org_id == org_id, REQUESTS.c.id == request_id))
    return found.one_or_none()


async def requests(session: Session, org_id: UUID, *, before: UUID | None, limit: int) -> Sequence[Any]:
    """An organisation's requests, newest first."""
    conditions = [REQUESTS.c.org_id == org_id, *([REQUESTS.c.id < before] if before else [])]
    found = await session.execute(select(REQUESTS).where(*conditions).order_by(REQUESTS.c.id.desc()).limit(limit))
    return found.all()


async def tasks(session: Session, org_id: UUID, request_ids: Sequence[UUID]) -> Sequence[Any]:
    """The tasks of requests."""
    found = await session.execute(
        select(TASKS)
        .where(TASKS.c.org_id == org_id, TASKS.c.request_id.in_(request_ids))
        .order_by(TASKS.c.stage, TASKS.c.service)
    )
    return found.all()


async def lease(session: Session, *, now: datetime, lease: timedelta) -> Any:
    """One due task or None, taken until the lease ends: a process that dies leaves it to the next one."""
    return (await session.execute(_LEASE, {"now": now, "until": now + lease})).one_or_none()


async def finish_task(session: Session, task: Any, *, now: datetime, counts: dict[str, int]) -> bool:
    """The service has answered; False when another process was faster."""
    done = await session.execute(
        update(TASKS)
        .where(*_this(task), TASKS.c.done_at.is_(None))
        .values(done_at=now, counts=counts, error="")
        .returning(TASKS.c.service)
    )
    return done.one_or_none() is not None


async def postpone_task(session: Session, task: Any, *, until: datetime, error: str) -> None:
    """The service has not answered; ask again later."""
    await session.execute(update(TASKS).where(*_this(task)).values(next_run_at=until, error=error))


def _this(task: Any) -> tuple[Any, ...]:
    return (
        TASKS.c.org_id == task.org_id, TASKS.c.request_id == task.request_id, TASKS.c.service == task.service
    )


async def set_email(session: Session, org_id: UUID, request_id: UUID, email: bytes) -> None:
    """The person's address became known."""
    await session.execute(
        update(REQUESTS).where(REQUESTS.c.org_id == org_id, REQUESTS.c.id == request_id).values(email=email)
    )


async def set_answered(session: Session, org_id: UUID, request_id: UUID, *, now: datetime) -> None:
    """The answer was handed out; the first time counts."""
    await session.execute(
        update(REQUESTS)
        .where(REQUESTS.c.org_id == org_id, REQUESTS.c.id == request_id, REQUESTS.c.answered_at.is_(None))
        .values(answered_at=now)
    )


async def add_records(session: Session, rows: list[dict[str, Any]]) -> None:
    """Store what a service told."""
    if rows:
        await session.execute(insert(RECORDS), rows)


async def records(session: Session, org_id: UUID, request_id: UUID) -> Sequence[Any]:
    """What all services told."""
    found = await session.execute(
        select(RECORDS)
        .where(RECORDS.c.org_id == org_id, RECORDS.c.request_id == request_id)
        .order_by(RECORDS.c.service, RECORDS.c.number)
    )
    return found.all()


async def purge(session: Session, *, before: datetime, dry_run: bool) -> int:
    """Remove cases that were received before a moment, keys first; answers how many."""
    old = select(REQUESTS.c.id).where(REQUESTS.c.received_at < before)
    ids = list((await session.execute(old)).scalars())
    if ids and not dry_run:
        await session.execute(text("DELETE FROM data_keys WHERE subject_id = ANY(:ids)"), {"ids": ids})
        await session.execute(delete(REQUESTS).where(REQUESTS.c.id.in_(ids)))
    return len(ids)
