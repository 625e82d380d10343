"""The journal: an SQLite file written by group commit; nothing is acknowledged before its commit."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    sequence INTEGER PRIMARY KEY, entity TEXT NOT NULL, body BLOB NOT NULL, enqueued REAL NOT NULL,
    due REAL NOT NULL, expires REAL, time_to_live INTEGER, delivery_count INTEGER NOT NULL DEFAULT 0,
    deferred INTEGER NOT NULL DEFAULT 0, dead_letter_source TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS seen (
    entity TEXT NOT NULL, message_id TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (entity, message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen_at ON seen (at);
"""

INSERT = "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
DELETE = "DELETE FROM messages WHERE sequence = ?"
COUNT = "UPDATE messages SET delivery_count = ?, deferred = ? WHERE sequence = ?"
SEEN = "INSERT OR REPLACE INTO seen VALUES (?, ?, ?)"
FORGET = "DELETE FROM seen WHERE at < ?"


@dataclass(frozen=True, slots=True)
class Row:
    """A message as the journal has it."""

    sequence: int
    entity: str
    body: bytes
    enqueued: float
    due: float
    expires: float | None
    time_to_live: int | None
    delivery_count: int
    deferred: int
    dead_letter_source: str | None


class Journal:
    """Writes are collected while a commit runs and go together in the next one."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_SCHEMA)
        self._pending: list[tuple[str, Sequence[Any]]] = []
        self._waiting: asyncio.Future[None] | None = None

    def rows(self) -> Iterator[Row]:
        """All messages, oldest first."""
        for row in self._connection.execute("SELECT * FROM messages ORDER BY sequence"):
            yield Row(*row)

    def seen(self) -> Iterator[tuple[str, str, float]]:
        """Message ids in the duplicate-detection windows."""
        yield from self._connection.execute("SELECT entity, message_id, at FROM seen")

    def write(self, statement: str, values: Sequence[Any]) -> None:
        """Add a statement to the next commit."""
        self._pending.append((statement, values))

    async def committed(self) -> None:
        """Wait until everything written so far is durable against the death of this process."""
        if not self._pending:
            return
        if self._waiting is None:
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            loop.call_soon(self._commit)
        await asyncio.shield(self._waiting)

    def _commit(self) -> None:
        """Commit what one turn of the event loop has gathered. In WAL mode that is a write without fsync, some 30 us:
        a thread would cost more than it saves."""
        batch, self._pending = self._pending, []
        waiting, self._waiting = self._waiting, None
        try:
            self._apply(batch)
        except sqlite3.Error as error:
            # A commit that fails (a full disk) must not be followed by any acknowledgement.
            sys.stderr.write(f"the journal cannot be written: {error}\n")
            sys.stderr.flush()
            os._exit(1)
        if waiting is not None:
            waiting.set_result(None)

    def _apply(self, batch: list[tuple[str, Sequence[Any]]]) -> None:
        cursor = self._connection.cursor()
        cursor.execute("BEGIN")
        at = 0
        while at < len(batch):
            statement, end = batch[at][0], at + 1
            while end < len(batch) and batch[end][0] is statement:
                end += 1
            cursor.executemany(statement, [values for _, values in batch[at:end]])
            at = end
        cursor.execute("COMMIT")

    async def close(self) -> None:
        """Commit what is pending and close the file."""
        await self.committed()
        self._connection.close()
