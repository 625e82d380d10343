"""Use cases of summaries."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

from lotpro_audit.ports import Ports
from lotpro_audit.summaries import domain, repository
from lotpro_audit.summaries.domain import Actor, Day, Summary
from lotpro_kit import errors
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session


async def summarise_events(
    session: Session, caller: Caller, ports: Ports, *, first: date | None, last: date | None
) -> Summary:
    """How much of what looks like an attack there was on the days from `first` to `last` (UTC), both included.

    Of the organisation, or of the caller's stores; sign-ins are acts on no store and only those who see the whole
    organisation see them. Looking is logged. Raises PeriodImpossible, NotFound for somebody without an organisation.
    """
    if caller.org_id is None:
        raise errors.NotFound
    first, last = domain.period(first, last, now=ports.clock())
    since, until = domain.moments(first, last)
    await ports.security_log.record(session, caller, "audit:event:summarise", at=ports.clock())
    return await summary(
        session, org_id=caller.org_id, stores=None if caller.stores is None else sorted(caller.stores), since=since,
        until=until,
    )


async def summary(
    session: Session, *, org_id: UUID, stores: Sequence[UUID] | None, since: datetime, until: datetime
) -> Summary:
    """The same for whole days from one moment on and before another."""
    rows = await repository.days(session, org_id=org_id, stores=stores, since=since, until=until)
    failures = await repository.mfa_failures(session, org_id=org_id, stores=stores, since=since, until=until)
    top = await repository.top_actors(
        session, org_id=org_id, stores=stores, since=since, until=until, limit=domain.TOP
    )
    found, mfa = {row["day"]: _day(row) for row in rows}, {row["day"]: row["count"] for row in failures}
    days = [
        replace(found.get(day, Day(day)), mfa_failures=mfa.get(day, 0)) for day in domain.days(since, until)
    ]
    return Summary(days, [Actor(row["actor_id"], row["count"]) for row in top])


def _day(row: repository.Row) -> Day:
    return Day(
        day=row["day"], failed_sign_ins=row["failed_sign_ins"], lockouts=row["lockouts"],
        refresh_reuses=row["refresh_reuses"], suspicious_findings=row["suspicious_findings"],
        new_devices=row["new_devices"], actors=row["actors"], addresses=row["addresses"],
    )
