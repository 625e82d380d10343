"""Use cases of streams: keeping them, and sending the log to them."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from lotpro_audit.clients.receivers import Receivers
from lotpro_audit.events import service as events
from lotpro_audit.events import wire
from lotpro_audit.events.leaf import Leaf
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import service as sequencer
from lotpro_audit.streams import cef, domain, ocsf, repository
from lotpro_audit.streams.domain import AddressRefused, Kind, NoSecret, PauseReason, State, Stream, TooManyStreams
from lotpro_kit import errors, ids
from lotpro_kit.caller import Caller, Origin, system
from lotpro_kit.db import Database, Session
from lotpro_kit.web import Unreachable

KIND = "stream"
PAUSE = "audit:stream:pause"
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Seen:
    """A stream as its organisation sees it: `lag` events are still to be sent."""

    stream: Stream
    lag: int


@dataclass(frozen=True, slots=True)
class Outside:
    """What streams need besides the transaction: the log is written to before a change comes true."""

    database: Database
    ports: Ports
    receivers: Receivers


def _organisation(caller: Caller) -> UUID:
    if caller.org_id is None:
        raise errors.NotFound
    return caller.org_id


async def add_stream(
    session: Session, caller: Caller, outside: Outside, *, kind: Kind, name: str, address: str, personal: bool
) -> tuple[Seen, str]:
    """A new stream of what is logged from now on, and the secret it is signed with (empty for syslog).

    That it is made stands in the log before. Raises AddressRefused, TooManyStreams, and Unavailable when the log does
    not take it.
    """
    org_id, now = _organisation(caller), outside.ports.clock()
    _check_address(outside.receivers, kind, address)
    await repository.hold_organisation(session, org_id)
    if await repository.count(session, org_id) >= domain.MOST_STREAMS:
        raise TooManyStreams
    stream_id = ids.new()
    told, secret = _new_secret(outside.ports, stream_id) if kind is Kind.WEBHOOK else ("", None)
    await _log(outside, caller, "audit:stream:add", stream_id)
    head = (await sequencer.last_numbers(session, {org_id})).get(org_id, 0)
    stream = Stream(
        id=stream_id, org_id=org_id, kind=kind, name=name, address=address, personal=personal, state=State.ACTIVE,
        pause_reason=None, secret=secret, former_secret=None, former_until=None, position=head, attempts=0,
        next_attempt_at=now, lease=None, leased_until=None, last_error=None, last_failed_at=None, last_sent_at=None,
        version=1, created_at=now, updated_at=now,
    )
    await repository.add(session, stream)
    return Seen(stream, 0), told


async def view_stream(session: Session, caller: Caller, *, stream_id: UUID) -> Seen:
    """One of the organisation's streams and how far it is; raises NotFound."""
    found = await repository.find(session, _organisation(caller), stream_id)
    if found is None:
        raise errors.NotFound
    return (await _seen(session, found))[0]


async def list_streams(session: Session, caller: Caller, *, before: UUID | None, limit: int) -> list[Seen]:
    """The organisation's streams, the newest first, going on after one."""
    return await _seen(
        session, *await repository.page(session, _organisation(caller), before=before, limit=limit)
    )


async def _seen(session: Session, *streams: Stream) -> list[Seen]:
    heads = await sequencer.last_numbers(session, {stream.org_id for stream in streams})
    return [Seen(stream, max(0, heads.get(stream.org_id, 0) - stream.position)) for stream in streams]


async def update_stream(
    session: Session, caller: Caller, outside: Outside, *, stream_id: UUID, version: int, changes: Mapping[str, Any]
) -> Seen:
    """Change where and what is sent; it is tried again at once. Raises NotFound, PreconditionFailed, AddressRefused."""
    stream = await _held(session, caller, stream_id=stream_id, version=version)
    wanted = {name: value for name, value in changes.items() if getattr(stream, name) != value}
    if "address" in wanted:
        _check_address(outside.receivers, stream.kind, wanted["address"])
    if not wanted:
        return (await _seen(session, stream))[0]
    again = {"attempts": 0, "next_attempt_at": outside.ports.clock()} if "address" in wanted else {}
    return await _change(
        session, caller, outside, stream, "audit:stream:update", {**wanted, **again}, changed=tuple(sorted(wanted))
    )


