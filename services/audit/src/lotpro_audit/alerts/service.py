"""Use cases of alerts: keeping them, and holding the log against them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from lotpro.audit.v1 import events_pb2
from lotpro_audit.alerts import domain, repository
from lotpro_audit.alerts.domain import Alert, Raised, TooManyAlerts, Watch
from lotpro_audit.events import domain as event_domain
from lotpro_audit.events import leaf as leaves
from lotpro_audit.events import service as events
from lotpro_audit.events.leaf import Leaf
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import service as sequencer
from lotpro_kit import errors, ids, outbox
from lotpro_kit.caller import Caller, system
from lotpro_kit.db import Session

#: Events that are looked at in one transaction.
AT_ONCE = 500
KIND = "alert"


def _organisation(caller: Caller) -> UUID:
    if caller.org_id is None:
        raise errors.NotFound
    return caller.org_id


async def add_alert(session: Session, caller: Caller, ports: Ports, *, settings: Mapping[str, Any]) -> Alert:
    """A new alert (`settings`: the fields of Alert that people choose), which counts from now on.

    Raises TooManyAlerts. The security log says who made it.
    """
    org_id, now = _organisation(caller), ports.clock()
    heads = await sequencer.last_numbers(session, {org_id})
    # From here on nobody else counts or changes the organisation's alerts until this is over.
    await repository.begin_at(session, org_id, heads.get(org_id, 0))
    if await repository.count(session, org_id) >= domain.MOST_ALERTS:
        raise TooManyAlerts
    alert = Alert(
        **settings, id=ids.new(), org_id=org_id, raised_at=None, version=1, created_at=now, updated_at=now
    )
    await repository.add(session, alert)
    await ports.security_log.record(session, caller, "audit:alert:add", at=now, subject=(KIND, alert.id))
    return alert


async def view_alert(session: Session, caller: Caller, *, alert_id: UUID) -> Alert:
    """One of the organisation's alerts; raises NotFound."""
    found = await repository.find(session, _organisation(caller), alert_id)
    if found is None:
        raise errors.NotFound
    return found


async def list_alerts(session: Session, caller: Caller, *, before: UUID | None, limit: int) -> list[Alert]:
    """The organisation's alerts, the newest first, going on after one."""
    return await repository.page(session, _organisation(caller), before=before, limit=limit)


async def update_alert(
    session: Session, caller: Caller, ports: Ports, *, alert_id: UUID, version: int, changes: Mapping[str, Any]
) -> Alert:
    """Change an alert: it counts anew, and is not quiet any more. Raises NotFound and PreconditionFailed."""
    alert = await _held(session, caller, alert_id=alert_id, version=version)
    wanted = domain.merged(alert, changes)
    if not wanted:
        return alert
    now = ports.clock()
    await repository.forget_windows_of(session, alert.id)
    changed = await repository.change(session, alert, {**wanted, "raised_at": None, "updated_at": now})
    await ports.security_log.record(
        session, caller, "audit:alert:update", at=now, subject=(KIND, alert.id), changed=tuple(sorted(wanted))
    )
    return changed


async def delete_alert(session: Session, caller: Caller, ports: Ports, *, alert_id: UUID, version: int) -> None:
    """Delete an alert with what it raised, which the log still tells. Raises NotFound and PreconditionFailed."""
    alert = await _held(session, caller, alert_id=alert_id, version=version)
    await repository.remove(session, alert)
    if not await repository.count(session, alert.org_id):
        await repository.end(session, alert.org_id)
    await ports.security_log.record(session, caller, "audit:alert:delete", at=ports.clock(), subject=(KIND, alert.id))


async def _held(session: Session, caller: Caller, *, alert_id: UUID, version: int) -> Alert:
    """An alert of this version, that nobody counts for or changes until the transaction ends."""
    alert = await view_alert(session, caller, alert_id=alert_id)
    await repository.begin_at(session, alert.org_id, 0)
    alert = await view_alert(session, caller, alert_id=alert_id)
    if alert.version != version:
        raise errors.PreconditionFailed
    return alert


