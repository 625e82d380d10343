"""Use cases of page views and of counting them."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from lotpro_audit.events import service as events
from lotpro_audit.ports import Ports
from lotpro_audit.sequencer import service as sequencer
from lotpro_audit.views import domain, repository
from lotpro_audit.views.domain import Count, View
from lotpro_audit.views.repository import Position
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session


async def report_views(
    session: Session, caller: Caller, ports: Ports, *, user_id: UUID, views: Sequence[View]
) -> None:
    """Take what a person looked at: with the transaction it is kept, and soon after it stands in the log, once.

    Raises ViewOutOfRange; then none is taken.
    """
    now = ports.clock()
    made = {event.id: event for event in (domain.event(caller, view, user_id=user_id, now=now) for view in views)}
    await sequencer.leave_all(session, ports, list(made.values()))


async def days_to_count(session: Session, *, as_of: datetime) -> list[date]:
    """Days of the log that are settled and were not counted, oldest first."""
    done = await repository.counted(session)
    return [day for day in domain.settled_days(await events.kept_days(session), as_of=as_of) if day not in done]


async def count_day(session: Session, day: date, *, now: datetime, dry_run: bool) -> int:
    """Count a day's use, once and for ever; answers of how many features.

    Only what at least FEWEST_PEOPLE people used is counted, on the whole platform, without anybody who objects. The
    counts hold no person.
    """
    if not dry_run and not await repository.claim_day(session, day, now=now):
        return 0
    without = await repository.objectors(session)
    found = await events.use_of_day(
        session, day, action=domain.ACTION, without=without, fewest=domain.FEWEST_PEOPLE
    )
    counts = [Count(day, row.feature, row.people, row.uses, row.duration_ms) for row in found]
    if counts and not dry_run:
        await repository.add_counts(session, counts)
    return len(counts)


async def list_usage(
    session: Session, *, feature: str | None, since: date | None, until: date | None, after: Position | None,
    limit: int,
) -> list[Count]:
    """Counts of the whole platform, the newest day first, going on after one."""
    return await repository.page(session, feature=feature, since=since, until=until, after=after, limit=limit)


async def view_objection(session: Session, *, user_id: UUID) -> datetime | None:
    """Since when a person objects to being counted, or None."""
    return await repository.objection(session, user_id)


async def object_to_usage(session: Session, caller: Caller, ports: Ports, *, user_id: UUID) -> datetime:
    """Count this person no more (GDPR Article 21); answers since when. What was counted holds no person."""
    now = ports.clock()
    if await repository.object_to_usage(session, user_id, at=now):
        await ports.security_log.record(session, caller, "audit:usage:object", at=now, subject=("user", user_id))
    return await repository.objection(session, user_id) or now


async def withdraw_objection(session: Session, caller: Caller, ports: Ports, *, user_id: UUID) -> None:
    """Count this person again."""
    if await repository.withdraw(session, user_id):
        await ports.security_log.record(
            session, caller, "audit:usage:withdraw_objection", at=ports.clock(), subject=("user", user_id)
        )


async def forget_person(session: Session, *, user_id: UUID) -> None:
    """Drop the objection of somebody who is gone."""
    await repository.withdraw(session, user_id)
