"""Scheduled work on accounts nobody uses and accounts that were closed."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.domain import Account
from lotpro_identity.db import AUTHENTICATOR
from lotpro_identity.lifecycle import domain, service
from lotpro_identity.ports import Ports
from lotpro_kit import telemetry
from lotpro_kit.caller import system
from lotpro_kit.db import Database, Session
from lotpro_kit.jobs import Counts, Job, Run

#: Accounts looked for at once; each is then a transaction of its own.
BATCH = 200

log = telemetry.logger(__name__)

Find = Callable[[Session, UUID | None], Awaitable[list[Account]]]
Choose = Callable[[Session, list[Account]], Awaitable[list[Account]]]
Act = Callable[[Session, UUID], Awaitable[bool]]


def warn_inactive(database: Database, ports: Ports) -> Job:
    """Warns people by e-mail before their unused account is anonymised."""

    async def work(run: Run) -> Counts:
        silence = domain.inactive_period()
        first = run.as_of - silence + timedelta(days=max(domain.warnings()))

        async def find(session: Session, after: UUID | None) -> list[Account]:
            return await accounts.list_inactive(
                session, since=first, until=run.as_of - silence, after=after, limit=BATCH
            )

        async def choose(session: Session, found: list[Account]) -> list[Account]:
            return await service.without_warning(session, found, as_of=run.as_of)

        async def act(session: Session, account_id: UUID) -> bool:
            return await service.warn_inactive(session, ports, account_id=account_id, as_of=run.as_of)

        return await _each(database, run, "warned", find, act, choose)

    return Job("warn-inactive", "Warn people whose unused account will be anonymised.", "0 4 * * *", work)


def anonymise_inactive(database: Database, ports: Ports) -> Job:
    """Anonymises accounts that nobody used for 180 days (policy, Data Retention, inactive accounts)."""

    async def work(run: Run) -> Counts:
        async def find(session: Session, after: UUID | None) -> list[Account]:
            since = run.as_of - domain.inactive_period()
            return await accounts.list_inactive(session, since=since, after=after, limit=BATCH)

        async def act(session: Session, account_id: UUID) -> bool:
            return await service.anonymise_inactive(session, ports, account_id=account_id, as_of=run.as_of)

        return await _each(database, run, "anonymised", find, act)

    return Job("anonymise-inactive", "Anonymise accounts that nobody used for 180 days.", "30 4 * * *", work)


def delete_closed(database: Database, ports: Ports) -> Job:
    """Deletes closed accounts whose 30 days to think again are over, and those an administrator removed."""

    async def work(run: Run) -> Counts:
        async def find(session: Session, after: UUID | None) -> list[Account]:
            return await accounts.list_to_delete(session, by=run.as_of, after=after, limit=BATCH)

        async def act(session: Session, account_id: UUID) -> bool:
            return await service.delete_closed(session, ports, account_id=account_id, as_of=run.as_of)

        return await _each(database, run, "deleted", find, act)

    return Job("delete-closed", "Delete closed and removed accounts whose time has come.", "*/5 * * * *", work)


async def _each(
    database: Database, run: Run, done: str, find: Find, act: Act, choose: Choose | None = None
) -> Counts:
    """Act on every account found, one transaction each: a run that dies has done whole accounts and no half ones.

    One account that fails is counted and left to the next run; it keeps nobody else waiting.
    """
    everyone = system(scope=AUTHENTICATOR)
    counts, after = {"found": 0, done: 0, "failed": 0}, None
    while True:
        async with database.begin(everyone) as session:
            batch = await find(session, after)
            chosen = await choose(session, batch) if choose else batch
        counts["found"] += len(chosen)
        for account in chosen:
            try:
                async with database.begin(everyone) as session:
                    acted = await act(session, account.id)
                    if run.dry_run:
                        await session.rollback()
            except SQLAlchemyError as error:
                log.error("account left for the next run", job=done, error=type(error).__name__)
                counts["failed"] += 1
            else:
                counts[done] += acted
        if len(batch) < BATCH:
            return counts
        after = batch[-1].id
