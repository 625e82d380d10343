"""Processes that write the log whenever it is their turn, as workers do.

Each line of stdin begins one more of them, whose surroundings it says as JSON. It is a fork of this process: to import
everything takes longer than all that the tests do.

Events come from a feed that delivers at least once: batch N is the same events whoever asks, and is delivered again
until its number stands in the file of those that are settled.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import uvloop
from azure.core.credentials import AccessToken

from lotpro_audit.events.domain import SecurityEvent
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer.service import Sequencer
from lotpro_audit.tree.anchors import Anchors
from lotpro_audit.tree.notes import SigningKey
from lotpro_kit.blobs import Blobs
from lotpro_kit.caller import Origin
from lotpro_kit.clock import utc_now
from lotpro_kit.crypto import BlindIndex, Keyring
from lotpro_kit.db import Database
from lotpro_kit.security_log import SecurityLog

BATCH = 100


class Token:
    """A managed identity that was given its token."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def get_token(self, *_: str, **__: object) -> AccessToken:
        return AccessToken(self._token, int(datetime.now(UTC).timestamp()) + 3600)

    async def close(self) -> None:
        """Nothing to close."""

    async def __aenter__(self) -> "Token":
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""


def event_ids(number: int) -> list[UUID]:
    """The ids of a batch."""
    return [uuid5(NAMESPACE_OID, f"{number}:{at}") for at in range(BATCH)]


def batch(number: int, org_id: str) -> list[SecurityEvent]:
    """The events of a batch."""
    return [
        SecurityEvent(
            id=event_id, occurred_at=datetime.now(UTC), action="inventory:vehicle:sell", success=True,
            actor_kind="user", actor_id=str(event_id), org_id=org_id, origin=Origin(ip="203.0.113.9"),
        )
        for event_id in event_ids(number)
    ]


def undelivered(file: Path) -> Iterator[int]:
    """Batches that are not settled, beginning with the last that is: a bus may deliver that once more."""
    settled = [int(line) for line in file.read_text().split()]
    number = max(settled, default=0)
    while True:
        yield number
        number += 1


def settle(file: Path, number: int) -> None:
    with file.open("a") as settled:
        settled.write(f"{number}\n")


def say(event: str, **more: object) -> None:
    """One line, in one write: it is not mixed with another process's."""
    os.write(1, json.dumps({"event": event, "pid": os.getpid(), **more}).encode() + b"\n")


async def lead(sequencer: Sequencer, told: dict[str, Any]) -> None:
    settled = Path(told["settled"])
    async with sequencer.lead():
        say("leading")
        numbers = undelivered(settled)
        # While one batch is written the next one is prepared.
        async with asyncio.TaskGroup() as both:
            for _ in range(2):
                both.create_task(deliver(sequencer, told["org_id"], numbers, settled))


async def deliver(sequencer: Sequencer, org_id: str, numbers: Iterator[int], settled: Path) -> None:
    for number in numbers:
        await sequencer.append(batch(number, org_id))
        settle(settled, number)
        say("settled", number=number)
        # There are others on this machine.
        await asyncio.sleep(0.04)


async def write(told: dict[str, Any]) -> None:
    blobs = Blobs(
        told["blob_url"], container="audit", credential=Token(told["storage_token"]), ca_bundle=told["ca_bundle"]
    )
    key = SigningKey(told["checkpoint_key"])
    ports = Ports(
        keyring=Keyring(told["key_encryption_key"]), blind_index=BlindIndex(told["blind_index_key"]),
        sealing_key=lambda: "", checkpoint_key=lambda: key, anchors=Anchors(blobs, folder=told["folder"]),
        security_log=SecurityLog(service="audit", sealing_public_key=""), clock=utc_now,
    )
    sequencer = Sequencer(Database(told["database_url"], password=told["password"], pool_size=1), ports)
    while True:
        try:
            await lead(sequencer, told)
        except Exception as error:
            say("lost", error=type(error).__name__)
            await asyncio.sleep(0.1)


def main() -> None:
    # Nobody waits for the dead.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in iter(sys.stdin.readline, ""):
        pid = os.fork()
        if not pid:
            uvloop.run(write(json.loads(line)))
        say("started", child=pid)


if __name__ == "__main__":
    main()
