"""Use cases of holds: placing and releasing them, keeping what they reach, and letting it go afterwards."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from lotpro_audit.events import domain as events_domain
from lotpro_audit.events import service as events
from lotpro_audit.events import wire
from lotpro_audit.events.domain import Filter, SecurityEvent
from lotpro_audit.events.service import Event
from lotpro_audit.holds import domain, repository
from lotpro_audit.holds.domain import Hold, HoldOver, Scope, State
from lotpro_audit.holds.repository import Position
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import service as sequencer
from lotpro_audit.tree import domain as tree
from lotpro_audit.tree import notes
from lotpro_audit.tree import service as tree_service
from lotpro_audit.verification import domain as verifying
from lotpro_audit.verification.domain import Run
from lotpro_kit import errors, ids
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session

PLACE, RELEASE, READ, VIEW = "audit:hold:place", "audit:hold:release", "audit:hold:read", "audit:hold:view"
#: Events that are copied or erased at once.
AT_ONCE = 1000


class Proven(NamedTuple):
    """An event with the path from its leaf to a signed checkpoint, of a tree of `size`.

    `expired_day` is the day that it outlived; None while the log still has it.
    """

    event: Event
    path: list[bytes]
    size: int
    checkpoint: str
    expired_day: date | None


async def place_hold(
    session: Session, caller: Caller, ports: Ports, *, scope: Scope, reason: str, authority: str,
    ends_at: datetime | None,
) -> tuple[Hold, UUID]:
    """Keep what a scope reaches beyond its day; answers the hold and the id of the event that says so.

    What is left of the log, and all that is still to come, is kept from now on; days that have gone before do not
    come back (`first_day`, `days_gone`). Wait for the event after the commit. Raises NotFound for a store that the
    log knows nothing of, HoldEndsInThePast and HoldTimeEmpty.
    """
    org_id, user_id = _who(caller)
    now = ports.clock()
    domain.check(scope, ends_at=ends_at, now=now)
    if scope.store_id is not None:
        await check_store(session, org_id=org_id, store_id=scope.store_id)
    # A day that is about to go either finds this hold, or is gone before it.
    await repository.lock_shared(session)
    hold = Hold(
        id=ids.new(), org_id=org_id, store_id=scope.store_id, person_id=scope.person_id, since=scope.since,
        until=scope.until, reason=reason, authority=authority, placed_by=user_id, placed_at=now, ends_at=ends_at,
        released_by=None, released_at=None, first_day=await events.first_day(session, now=now),
        days_gone=domain.days_gone(await events.days_that_went(session), scope), version=1,
    )  # fmt: skip
    await repository.add(session, hold)
    return hold, await _leave(session, caller, ports, PLACE, hold, at=now)


async def release_hold(
    session: Session, caller: Caller, ports: Ports, *, hold_id: UUID, version: int
) -> tuple[Hold, UUID]:
    """End a hold; what no other one reaches goes with the next run of `release-held`, the rest on its day.

    Answers the hold and the id of the event that says so: wait for it after the commit. Raises NotFound,
    PreconditionFailed and HoldOver.
    """
    org_id, user_id = _who(caller)
    now = ports.clock()
    found = await repository.hold(session, org_id=org_id, hold_id=hold_id, for_update=True)
    if found is None:
        raise errors.NotFound
    if found.version != version:
        raise errors.PreconditionFailed
    if found.state(now) is not State.ACTIVE:
        raise HoldOver
    released = replace(found, released_by=user_id, released_at=now, version=version + 1)
    await repository.release(session, hold_id=hold_id, by=user_id, at=now, version=released.version)
    return released, await _leave(session, caller, ports, RELEASE, released, at=now)


async def _leave(session: Session, caller: Caller, ports: Ports, action: str, hold: Hold, *, at: datetime) -> UUID:
    """Log what becomes true with the transaction, in the transaction; answers the event's id."""
    event_id = uuid5(hold.id, action)
    concerned = None if hold.person_id is None else ("person", hold.person_id)
    await sequencer.leave(
        session, ports,
        wire.of_caller(
            ports, caller, action, event_id=event_id, at=at, subject=("hold", hold.id), store_id=hold.store_id,
            concerned=concerned,
        ),
    )
    return event_id


async def view_hold(session: Session, caller: Caller, ports: Ports, *, hold_id: UUID) -> Hold:
    """One hold of the organisation; raises NotFound. Looking is logged."""
    org_id, _ = _who(caller)
    found = await hold(session, org_id=org_id, hold_id=hold_id)
    await ports.security_log.record(session, caller, VIEW, at=ports.clock(), subject=("hold", hold_id))
    return found


