"""What the providers remember: one SQLite file that survives kill -9."""

import json
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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
CREATE INDEX IF NOT EXISTS objects_of_kind ON objects (kind);
CREATE INDEX IF NOT EXISTS objects_customer ON objects (kind, json_extract(body, '$.customer'));
CREATE INDEX IF NOT EXISTS objects_lookup_key ON objects (kind, json_extract(body, '$.lookup_key'));
DROP INDEX IF EXISTS objects_kind;
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS deliveries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, provider TEXT NOT NULL, url TEXT NOT NULL, body TEXT NOT NULL,
    attempts INTEGER NOT NULL, next_at REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS deliveries_next ON deliveries (next_at, number);
DROP TABLE IF EXISTS webhooks;
CREATE TABLE IF NOT EXISTS secrets (
    number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, version TEXT NOT NULL UNIQUE, body TEXT NOT NULL,
    created INTEGER NOT NULL, planted INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS secrets_name ON secrets (name COLLATE NOCASE, number);
"""

#: What objects may be searched by, and where it stands in their JSON.
SEARCHABLE = {
    **{name: name for name in ("active", "created", "customer", "email", "lookup_key", "product", "status", "type")},
    "subscription": "parent.subscription_details.subscription",
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook on its way; `next_at` in seconds since 1970."""

    number: int
    provider: str
    url: str
    body: str
    attempts: int
    next_at: float


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """One version of a secret; `body` is its bundle in the vault's API without id and times."""

    name: str
    version: str
    body: Mapping[str, Any]
    created: int


class Store:
    """Messages for the inbox, the providers' objects, idempotent answers, secrets, and webhooks on their way."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(0o600)
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
        rows = self._database.execute(
            "SELECT * FROM messages WHERE (:to = '' OR recipient = :to) AND (:kind = '' OR kind = :kind)"
            " AND number > :after AND (:text = '' OR instr(lower(subject), :text) OR instr(lower(body), :text)"
            " OR instr(recipient, :text) OR instr(lower(sender), :text)) ORDER BY number DESC LIMIT :limit",
            {"to": to.lower(), "kind": kind, "after": after, "text": text.lower(), "limit": limit},
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
        """Store a provider's object, new or changed."""
        self._database.execute(
            "INSERT INTO objects VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (body["id"], kind, time.time(), json.dumps(body)),
        )

    def object(self, kind: str, object_id: str) -> dict[str, Any] | None:
        """A provider's object."""
        row = self._database.execute(
            "SELECT body FROM objects WHERE id = ? AND kind = ?", (object_id, kind)
        ).fetchone()
        return dict(json.loads(row["body"])) if row else None

    def objects(
        self,
        kind: str,
        *,
        among: Mapping[str, Collection[str | int]] | None = None,
        compared: Collection[tuple[str, str, int]] = (),
        older_than: str = "",
        newer_than: str = "",
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Objects of a kind, newest first, whose fields are `among` the given values and compare as told.

        `newer_than` an object: those next to it, still newest first. KeyError for a field that is not SEARCHABLE.
        """
        conditions: list[str] = ["kind = ?"]
        values: list[str | int] = [kind]
        for name, wanted in (among or {}).items():
            conditions.append(f"{_field(name)} IN ({', '.join('?' * len(wanted))})")
            values += wanted
        for name, operator, bound in compared:
            conditions.append(f"{_field(name)} {_OPERATORS[operator]} ?")
            values.append(bound)
        for other, condition in ((older_than, _OLDER), (newer_than, _NEWER)):
            if other:
                conditions.append(condition)
                values.append(other)
        order = "ASC" if newer_than else "DESC"
        rows = self._database.execute(
            f"SELECT body FROM objects WHERE {' AND '.join(conditions)} ORDER BY rowid {order} LIMIT ?",  # noqa: S608 - every name in it is a constant of this module
            (*values, limit),
        )
        found = [dict(json.loads(row["body"])) for row in rows]
        return found[::-1] if newer_than else found

    def answer(self, key: str) -> tuple[str, int, str] | None:
        """What was answered for an idempotency key: fingerprint of the request, status, body."""
        row = self._database.execute("SELECT * FROM answers WHERE key = ?", (key,)).fetchone()
        return (row["fingerprint"], row["status"], row["body"]) if row else None

    def keep_answer(self, key: str, fingerprint: str, status: int, body: str) -> None:
        """Remember an answer."""
        self._database.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?)", (key, fingerprint, status, body))

    def plan_delivery(self, provider: str, url: str, body: str) -> None:
        """Send a webhook as soon as may be."""
        self._database.execute(
            "INSERT INTO deliveries (provider, url, body, attempts, next_at) VALUES (?, ?, ?, 0, ?)",
            (provider, url, body, time.time()),
        )

    def postpone_delivery(self, number: int, *, attempts: int, until: float) -> None:
        """Send a webhook again, later."""
        self._database.execute(
            "UPDATE deliveries SET attempts = ?, next_at = ? WHERE number = ?", (attempts, until, number)
        )

    def end_delivery(self, number: int) -> None:
        """A webhook was taken, or given up."""
        self._database.execute("DELETE FROM deliveries WHERE number = ?", (number,))

    def deliveries(self, *, limit: int) -> list[Delivery]:
        """Webhooks on their way, the next one first."""
        rows = self._database.execute("SELECT * FROM deliveries ORDER BY next_at, number LIMIT ?", (limit,))
        return [Delivery(**row) for row in rows]

    def add_secret(self, name: str, body: Mapping[str, Any], *, planted: bool = False) -> SecretVersion:
        """A new version of a secret. Planted: it came from the file that the vault was given, not by its API."""
        made = SecretVersion(name, uuid4().hex, body, int(time.time()))
        self._database.execute(
            "INSERT INTO secrets (name, version, body, created, planted) VALUES (?, ?, ?, ?, ?)",
            (name, made.version, json.dumps(body), made.created, planted),
        )
        return made

    def planted(self) -> dict[str, str]:
        """Name -> value of each secret as the vault's file last gave it."""
        rows = self._database.execute("SELECT name, body FROM secrets WHERE planted ORDER BY number")
        return {row["name"]: json.loads(row["body"])["value"] for row in rows}

    def secret_versions(self, name: str) -> list[SecretVersion]:
        """All versions of a secret, the current one first. Names differ by more than case."""
        rows = self._database.execute(
            "SELECT * FROM secrets WHERE name = ? COLLATE NOCASE ORDER BY number DESC", (name,)
        )
        return [SecretVersion(row["name"], row["version"], json.loads(row["body"]), row["created"]) for row in rows]

    def secret_names(self) -> list[str]:
        """Of all secrets, in order."""
        return [row["name"] for row in self._database.execute("SELECT DISTINCT name FROM secrets ORDER BY name")]

    @contextmanager
    def changes(self) -> Iterator[None]:
        """Several changes that stand or fall together."""
        self._database.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._database.close()


_OLDER = "rowid < (SELECT rowid FROM objects WHERE id = ?)"
_NEWER = "rowid > (SELECT rowid FROM objects WHERE id = ?)"
_OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def _field(name: str) -> str:
    return f"json_extract(body, '$.{SEARCHABLE[name]}')"


def _message(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "number": row["number"], "id": row["id"], "kind": row["kind"], "at": row["at"], "from": row["sender"],
        "to": row["recipient"], "subject": row["subject"], "text": row["body"], "html": row["html"],
    }
