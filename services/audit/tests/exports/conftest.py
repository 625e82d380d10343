"""Exports of the log on this test process's database: opened, made and fetched as a client would."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from lotpro_audit import app
from lotpro_audit.exports import service
from lotpro_audit.exports.jobs import Exporter
from lotpro_audit.exports.models import CHUNKS
from lotpro_audit.verification import verify
from lotpro_kit.caller import system
from services.audit.tests.conftest import Log

EXPORTS = "/api/audit/v1/exports"
#: Events of a chunk, so that a few events make a file of many.
SMALL = 5


class Died(BaseException):
    """A worker was killed: nothing catches this."""


class Mortal:
    """A clock whose worker dies when it looks at it once too often."""

    def __init__(self, clock: Any, looks: int) -> None:
        self._clock, self._left = clock, looks

    def __call__(self) -> datetime:
        self._left -= 1
        if self._left < 0:
            raise Died
        found: datetime = self._clock()
        return found


@dataclass
class Desk:
    """Somebody of compliance, the workers that make exports, and files to verify."""

    log: Log
    client: httpx.AsyncClient
    folder: Path

    async def fill(self, count: int, **more: Any) -> None:
        await self.log.take_all(*(self.log.act(**more) for _ in range(count)))

    async def open(self, *, key: str | None = None, **body: Any) -> dict[str, Any]:
        headers = {"idempotency-key": key} if key else {}
        answer = await self.client.post(EXPORTS, json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def work(self, at_once: int = SMALL) -> None:
        await Exporter(self.log.runtime.database, app.ports(self.log.runtime), at_once=at_once).work()

    async def work_until_killed(self, export_id: str, looks: int, *, at_once: int = SMALL) -> bool:
        """Whether the worker died before the export was finished; what it had is given back by time alone."""
        database, ports = self.log.runtime.database, app.ports(self.log.runtime)
        while str((leased := await service.lease_next(database, ports)).id) != export_id:
            # What another test has left.
            await service.make(database, ports, leased)
        mortal = replace(ports, clock=Mortal(self.log.clock, looks))
        try:
            await service.make(database, mortal, leased, at_once=at_once)
        except Died:
            return True
        return False

    async def look(self, export_id: str) -> dict[str, Any]:
        answer = await self.client.get(f"{EXPORTS}/{export_id}")
        assert answer.status_code == 200, answer.text
        return {**answer.json(), "etag": answer.headers["etag"]}

    async def fetch(self, export_id: str) -> bytes:
        answer = await self.client.get(f"{EXPORTS}/{export_id}/content")
        assert answer.status_code == 200, answer.text
        return answer.content

    async def exported(self, **body: Any) -> bytes:
        """A finished export's file."""
        opened = await self.open(**body)
        await self.work()
        assert (await self.look(opened["id"]))["state"] == "done"
        return await self.fetch(opened["id"])

    def judge(self, content: bytes) -> verify.Report:
        file = self.folder / str(uuid4())
        file.write_bytes(content)
        with file.open("rb") as opened:
            return verify.verify(opened, app.ports(self.log.runtime).checkpoint_key().verifier)

    async def command(self, content: bytes) -> tuple[int, dict[str, Any]]:
        """What the stand-alone command says, with no more than the file and the published key."""
        file = self.folder / str(uuid4())
        file.write_bytes(content)
        key = (await self.client.get("/api/audit/v1/log-key")).json()["key"]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "lotpro_audit.verification", str(file), "--key", key, "--json",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={},
        )
        said, complaints = await process.communicate()
        assert process.returncode in (0, 1), complaints
        return process.returncode, json.loads(said)

    async def chunks(self, export_id: str) -> list[tuple[int, bytes]]:
        async with self.log.runtime.database.begin(system(self.log.org_id)) as session:
            found = await session.execute(
                CHUNKS.select().where(CHUNKS.c.export_id == export_id).order_by(CHUNKS.c.number)
            )
            return [(row.number, row.content) for row in found]


@pytest.fixture
async def desk(log: Log, tmp_path: Path) -> AsyncIterator[Desk]:
    async with log.client("compliance") as client:
        yield Desk(log, client, tmp_path)
