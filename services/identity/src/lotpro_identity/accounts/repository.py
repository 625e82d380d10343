"""SQL of accounts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update

from lotpro_identity.accounts.domain import Account, Status
from lotpro_identity.accounts.models import ACCOUNTS
from lotpro_kit.db import Query, Reader, Session, Statement

_COLUMNS = [ACCOUNTS.c[name] for name in Account.__slots__]


async def by_email(session: Session, email: str) -> Account | None:
    """The account with a normalised address."""
    row = (await session.execute(select(*_COLUMNS).where(ACCOUNTS.c.email == email))).one_or_none()
    return Account(*row) if row else None


async def by_id(session: Session, account_id: UUID) -> Account | None:
    """The account with an id."""
    row = await _BY_ID.one_or_none(session, account_id=account_id)
    return Account(*row) if row else None


OF_EMAIL = select(*_COLUMNS).where(ACCOUNTS.c.email == bindparam("email"))
OF_ID = select(*_COLUMNS).where(ACCOUNTS.c.id == bindparam("account_id"))
_BY_ID, _READ_BY_ID = Statement(OF_ID), Query(OF_ID)


async def read_by_id(reader: Reader, account_id: UUID) -> Account | None:
    """The account with an id, in one round trip."""
    row = await reader.one_or_none(_READ_BY_ID, account_id=account_id)
    return Account(*row) if row else None


async def by_ids(session: Session, account_ids: set[UUID]) -> list[Account]:
    """The accounts with these ids, those there are."""
    rows = await session.execute(select(*_COLUMNS).where(ACCOUNTS.c.id.in_(account_ids)))
    return [Account(*row) for row in rows]


async def add(session: Session, account: Account) -> None:
    """Store a new account."""
    await session.execute(insert(ACCOUNTS).values({name: getattr(account, name) for name in Account.__slots__}))


async def confirm_email(session: Session, account_id: UUID, *, now: datetime) -> None:
    """The address is theirs."""
    await session.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == account_id).values(email_confirmed_at=now))


async def change_fields(session: Session, account_id: UUID, values: dict[str, object]) -> None:
    """Store other values, whatever they were; the version grows."""
    await session.execute(
        update(ACCOUNTS).where(ACCOUNTS.c.id == account_id).values(version=ACCOUNTS.c.version + 1, **values)
    )


async def raise_access_version(session: Session, account_id: UUID) -> int | None:
    """The account's next access version; None where there is no such account."""
    raised = await session.execute(
        update(ACCOUNTS)
        .where(ACCOUNTS.c.id == account_id)
        .values(access_version=ACCOUNTS.c.access_version + 1)
        .returning(ACCOUNTS.c.access_version)
    )
    version: int | None = raised.scalar_one_or_none()
    return version


async def lock(session: Session, account_ids: set[UUID]) -> dict[UUID, Account]:
    """The accounts as they are now, held until the transaction ends; always in the same order, against deadlocks."""
    rows = await session.execute(
        select(*_COLUMNS).where(ACCOUNTS.c.id.in_(account_ids)).order_by(ACCOUNTS.c.id).with_for_update()
    )
    return {row.id: Account(*row) for row in rows}


async def set_life(session: Session, account_id: UUID, values: dict[str, object]) -> None:
    """Write what changes in an account's life."""
    await session.execute(
        update(ACCOUNTS).where(ACCOUNTS.c.id == account_id).values(version=ACCOUNTS.c.version + 1, **values)
    )


async def note_activity(session: Session, account_id: UUID, *, now: datetime) -> None:
    """They were here; never moves the moment back.

    A row that somebody else holds is left for the next time: a refresh holds its session here, and whoever ends an
    account wants that session next, so the two must not wait for each other.
    """
    free = (
        select(ACCOUNTS.c.id)
        .where(ACCOUNTS.c.id == account_id, ACCOUNTS.c.last_active_at < now)
        .with_for_update(skip_locked=True)
    )
    await session.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == free.scalar_subquery()).values(last_active_at=now))


async def inactive(
    session: Session, *, since: datetime, until: datetime | None, after: UUID | None, limit: int
) -> list[Account]:
    """Active accounts last used at `since` or before, and later than `until`; by id, beginning after one."""
    wanted = select(*_COLUMNS).where(ACCOUNTS.c.status == Status.ACTIVE, ACCOUNTS.c.last_active_at <= since)
    if until is not None:
        wanted = wanted.where(ACCOUNTS.c.last_active_at > until)
    if after is not None:
        wanted = wanted.where(ACCOUNTS.c.id > after)
    return [Account(*row) for row in await session.execute(wanted.order_by(ACCOUNTS.c.id).limit(limit))]


async def to_delete(session: Session, *, by: datetime, after: UUID | None, limit: int) -> list[Account]:
    """Closing accounts whose time has come; by id, beginning after one."""
    wanted = select(*_COLUMNS).where(ACCOUNTS.c.status == Status.CLOSING, ACCOUNTS.c.delete_after <= by)
    if after is not None:
        wanted = wanted.where(ACCOUNTS.c.id > after)
    return [Account(*row) for row in await session.execute(wanted.order_by(ACCOUNTS.c.id).limit(limit))]


async def change(session: Session, account_id: UUID, *, expected: int, values: dict[str, object]) -> Account | None:
    """Change a profile whose version is the expected one; None when it is not."""
    row = (
        await session.execute(
            update(ACCOUNTS)
            .where(ACCOUNTS.c.id == account_id, ACCOUNTS.c.version == expected)
            .values(version=ACCOUNTS.c.version + 1, **values)
            .returning(*_COLUMNS)
        )
    ).one_or_none()
    return Account(*row) if row else None