async def list_raised(
    session: Session, caller: Caller, *, alert_id: UUID, before: int | None, limit: int
) -> list[Raised]:
    """What an alert raised in the log's days, the newest first, going on after a place in the log; raises NotFound."""
    alert = await view_alert(session, caller, alert_id=alert_id)
    return await repository.raised_of(session, alert, before=before, limit=limit)


async def behind(session: Session) -> list[UUID]:
    """The organisations whose log has events that were not held against their alerts yet."""
    looked = await repository.positions(session)
    if not looked:
        return []
    heads = await sequencer.last_numbers(session, looked.keys())
    return [org_id for org_id, head in heads.items() if head > looked[org_id]]


async def evaluate(session: Session, ports: Ports, *, org_id: UUID) -> bool:
    """Hold the next AT_ONCE events of an organisation against its alerts; whether there may be more.

    How far the log was looked at, what was counted and what is told of it change together or not at all, so an alert
    is raised once however often this is begun. Somebody else at it is not waited for.
    """
    position = await repository.take_position(session, org_id)
    if position is None:
        return False
    head = (await sequencer.last_numbers(session, {org_id})).get(org_id, 0)
    found = await events.numbered(session, org_id=org_id, after=position, limit=AT_ONCE)
    alerts = await repository.page(session, org_id, before=None, limit=domain.MOST_ALERTS)
    watches = await _watches(session, alerts, found)
    raised = [
        (one, watch.alert) for event in found for watch in watches if (one := watch.see(event)) is not None
    ]
    await _remember(session, watches)
    if raised:
        await _tell(session, ports, raised)
    more = len(found) == AT_ONCE
    # Numbers whose days went are passed over.
    await repository.move_position(session, org_id, found[-1].org_seq if more else max(head, position, *_last(found)))
    return more


def _last(found: list[Leaf]) -> list[int]:
    return [found[-1].org_seq] if found else []


async def _watches(session: Session, alerts: list[Alert], found: list[Leaf]) -> list[Watch]:
    """The alerts at work, each with what it counted so far of the groups that these events are in."""
    watches = []
    for alert in alerts:
        keys = {key for event in found if alert.matches(event) and (key := alert.key_of(event)) is not None}
        windows = await repository.windows(session, alert.id, keys) if keys else {}
        watches.append(Watch(alert, windows, leaves.microseconds(alert.raised_at) if alert.raised_at else None))
    return watches


async def _remember(session: Session, watches: list[Watch]) -> None:
    rows = [
        {
            "alert_id": watch.alert.id, "key": key, "org_id": watch.alert.org_id, "moments": watch.windows[key],
            "newest_at": leaves.moment(watch.windows[key][-1]),
        }
        for watch in watches
        for key in sorted(watch.touched)
    ]
    if rows:
        await repository.put_windows(session, rows)


async def _tell(session: Session, ports: Ports, raised: list[tuple[Raised, Alert]]) -> None:
    """Remember raised alerts, have their recipients told, and say so in the log."""
    await repository.add_raised(session, [one for one, _ in raised])
    for one, alert in raised:
        await outbox.put(
            session,
            events_pb2.AlertRaised(
                org_id=str(one.org_id), alert_id=str(one.alert_id), raised_id=str(one.id), count=one.count,
                minutes=alert.minutes, recipient_roles=alert.recipients,
            ),
        )
        await ports.security_log.record(
            session, system(one.org_id), domain.RAISE, at=ports.clock(), subject=(KIND, one.alert_id)
        )


async def forget_old(session: Session, *, as_of: datetime, dry_run: bool) -> tuple[int, int]:
    """Drop counts that can matter no more, and raised alerts with the days of the log they are about (180 days)."""
    return await repository.forget(
        session, windows_before=as_of - domain.WINDOWS_KEPT, raised_before=as_of - event_domain.retention(),
        dry_run=dry_run,
    )
