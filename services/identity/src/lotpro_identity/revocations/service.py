"""Revoking access tokens, and following what is revoked."""

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, insert, select, text

from lotpro_identity.db import DIRECTORY
from lotpro_identity.revocations.models import REVOCATIONS
from lotpro_kit import ids, wake
from lotpro_kit.caller import system
from lotpro_kit.clock import Clock
from lotpro_kit.db import Database, Session
from lotpro_kit.revocations import Revocation, Revocations

CHANNEL = "revocations"
#: A revocation outlives the tokens it concerns by the time that two machines' clocks may differ.
KEPT = timedelta(seconds=330)
#: A transaction may take this long from its row to its commit and its row is still found.
OVERLAP = timedelta(seconds=30)


async def revoke_sessions(session: Session, session_ids: Collection[UUID], *, now: datetime) -> None:
    """Take back the access tokens of these sessions, once the transaction commits."""
    rows: list[dict[str, object]] = [
        {"session_id": session_id, "account_id": None, "access_version": 0} for session_id in session_ids
    ]
    await _add(session, rows, now)


async def revoke_access(session: Session, account_id: UUID, *, version: int, now: datetime) -> None:
    """Take back a person's access tokens that carry a lower access version, once the transaction commits."""
    await _add(session, [{"session_id": None, "account_id": account_id, "access_version": version}], now)


async def _add(session: Session, rows: list[dict[str, object]], now: datetime) -> None:
    if not rows:
        return
    await session.execute(insert(REVOCATIONS), [{"id": ids.new(), **row, "expires_at": now + KEPT} for row in rows])
    await session.execute(text(f"SELECT pg_notify('{CHANNEL}', '')"))


async def forget(session: Session, *, before: datetime) -> int:
    """Drop revocations of tokens that have all expired before a moment; answers how many."""
    dropped = await session.execute(delete(REVOCATIONS).where(REVOCATIONS.c.expires_at < before))
    return int(getattr(dropped, "rowcount", 0))


class Feed:
    """Revocations as they are committed, by whichever replica: for this process's own doors and for other services."""

    def __init__(self, database: Database, known: Revocations, clock: Clock) -> None:
        self._database, self._known, self._clock = database, known, clock
        self._watchers: set[asyncio.Queue[list[Revocation]]] = set()
        self._read_until: datetime | None = None
        self._told: set[UUID] = set()

    async def run(self) -> None:
        """Follow until cancelled."""
        await wake.Loop(self._database, channel=CHANNEL, work=self._read).run()

    async def watch(self, *, follow: bool) -> AsyncIterator[list[Revocation]]:
        """What is in force, possibly nothing; then, when following, each new one, without end."""
        queue: asyncio.Queue[list[Revocation]] = asyncio.Queue()
        self._watchers.add(queue)
        try:
            yield [revocation for _, revocation in (await self._since(None))[1]]
            while follow:
                yield await queue.get()
        finally:
            self._watchers.discard(queue)

    async def _read(self) -> None:
        moment, rows = await self._since(self._read_until)
        fresh = [revocation for row_id, revocation in rows if row_id not in self._told]
        if fresh:
            self._known.add(fresh)
            for queue in self._watchers:
                queue.put_nowait(fresh)
        self._told = {row_id for row_id, _ in rows}
        self._read_until = moment

    async def _since(self, moment: datetime | None) -> tuple[datetime, list[tuple[UUID, Revocation]]]:
        """The database's time, which all replicas share, and what was written since an earlier one."""
        wanted = select(REVOCATIONS).where(REVOCATIONS.c.expires_at > self._clock())
        if moment is not None:
            wanted = wanted.where(REVOCATIONS.c.created_at > moment - OVERLAP)
        async with self._database.begin(system(scope=DIRECTORY)) as session:
            now = (await session.execute(select(func.now()))).scalar_one()
            rows = await session.execute(wanted)
        return now, [
            (
                row.id,
                Revocation(
                    expires_at=row.expires_at.timestamp(), session_id=row.session_id, user_id=row.account_id,
                    access_version=row.access_version,
                ),
            )
            for row in rows
        ]
