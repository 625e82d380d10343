"""SQL of accounts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, select, update

from lotpro_identity.accounts.domain import Account
from lotpro_identity.accounts.models import ACCOUNTS
from lotpro_kit.db import Session

_COLUMNS = [ACCOUNTS.c[name] for name in Account.__slots__]


async def by_email(session: Session, email: str) -> Account | None:
    """The account with a normalised address."""
    row = (await session.execute(select(*_COLUMNS).where(ACCOUNTS.c.email == email))).one_or_none()
    return Account(*row) if row else None


async def by_id(session: Session, account_id: UUID) -> Account | None:
    """The account with an id."""
    row = (await session.execute(select(*_COLUMNS).where(ACCOUNTS.c.id == account_id))).one_or_none()
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
