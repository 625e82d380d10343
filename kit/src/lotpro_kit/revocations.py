"""Access tokens that were taken back before they expired: kept in memory, fed by identity, looked at on every request.

A token lives five minutes, so the list is short and a service that has lost identity is behind by no more than that.
"""

import asyncio
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import grpc.aio

from lotpro.revocation.v1 import revocation_pb2, revocation_pb2_grpc
from lotpro_kit import errors, ids, telemetry
from lotpro_kit.caller import Caller

#: A stream is held this long at most; a new one begins with what is in force, so nothing is missed in between.
STREAM_SECONDS = 3600.0
MAX_PAUSE_SECONDS = 5.0
#: How often what has expired is dropped.
PRUNE_SECONDS = 60.0

log = telemetry.logger(__name__)


class Revoked(errors.Unauthenticated):
    """The session was ended, or what its owner may do has changed since the token was made."""

    code = "auth.revoked"
    message = "This access token was taken back. Refresh it or sign in again."


@dataclass(frozen=True, slots=True)
class Revocation:
    """Of a session's tokens, or of a person's that carry a lower access version; `expires_at` in epoch seconds."""

    expires_at: float
    session_id: UUID | None = None
    user_id: UUID | None = None
    access_version: int = 0


class Revocations:
    """What is revoked at this moment."""

    def __init__(self) -> None:
        self._sessions: dict[UUID, float] = {}
        self._versions: dict[UUID, tuple[int, float]] = {}
        self._pruned = 0.0

    def __len__(self) -> int:
        return len(self._sessions) + len(self._versions)

    def add(self, revocations: Iterable[Revocation]) -> None:
        """Take note; the same ones again change nothing."""
        for revocation in revocations:
            if revocation.session_id is not None:
                self._sessions[revocation.session_id] = revocation.expires_at
            if revocation.user_id is not None:
                known, until = self._versions.get(revocation.user_id, (0, 0.0))
                newest = max(known, revocation.access_version), max(until, revocation.expires_at)
                self._versions[revocation.user_id] = newest
        self._prune()

    def check(self, caller: Caller) -> None:
        """Refuse a caller whose token was taken back; raises Revoked."""
        if caller.session_id in self._sessions:
            raise Revoked
        if caller.user_id in self._versions and caller.access_version < self._versions[caller.user_id][0]:
            raise Revoked

    def _prune(self) -> None:
        now = time.time()
        if now - self._pruned < PRUNE_SECONDS:
            return
        self._pruned = now
        self._sessions = {key: until for key, until in self._sessions.items() if until > now}
        self._versions = {key: known for key, known in self._versions.items() if known[1] > now}


async def follow(channel: grpc.aio.Channel, revocations: Revocations) -> None:
    """Keep the list up to date from identity until cancelled; identity is asked again when it went away."""
    stub = revocation_pb2_grpc.RevocationServiceStub(channel)
    pause = 0.1
    while True:
        try:
            request = revocation_pb2.ListRevocationsRequest(follow=True)
            async for answer in stub.ListRevocations(request, timeout=STREAM_SECONDS):
                revocations.add(map(_read, answer.revocations))
                pause = 0.1
        except grpc.aio.AioRpcError as error:
            if pause > 1:
                log.warning("revocations not followed", status=error.code().name)
        await asyncio.sleep(pause + random.random() * pause)  # noqa: S311 - jitter, not a secret
        pause = min(pause * 2, MAX_PAUSE_SECONDS)


def _read(message: revocation_pb2.Revocation) -> Revocation:
    return Revocation(
        expires_at=message.expire_time.seconds + message.expire_time.nanos / 1e9,
        session_id=ids.parse(message.session_id),
        user_id=ids.parse(message.user_id),
        access_version=message.access_version,
    )


def write(revocation: Revocation) -> revocation_pb2.Revocation:
    """The message for a revocation."""
    message = revocation_pb2.Revocation(access_version=revocation.access_version)
    if revocation.session_id is not None:
        message.session_id = str(revocation.session_id)
    elif revocation.user_id is not None:
        message.user_id = str(revocation.user_id)
    message.expire_time.FromMicroseconds(int(revocation.expires_at * 1e6))
    return message
