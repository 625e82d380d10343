"""SQL of the sequencer: the leader's writing, on the driver connection that holds its lock, and the intake."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from lotpro_audit.events.leaf import NOBODY
from lotpro_audit.sequencer.models import CLAIMS, INTAKE, ORG_HEADS
from lotpro_kit.db import Driver, Session

#: The columns of the log in the order in which rows are copied.
COLUMNS = (
    "occurred_at", "seq", "org_seq", "org_id", "store_id", "actor_id", "subject_id", "concerned_id", "session_id",
    "ip_index", "success", "action", "rest",
)
#: Wakes the leader for what came by gRPC,
CHANNEL = "intake"
#: and whoever follows the log, for what was written.
LOGGED = "logged"


async def claimed(connection: Driver, event_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Which of the events are in the log already, and where."""
    rows = await connection.fetch("SELECT event_id, seq FROM claims WHERE event_id = ANY($1::uuid[])", event_ids)
    return {row["event_id"]: row["seq"] for row in rows}


async def wrapped_keys(connection: Driver, subjects: Collection[str]) -> dict[UUID, bytes]:
    """The wrapped data keys of people and organisations, by their ids as events name them, those there are."""
    rows = await connection.fetch(
        "SELECT subject_id, wrapped_key FROM data_keys WHERE subject_id = ANY($1::uuid[])",
        # The driver reads ids much faster than UUID does.
        [text or NOBODY for text in subjects],
    )
    return {row["subject_id"]: row["wrapped_key"] for row in rows}


async def add_keys(connection: Driver, wrapped: Mapping[UUID, bytes]) -> None:
    """Store new data keys."""
    await connection.execute(
        "INSERT INTO data_keys (subject_id, wrapped_key) SELECT * FROM unnest($1::uuid[], $2::bytea[])",
        list(wrapped), list(wrapped.values()),
    )


async def heads(connection: Driver, organisations: Collection[UUID]) -> dict[UUID, int]:
    """The last number of each organisation's sequence, of those that have any."""
    rows = await connection.fetch(
        "SELECT org_id, last FROM org_heads WHERE org_id = ANY($1::uuid[])", list(organisations)
    )
    return {row["org_id"]: row["last"] for row in rows}


async def set_heads(connection: Driver, last: Mapping[UUID, int]) -> None:
    """Each organisation's sequence is this far now; whoever follows the log is woken at commit."""
    await connection.execute(
        "WITH moved AS (INSERT INTO org_heads (org_id, last) SELECT * FROM unnest($1::uuid[], $2::bigint[])"
        " ON CONFLICT (org_id) DO UPDATE SET last = excluded.last) SELECT pg_notify($3, '')",
        list(last), list(last.values()), LOGGED,
    )


async def last_numbers(session: Session, organisations: Collection[UUID]) -> dict[UUID, int]:
    """The last number of each organisation's sequence, of those that have any."""
    found = await session.execute(select(ORG_HEADS).where(ORG_HEADS.c.org_id.in_(organisations)))
    return {row.org_id: row.last for row in found}


async def make_day(connection: Driver, day: date) -> None:
    """Make the table of a day where it is missing."""
    await connection.execute("SELECT audit_make_day($1)", day)


async def copy_day(connection: Driver, day: date, rows: Sequence[tuple[object, ...]]) -> None:
    """Copy rows (COLUMNS) into the table of a day."""
    await connection.copy_records_to_table(f"events_{day:%Y%m%d}", records=rows, columns=COLUMNS)


async def claim(connection: Driver, rows: Sequence[tuple[UUID, int, datetime]]) -> None:
    """Remember which events were written: id, `seq`, when they happened."""
    await connection.copy_records_to_table("claims", records=rows, columns=("event_id", "seq", "occurred_at"))


async def waiting(connection: Driver, limit: int) -> list[tuple[UUID, bytes]]:
    """What came by gRPC and waits, oldest first."""
    rows = await connection.fetch("SELECT event_id, event FROM intake ORDER BY arrived_at LIMIT $1", limit)
    return [(row["event_id"], row["event"]) for row in rows]


async def forget_waiting(connection: Driver, event_ids: Sequence[UUID]) -> None:
    """These were written, or never can be."""
    await connection.execute("DELETE FROM intake WHERE event_id = ANY($1::uuid[])", event_ids)


async def leave(session: Session, events: Mapping[UUID, bytes]) -> None:
    """Leave events for the leader, each once."""
    rows = [{"event_id": event_id, "event": event} for event_id, event in events.items()]
    await session.execute(insert(INTAKE).values(rows).on_conflict_do_nothing())
    await session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})


async def written(session: Session, event_id: UUID) -> int | None:
    """Where in the log an event is; None when it is not in it."""
    found: int | None = await session.scalar(select(CLAIMS.c.seq).where(CLAIMS.c.event_id == event_id))
    return found


async def head_of(session: Session, org_id: UUID) -> int:
    """The last number of an organisation's own sequence; 0 when it has none."""
    found: int | None = await session.scalar(select(ORG_HEADS.c.last).where(ORG_HEADS.c.org_id == org_id))
    return found or 0


async def place_of(session: Session, event_id: UUID) -> Any:
    """Where in the log an event is (`seq`, `occurred_at`); None when it is not in it."""
    found = await session.execute(select(CLAIMS.c.seq, CLAIMS.c.occurred_at).where(CLAIMS.c.event_id == event_id))
    return found.one_or_none()


async def forget_claims(session: Session, *, before: datetime, limit: int) -> int:
    """Drop the ids of events that happened before a moment; answers how many."""
    dropped = await session.execute(
        text(
            "DELETE FROM claims WHERE event_id IN"
            " (SELECT event_id FROM claims WHERE occurred_at < :before LIMIT :limit)"
        ),
        {"before": before, "limit": limit},
    )
    return int(getattr(dropped, "rowcount", 0))
