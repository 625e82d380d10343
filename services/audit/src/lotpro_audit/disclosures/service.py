"""Use cases of the register of disclosures."""

from datetime import datetime
from uuid import UUID, uuid5

from lotpro_audit.disclosures import domain, repository
from lotpro_audit.disclosures.domain import Disclosure, Given, Request
from lotpro_audit.events import wire
from lotpro_audit.holds import domain as holding
from lotpro_audit.holds import service as holds
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import service as sequencer
from lotpro_kit import errors, ids
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session

RECORD, VIEW = "audit:disclosure:record", "audit:disclosure:view"


async def record_disclosure(
    session: Session, caller: Caller, ports: Ports, *, request: Request, given: Given
) -> tuple[Disclosure, UUID]:
    """Write into the register what was handed over; answers the line and the id of the event that says so.

    Wait for the event after the commit. Without `given_by` it was the caller who gave it. Raises NotFound for a hold
    that is not there and a store that the log knows nothing of, DisclosureTimesImpossible and DisclosureNotTold.
    """
    org_id, user_id = _who(caller)
    now = ports.clock()
    domain.check(request, given, now=now)
    if given.hold_id is not None:
        await holds.hold(session, org_id=org_id, hold_id=given.hold_id)
    store_id = UUID(given.filter["store_id"]) if "store_id" in given.filter else None
    if store_id is not None:
        await holds.check_store(session, org_id=org_id, store_id=store_id)
    line = Disclosure(
        id=ids.new(), org_id=org_id, requester=request.requester, authority=request.authority,
        legal_basis=request.legal_basis, reference=request.reference, received_at=request.received_at,
        hold_id=given.hold_id, filter=given.filter, event_count=given.event_count,
        export_sha256=given.export_sha256, given_at=given.given_at, given_by=given.given_by or user_id,
        person_told=given.person_told, untold_reason=given.untold_reason, recorded_at=now, recorded_by=user_id,
    )  # fmt: skip
    await repository.add(session, line)
    event_id = uuid5(line.id, RECORD)
    event = wire.of_caller(
        ports, caller, RECORD, event_id=event_id, at=now, subject=("disclosure", line.id), store_id=store_id
    )
    await sequencer.leave(session, ports, event)
    return line, event_id


async def view_disclosure(session: Session, caller: Caller, ports: Ports, *, disclosure_id: UUID) -> Disclosure:
    """One line of the organisation's register; raises NotFound. Looking is logged."""
    org_id, _ = _who(caller)
    found = await repository.disclosure(session, org_id=org_id, disclosure_id=disclosure_id)
    if found is None:
        raise errors.NotFound
    await ports.security_log.record(session, caller, VIEW, at=ports.clock(), subject=("disclosure", disclosure_id))
    return found


async def list_disclosures(
    session: Session, caller: Caller, ports: Ports, *, after: UUID | None, limit: int
) -> list[Disclosure]:
    """The organisation's register, newest first. Looking is logged."""
    org_id, _ = _who(caller)
    await ports.security_log.record(session, caller, VIEW, at=ports.clock())
    return await repository.disclosures(session, org_id=org_id, after=after, limit=limit)


async def forget_disclosures(session: Session, *, as_of: datetime, dry_run: bool) -> int:
    """Drop lines that were recorded 24 months ago (policy); answers how many."""
    before = holding.records_end(as_of)
    if dry_run:
        return await repository.count_forgettable(session, recorded_before=before)
    return await repository.forget(session, recorded_before=before)


def _who(caller: Caller) -> tuple[UUID, UUID]:
    """Organisation and person; raises NotFound for somebody without an organisation."""
    if caller.org_id is None or caller.user_id is None:
        raise errors.NotFound
    return caller.org_id, caller.user_id
