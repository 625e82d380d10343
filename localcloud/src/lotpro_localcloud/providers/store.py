"""What the providers remember: one SQLite file that survives kill -9."""

import json
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, at REAL NOT NULL,
    sender TEXT NOT NULL, recipient TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL, html TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS messages_recipient ON messages (recipient, number);
CREATE TABLE IF NOT EXISTS objects (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, created REAL NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS objects_kind ON objects (kind, created);
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS webhooks (
    event_id TEXT PRIMARY KEY, attempts INTEGER NOT NULL, next_at REAL NOT NULL
) STRICT;
"""


class Store:
    """Messages for the inbox, Stripe's objects and idempotent answers, and webhooks on their way."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(file, isolation_level=None)
        self._database.row_factory = sqlite3.Row
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.executescript(_SCHEMA)

    def add_message(
        self, kind: str, *, sender: str, recipient: str, subject: str = "", body: str = "", html: str = ""
    ) -> str:
        """Put a message into the inbox; answers its id."""
        message_id = uuid4().hex
        self._database.execute(
            "INSERT INTO messages (id, kind, at, sender, recipient, subject, body, html)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (message_id, kind, time.time(), sender, recipient.lower(), subject, body, html),
        )
        return message_id

    def messages(
        self, *, to: str = "", kind: str = "", text: str = "", after: int = 0, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Messages, newest first; `after` is the number of the newest one seen."""
        like = f"%{text}%"
        rows = self._database.execute(
            "SELECT * FROM messages WHERE (? = '' OR recipient = ?) AND (? = '' OR kind = ?) AND number > ?"
            " AND (? = '' OR subject LIKE ? OR body LIKE ? OR recipient LIKE ?) ORDER BY number DESC LIMIT ?",
            (to.lower(), to.lower(), kind, kind, after, text, like, like, like, limit),
        )
        return [_message(row) for row in rows]

    def message(self, message_id: str) -> dict[str, Any] | None:
        """One message."""
        row = self._database.execute("SELECT * FROM messages WHERE id = ?", (message_id,)).fetchone()
        return _message(row) if row else None

    def clear_messages(self) -> None:
        """Empty the inbox."""
        self._database.execute("DELETE FROM messages")

    def put_object(self, kind: str, body: Mapping[str, Any]) -> None:
        """Store one of Stripe's objects, new or changed."""
        self._database.execute(
            "INSERT INTO objects VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (body["id"], kind, time.time(), json.dumps(body)),
        )

    def object(self, kind: str, object_id: str) -> dict[str, Any] | None:
        """One of Stripe's objects."""
        row = self._database.execute(
            "SELECT body FROM objects WHERE id = ? AND kind = ?", (object_id, kind)
        ).fetchone()
        return dict(json.loads(row["body"])) if row else None

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """All of Stripe's objects of a kind, newest first."""
        rows = self._database.execute(
            "SELECT body FROM objects WHERE kind = ? ORDER BY created DESC, rowid DESC", (kind,)
        )
        return [dict(json.loads(row["body"])) for row in rows]

    def answer(self, key: str) -> tuple[str, int, str] | None:
        """What was answered for an idempotency key: fingerprint of the request, status, body."""
        row = self._database.execute("SELECT * FROM answers WHERE key = ?", (key,)).fetchone()
        return (row["fingerprint"], row["status"], row["body"]) if row else None

    def keep_answer(self, key: str, fingerprint: str, status: int, body: str) -> None:
        """Remember an answer."""
        self._database.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?)", (key, fingerprint, status, body))

    def plan_webhook(self, event_id: str, *, attempts: int, at: float) -> None:
        """Send an event's webhook at a time."""
        self._database.execute("INSERT OR REPLACE INTO webhooks VALUES (?, ?, ?)", (event_id, attempts, at))

    def webhook_done(self, event_id: str) -> None:
        """An event's webhook was taken, or given up."""
        self._database.execute("DELETE FROM webhooks WHERE event_id = ?", (event_id,))

    def webhooks(self) -> list[tuple[str, int, float]]:
        """Webhooks on their way: event, attempts so far, due time; the next one first."""
        rows = self._database.execute("SELECT event_id, attempts, next_at FROM webhooks ORDER BY next_at")
        return [tuple(row) for row in rows]

    def begin(self) -> None:
        """Several changes that stand or fall together; end with `commit`."""
        self._database.execute("BEGIN")

    def commit(self) -> None:
        self._database.execute("COMMIT")

    def rollback(self) -> None:
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")

    def close(self) -> None:
        self._database.close()


def _message(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "number": row["number"], "id": row["id"], "kind": row["kind"], "at": row["at"], "from": row["sender"],
        "to": row["recipient"], "subject": row["subject"], "text": row["body"], "html": row["html"],
    }
