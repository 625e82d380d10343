"""Each event is handled once: the claim is made in the transaction of the handler."""

from uuid import UUID

from sqlalchemy import Column, DateTime, MetaData, Table, Uuid, func, text
from sqlalchemy.dialects.postgresql import insert

from lotpro_kit.db import Session


def table(metadata: MetaData) -> Table:
    """The inbox in a service's metadata."""
    return Table(
        "inbox",
        metadata,
        Column("event_id", Uuid, primary_key=True),
        Column("handled_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    )


_INBOX = table(MetaData())


async def claim(session: Session, event_id: UUID) -> bool:
    """True for the one transaction that may handle this event; a concurrent claim waits for that one's end."""
    claimed = await session.execute(
        insert(_INBOX).values(event_id=event_id).on_conflict_do_nothing().returning(_INBOX.c.event_id)
    )
    return claimed.scalar_one_or_none() is not None


async def forget(session: Session, *, older_than_days: int = 14) -> int:
    """Drop claims older than any redelivery can be (the topics' time to live); answers how many."""
    dropped = await session.execute(
        text("DELETE FROM inbox WHERE handled_at < now() - make_interval(days => :days)"), {"days": older_than_days}
    )
    return int(getattr(dropped, "rowcount", 0))