async def hold(session: Session, *, org_id: UUID, hold_id: UUID) -> Hold:
    """One hold of an organisation; raises NotFound."""
    found = await repository.hold(session, org_id=org_id, hold_id=hold_id)
    if found is None:
        raise errors.NotFound
    return found


async def list_holds(
    session: Session, caller: Caller, ports: Ports, *, active: bool | None, after: UUID | None, limit: int
) -> list[Hold]:
    """The organisation's holds, newest first: all, those that keep something, or those that are over. It is logged."""
    org_id, _ = _who(caller)
    await ports.security_log.record(session, caller, VIEW, at=ports.clock())
    return await repository.holds(
        session, org_id=org_id, active=active, now=ports.clock(), after=after, limit=limit
    )


async def list_held_events(
    session: Session, caller: Caller, ports: Ports, *, hold_id: UUID, after: Position | None, limit: int
) -> list[Proven]:
    """What a hold reaches, in the log and of days that went, oldest first, each with its proof; raises NotFound.

    That somebody looked is logged.
    """
    org_id, _ = _who(caller)
    scope = (await hold(session, org_id=org_id, hold_id=hold_id)).scope
    await ports.security_log.record(session, caller, READ, at=ports.clock(), subject=("hold", hold_id))
    logged = await events.rows_in_scope(
        session, org_id=org_id, store_id=scope.store_id, person_id=scope.person_id, since=scope.since,
        until=scope.until, after=after, limit=limit,
    )
    kept = await repository.kept(session, org_id=org_id, scope=scope, after=after, limit=limit)
    # What was copied out of a day that has not gone yet is in both.
    rows: dict[int, Any] = {row.seq: row for row in [*kept, *logged]}
    page = sorted(rows.values(), key=lambda row: (row.occurred_at, row.seq))[:limit]
    return await _proven(session, ports, page)


async def _proven(session: Session, ports: Ports, rows: Sequence[Any]) -> list[Proven]:
    opened = await events.opened(session, ports, rows)
    fresh = [row.seq for row in rows if not hasattr(row, "path")]
    paths: dict[int, list[bytes]] = {}
    newest = await tree_service.newest_checkpoint(session) if fresh else None
    if newest is not None:
        paths = dict(zip(fresh, await tree_service.inclusion_proofs(session, fresh, newest.size), strict=True))
    return [
        Proven(event, paths[row.seq], newest.size, newest.note, None)
        if newest is not None and row.seq in paths
        else Proven(
            event, tree.split(row.path), notes.size_of(row.checkpoint), row.checkpoint, row.expired_day
        )
        for event, row in zip(opened, rows, strict=True)
    ]


async def check_store(session: Session, *, org_id: UUID, store_id: UUID) -> None:
    """Raises NotFound when the log knows nothing of such a store of the organisation."""
    if not (
        await events.knows_store(session, org_id=org_id, store_id=store_id)
        or await repository.knows_store(session, org_id=org_id, store_id=store_id)
    ):
        raise errors.NotFound


async def is_person_held(session: Session, *, person_id: UUID, org_id: UUID | None, now: datetime) -> bool:
    """Whether a hold that is not over names a person, or reaches an event that names them.

    Of one organisation in its own transaction; of all (None) in the scope RETENTION. Nothing of somebody who is held
    may be erased, and the database refuses to drop their data key.
    """
    return await repository.is_person_held(session, person_id=person_id, org_id=org_id, now=now)


async def pages(
    session: Session, org_id: UUID, *, wanted: Filter, last_org_seq: int, after: int, size: int
) -> Sequence[Any]:
    """How what is kept of an organisation, up to one of its own numbers and after a place of the tree, makes pages.

    Of each its last place (`last`) and how many `events` it has.
    """
    conditions = repository.matching(org_id, wanted, last_org_seq=last_org_seq)
    return await repository.pages(session, conditions, after=after, size=size)


async def rows_between(
    session: Session, org_id: UUID, *, wanted: Filter, last_org_seq: int, after: int, last: int
) -> Sequence[Any]:
    """What is kept of an organisation after a place of the tree and up to another one, for `events.opened`."""
    conditions = repository.matching(org_id, wanted, last_org_seq=last_org_seq)
    return await repository.stretch(session, conditions, after=after, last=last)


