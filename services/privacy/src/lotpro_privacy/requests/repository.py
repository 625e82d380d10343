"""SQL of requests and their tasks."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, text, update

from lotpro_kit.db import Session
from lotpro_privacy.requests.models import RECORDS, REQUESTS, TASKS

#: A task can be worked on when its time has come and, beyond stage 1, when the one who is asked first has answered.
#: MATERIALIZED: a sub-select in IN may be planned as the inner side of a join, asked once a row, and so lease many.
_LEASE = text(
    "WITH due AS MATERIALIZED ("
    " SELECT t.org_id, t.request_id, t.service, t.phase, t.generation FROM tasks t"
    " WHERE t.done_at IS NULL AND t.next_run_at <= :now AND (t.stage = 1 OR NOT EXISTS ("
    "  SELECT FROM tasks f WHERE f.org_id = t.org_id AND f.request_id = t.request_id AND f.phase = t.phase"
    "  AND f.generation = t.generation AND f.stage = 1 AND f.done_at IS NULL))"
    " ORDER BY t.next_run_at LIMIT 1 FOR UPDATE SKIP LOCKED)"
    " UPDATE tasks SET attempts = attempts + 1, next_run_at = :until"
    " WHERE (org_id, request_id, service, phase, generation) IN (SELECT * FROM due)"
    " RETURNING org_id, request_id, service, phase, generation, stage, attempts"
)
_NEXT_DUE = text(
    "SELECT min(t.next_run_at) FROM tasks t WHERE t.done_at IS NULL AND (t.stage = 1 OR NOT EXISTS ("
    " SELECT FROM tasks f WHERE f.org_id = t.org_id AND f.request_id = t.request_id AND f.phase = t.phase"
    " AND f.generation = t.generation AND f.stage = 1 AND f.done_at IS NULL))"
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


async def locked_request(session: Session, org_id: UUID, request_id: UUID) -> Any:
    """A request, or None; whoever else wants to finish a task of it waits, so that one of them sees all are done."""
    found = await session.execute(
        select(REQUESTS).where(REQUESTS.c.org_id == org_id, REQUESTS.c.id == request_id).with_for_update()
    )
    return found.one_or_none()


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


async def next_due(session: Session) -> datetime | None:
    """When the next task is to be worked on; None when there is none."""
    found: datetime | None = (await session.execute(_NEXT_DUE)).scalar_one()
    return found


async def finish_task(
    session: Session, task: Any, *, now: datetime, counts: dict[str, int], described: list[dict[str, str]]
) -> bool:
    """The service has answered; False when another process was faster."""
    done = await session.execute(
        update(TASKS)
        .where(*_this(task), TASKS.c.done_at.is_(None))
        .values(done_at=now, counts=counts, described=described, error="")
        .returning(TASKS.c.service)
    )
    return done.one_or_none() is not None


async def keep_lease(session: Session, task: Any, *, until: datetime) -> None:
    """Whoever holds the task is still at work."""
    await session.execute(update(TASKS).where(*_held(task)).values(next_run_at=until))


async def postpone_task(session: Session, task: Any, *, until: datetime, error: str) -> None:
    """The service has not answered; ask again later. Changes nothing when somebody else holds the task by now."""
    await session.execute(update(TASKS).where(*_held(task)).values(next_run_at=until, error=error))


def _this(task: Any) -> tuple[Any, ...]:
    return tuple(
        TASKS.c[name] == getattr(task, name) for name in ("org_id", "request_id", "service", "phase", "generation")
    )


def _held(task: Any) -> tuple[Any, ...]:
    """The task as long as this lease of it is the latest one: each lease counts `attempts` up."""
    return (*_this(task), TASKS.c.attempts == task.attempts, TASKS.c.done_at.is_(None))


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


async def closed_before(session: Session, *, before: datetime) -> int:
    """How many cases were answered before a moment."""
    found = await session.execute(select(func.count()).select_from(REQUESTS).where(REQUESTS.c.answered_at < before))
    return int(found.scalar_one())


async def purge(session: Session, *, before: datetime, limit: int) -> int:
    """Remove at most so many cases that were answered before a moment, keys first; answers how many."""
    old = select(REQUESTS.c.id).where(REQUESTS.c.answered_at < before).order_by(REQUESTS.c.answered_at).limit(limit)
    ids = list((await session.execute(old)).scalars())
    if ids:
        await session.execute(text("DELETE FROM data_keys WHERE subject_id = ANY(:ids)"), {"ids": ids})
        await session.execute(delete(REQUESTS).where(REQUESTS.c.id.in_(ids)))
    return len(ids)