async def pause_stream(
    session: Session, caller: Caller, outside: Outside, *, stream_id: UUID, version: int
) -> Seen:
    """Send nothing until it is resumed, and then all from where it stopped. Raises NotFound and PreconditionFailed."""
    stream = await _held(session, caller, stream_id=stream_id, version=version)
    if stream.state is State.PAUSED:
        return (await _seen(session, stream))[0]
    changes = {"state": State.PAUSED, "pause_reason": PauseReason.ASKED}
    return await _change(session, caller, outside, stream, PAUSE, changes)


async def resume_stream(
    session: Session, caller: Caller, outside: Outside, *, stream_id: UUID, version: int
) -> Seen:
    """Send again, at once. Raises NotFound and PreconditionFailed."""
    stream = await _held(session, caller, stream_id=stream_id, version=version)
    if stream.state is State.ACTIVE:
        return (await _seen(session, stream))[0]
    changes = {
        "state": State.ACTIVE, "pause_reason": None, "attempts": 0, "next_attempt_at": outside.ports.clock(),
    }
    return await _change(session, caller, outside, stream, "audit:stream:resume", changes)


async def rotate_secret(
    session: Session, caller: Caller, outside: Outside, *, stream_id: UUID, version: int
) -> tuple[Seen, str]:
    """A new secret; the one before signs beside it for 24 hours, an older one no more.

    Raises NotFound, PreconditionFailed and NoSecret.
    """
    stream = await _held(session, caller, stream_id=stream_id, version=version)
    if stream.secret is None:
        raise NoSecret
    told, secret = _new_secret(outside.ports, stream.id)
    changes = {
        "secret": secret, "former_secret": stream.secret, "former_until": outside.ports.clock() + domain.OVERLAP,
    }
    return await _change(session, caller, outside, stream, "audit:stream:rotate", changes), told


async def delete_stream(
    session: Session, caller: Caller, outside: Outside, *, stream_id: UUID, version: int
) -> None:
    """Send nothing any more, and forget where to. Raises NotFound and PreconditionFailed."""
    stream = await _held(session, caller, stream_id=stream_id, version=version)
    await _log(outside, caller, "audit:stream:delete", stream.id)
    await repository.remove(session, stream)


async def _held(session: Session, caller: Caller, *, stream_id: UUID, version: int) -> Stream:
    """A stream of this version, that nobody else changes until the transaction ends."""
    stream = await repository.find(session, _organisation(caller), stream_id, lock=True)
    if stream is None:
        raise errors.NotFound
    if stream.version != version:
        raise errors.PreconditionFailed
    return stream


async def _change(
    session: Session, caller: Caller, outside: Outside, stream: Stream, action: str, changes: Mapping[str, Any], *,
    changed: tuple[str, ...] = (),
) -> Seen:
    await _log(outside, caller, action, stream.id, changed=changed)
    after = await repository.change(session, stream, {**changes, "updated_at": outside.ports.clock()})
    return (await _seen(session, after))[0]


async def _log(
    outside: Outside, caller: Caller, action: str, stream_id: UUID, *, changed: tuple[str, ...] = ()
) -> None:
    """Where a log is sent to never changes unlogged: raises Unavailable when the log does not take it."""
    ports = outside.ports
    event = ports.security_log.event(caller, action, at=ports.clock(), subject=(KIND, stream_id), changed=changed)
    await sequencer.append_and_wait(outside.database, ports, wire.read(event, ids.new(), ports))


def _check_address(receivers: Receivers, kind: Kind, address: str) -> None:
    is_right = receivers.is_webhook if kind is Kind.WEBHOOK else receivers.is_syslog
    if not is_right(address):
        raise AddressRefused


def _context(stream_id: UUID) -> str:
    return f"streams.secret:{stream_id}"


def _new_secret(ports: Ports, stream_id: UUID) -> tuple[str, bytes]:
    """A secret as it is told, and as it is stored."""
    told = domain.secret_of(os.urandom(_SECRET_BYTES))
    return told, ports.keyring.wrap(told.encode(), context=_context(stream_id))


@dataclass(frozen=True, slots=True)
class Batch:
    """What is sent at once: a leased stream and its next events, with where they came from if it may say that."""

    stream: Stream
    events: Sequence[tuple[Leaf, Origin | None]]

    @property
    def last(self) -> int:
        """The last event's number in the organisation's own sequence."""
        return self.events[-1][0].org_seq