async def count_about(session: Session, *, org_id: UUID, person_id: UUID) -> int:
    """How many kept events of an organisation name a person."""
    return await repository.count_about(session, org_id=org_id, person_id=person_id)


async def events_about(
    session: Session, ports: Ports, *, org_id: UUID, person_id: UUID, after: Position | None, limit: int
) -> list[Event]:
    """Those events, oldest first, each with where it came from."""
    rows = await repository.kept(
        session, org_id=org_id, scope=Scope(person_id=person_id), after=after, limit=limit
    )
    return await events.opened(session, ports, rows)


async def active_ids(session: Session, *, now: datetime) -> frozenset[UUID]:
    """Every organisation's holds that are not over."""
    return await repository.active_ids(session, now=now)


async def keep_out(session: Session) -> None:
    """Let nobody place a hold until the transaction's end: something is about to be erased."""
    await repository.lock(session)


async def keep_held(session: Session, day: date, *, holds: Collection[UUID], now: datetime) -> int:
    """Copy what holds reach out of a day that is about to go, each with its proof; answers how many. May run twice."""
    kept, after = 0, -1
    while holds:
        rows = await repository.held_of_day(session, day, holds=holds, now=now, after=after, limit=AT_ONCE)
        if rows:
            checkpoint = await tree_service.newest_checkpoint(session)
            paths = await tree_service.inclusion_proofs(session, [row["seq"] for row in rows], checkpoint.size)
            await repository.keep(
                session,
                [
                    {**row, "path": b"".join(path), "checkpoint": checkpoint.note, "expired_day": day}
                    for row, path in zip(rows, paths, strict=True)
                ],
            )
            kept, after = kept + len(rows), rows[-1]["seq"]
        if len(rows) < AT_ONCE:
            break
    return kept


async def count_unreached(session: Session, *, now: datetime) -> int:
    """How many kept events no hold reaches any more."""
    return await repository.count_unreached(session, now=now)


async def kept_of_day(session: Session, day: date, *, first: int, last: int) -> list[Run]:
    """The places of what is kept of a day whose own places begin and end with these two."""
    return verifying.runs_of(await repository.kept_of_day(session, day, first=first, last=last))


async def erase_unreached(session: Session, ports: Ports, *, now: datetime) -> int:
    """Erase kept events, AT_ONCE at most, that no hold reaches any more; answers how many.

    What says so is left for the log in the same transaction, for the log also says that they were kept: whoever else
    removes one is found out. Once it has committed, the log is to be waited for (`days.wait_until_said`).
    """
    await keep_out(session)
    erased = await repository.drop_unreached(session, now=now, limit=AT_ONCE)
    if erased:
        event = _erasure(verifying.runs_of(erased), at=ports.clock())
        await sequencer.leave(session, ports, event)
        await repository.add_erasure(
            session, event_id=event.id, runs=verifying.write_runs(verifying.runs_of(erased))
        )
    return len(erased)


def _erasure(runs: list[Run], *, at: datetime) -> SecurityEvent:
    """What the log says of kept events that are erased."""
    return SecurityEvent(
        id=ids.new(), occurred_at=at.astimezone(UTC), action=events_domain.ERASE, success=True, actor_kind="system",
        actor_name="audit",
        expiry={
            "count": verifying.count_of(runs), "first": runs[0][0], "last": runs[-1][1],
            "runs_sha256": verifying.digest_of(runs), "clause": events_domain.CLAUSE,
        },
    )


async def unsaid(session: Session) -> list[UUID]:
    """The ids of events that say that kept ones were erased, and whose leaves are not kept yet."""
    return await repository.unsaid_erasures(session)


async def keep_leaves(session: Session) -> None:
    """Keep the leaves that say that kept events were erased, of those that the log has by now."""
    for event_id in await repository.unsaid_erasures(session):
        row = await events.said(session, event_id)
        if row is not None:
            await repository.keep_leaf(session, event_id, seq=row.seq, leaf=row.leaf)


async def forget_holds(session: Session, *, as_of: datetime, dry_run: bool) -> int:
    """Drop the records of holds that have been over for 24 months (policy); answers how many."""
    over_before = domain.records_end(as_of)
    if dry_run:
        return await repository.count_forgettable(session, over_before=over_before)
    return await repository.forget(session, over_before=over_before)


def _who(caller: Caller) -> tuple[UUID, UUID]:
    """Organisation and person; raises NotFound for somebody without an organisation."""
    if caller.org_id is None or caller.user_id is None:
        raise errors.NotFound
    return caller.org_id, caller.user_id
