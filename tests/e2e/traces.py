"""Everything a stack leaves behind where nobody may find a person: logs, spans, events, dead letters, outboxes."""

import asyncio
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import asyncpg

from gateway.render import SERVICES
from tests.e2e.stack import Stack


def texts(stack: Stack) -> Iterator[tuple[str, str]]:
    """(where, what) of each log, span file, broker journal and outbox."""
    for folder in ("logs", "telemetry", "servicebus"):
        for file in sorted((stack.state / folder).rglob("*")):
            if file.is_file():
                yield str(file.relative_to(stack.state)), file.read_bytes().decode("utf-8", errors="replace")
    yield from asyncio.run(_outboxes(stack))


async def _outboxes(stack: Stack) -> list[tuple[str, str]]:
    found = []
    for service in SERVICES:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=stack.ports["postgres"], user=f"{service}_owner", database=service,
            password=stack.keys[f"{service}-migration-database-password"],
        )
        try:
            rows = await connection.fetch("SELECT * FROM outbox")
            found.append((f"outbox of {service}", "\n".join(str(dict(row)) for row in rows)))
        finally:
            await connection.close()
    return found


def sightings(words: Iterable[str], where: Iterable[tuple[str, str]]) -> list[str]:
    """Each word that stands somewhere by itself, with the place; case does not matter, longer numbers do not count."""
    patterns = {word: re.compile(rf"(?<![\w.]){re.escape(word)}(?!\w)", re.IGNORECASE) for word in words}
    return [
        f"{word!r} in {place}" for place, text in where for word, pattern in patterns.items() if pattern.search(text)
    ]


def log_files(state: Path) -> list[Path]:
    """The processes' logs."""
    return sorted((state / "logs").glob("*.log"))