async def due(session: Session, ports: Ports) -> list[tuple[UUID, UUID]]:
    """(organisation, stream) of what there is something to send to now, the longest waiting first."""
    free = await repository.free(session, now=ports.clock())
    if not free:
        return []
    heads = await sequencer.last_numbers(session, {row.org_id for row in free})
    return [(row.org_id, row.id) for row in free if heads.get(row.org_id, 0) > row.position]


async def lease_batch(session: Session, ports: Ports, *, org_id: UUID, stream_id: UUID) -> Batch | None:
    """Take a stream's next events for sending, its own for LEASE; None when there are none, or somebody else is at it.
    """
    now = ports.clock()
    head = (await sequencer.last_numbers(session, {org_id})).get(org_id, 0)
    stream = await repository.lease(
        session, org_id=org_id, stream_id=stream_id, lease=ids.new(), until=now + domain.LEASE, now=now
    )
    if stream is None:
        return None
    found: list[tuple[Leaf, Origin | None]]
    if stream.personal:
        opened = await events.numbered_and_opened(
            session, ports, org_id=org_id, after=stream.position, limit=domain.BATCH
        )
        found = [(event.leaf, event.origin) for event in opened]
    else:
        leaves = await events.numbered(session, org_id=org_id, after=stream.position, limit=domain.BATCH)
        found = [(leaf, None) for leaf in leaves]
    if not found:
        # Nothing new, or what was there went with its days.
        await repository.settle(session, stream, {"position": max(head, stream.position)})
        return None
    return Batch(stream, found)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a batch: it arrived, or why not."""

    error: str = ""
    gone: bool = False

    @property
    def arrived(self) -> bool:
        return not self.error


async def send_batch(outside: Outside, batch: Batch) -> Fate:
    """Send a batch, outside of any transaction."""
    stream, receivers = batch.stream, outside.receivers
    try:
        if stream.kind is Kind.SYSLOG:
            await receivers.write(stream.address, b"".join(cef.frame(leaf, origin) for leaf, origin in batch.events))
            return Fate()
        body = json.dumps([ocsf.event(leaf, origin) for leaf, origin in batch.events], separators=(",", ":")).encode()
        status = await receivers.post(stream.address, body, _headers(outside.ports, batch, body))
    except Unreachable:
        return Fate("unreachable")
    if 200 <= status < 300:
        return Fate()
    return Fate(f"answered_{status}", gone=status == domain.GONE)


def _headers(ports: Ports, batch: Batch, body: bytes) -> dict[str, str]:
    stream, now = batch.stream, ports.clock()
    valid = [stream.secret]
    if stream.former_until is not None and now < stream.former_until:
        valid.append(stream.former_secret)
    secrets = [
        ports.keyring.unwrap(secret, context=_context(stream.id)).decode() for secret in valid if secret is not None
    ]
    return {
        "content-type": "application/json",
        "user-agent": "lotPro-audit/1",
        "lotpro-signature": domain.signature(body, secrets, at=now),
        "lotpro-stream": str(stream.id),
        "lotpro-batch": f"{batch.events[0][0].org_seq}-{batch.last}",
    }


async def settle_batch(session: Session, ports: Ports, batch: Batch, fate: Fate) -> timedelta | None:
    """Write down what became of a batch: only what arrived is behind us. Answers how long until it is tried again.

    Does nothing when the lease ran out and somebody else has it. A receiver that is gone pauses the stream, which the
    log says.
    """
    now, stream = ports.clock(), batch.stream
    if fate.arrived:
        changes: dict[str, Any] = {
            "position": batch.last, "attempts": 0, "next_attempt_at": now, "last_sent_at": now, "last_error": None,
        }
        await repository.settle(session, stream, changes)
        return None
    attempts = stream.attempts + 1
    again = domain.next_attempt(attempts, now=now)
    changes = {"attempts": attempts, "next_attempt_at": again, "last_error": fate.error, "last_failed_at": now}
    if fate.gone:
        changes |= {"state": State.PAUSED, "pause_reason": PauseReason.GONE}
    ours = await repository.settle(session, stream, changes)
    if ours and fate.gone:
        # Whoever read it before must read it again: its state is another one.
        await repository.change(session, stream, {"updated_at": now})
        await ports.security_log.record(session, system(stream.org_id), PAUSE, at=now, subject=(KIND, stream.id))
    return again - now

