"""SQL of provisioning."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, false, func, insert, not_, or_, select, update

from lotpro_identity.provisioning.filters import Both, Compare, Either, Node, Not, Present
from lotpro_identity.provisioning.models import SCIM_TOKENS, SCIM_USERS
from lotpro_kit import ids
from lotpro_kit.db import Session

_TOKEN = [column for column in SCIM_TOKENS.c if column.name != "digest"]


async def add_token(session: Session, values: dict[str, object]) -> None:
    """Store a token."""
    await session.execute(insert(SCIM_TOKENS).values(values))


async def tokens(session: Session, org_id: UUID) -> Sequence[Any]:
    """An organisation's tokens that were not revoked, oldest first; without their digests."""
    found = await session.execute(
        select(*_TOKEN)
        .where(SCIM_TOKENS.c.org_id == org_id, SCIM_TOKENS.c.revoked_at.is_(None))
        .order_by(SCIM_TOKENS.c.id)
    )
    return found.all()


async def token_by_digest(session: Session, digest: bytes, *, now: datetime) -> Any:
    """The token with a digest, if it is good at a moment."""
    found = await session.execute(
        select(*_TOKEN).where(
            SCIM_TOKENS.c.digest == digest, SCIM_TOKENS.c.revoked_at.is_(None), SCIM_TOKENS.c.expires_at > now
        )
    )
    return found.one_or_none()


async def note_use(session: Session, token_id: UUID, *, now: datetime) -> None:
    """The token was used."""
    await session.execute(update(SCIM_TOKENS).where(SCIM_TOKENS.c.id == token_id).values(last_used_at=now))


async def revoke_token(session: Session, org_id: UUID, token_id: UUID, *, now: datetime) -> bool:
    """End a token; False where there is none that could be ended."""
    ended = await session.execute(
        update(SCIM_TOKENS)
        .where(SCIM_TOKENS.c.org_id == org_id, SCIM_TOKENS.c.id == token_id, SCIM_TOKENS.c.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(SCIM_TOKENS.c.id)
    )
    return ended.one_or_none() is not None


async def add_user(session: Session, values: dict[str, object]) -> Any:
    """Store a user; answers the row."""
    added = await session.execute(insert(SCIM_USERS).values(values).returning(SCIM_USERS))
    return added.one()


async def user(session: Session, org_id: UUID, user_id: UUID, *, lock: bool = False) -> Any:
    """An organisation's user, with `lock` held until the transaction ends."""
    wanted = select(SCIM_USERS).where(SCIM_USERS.c.org_id == org_id, SCIM_USERS.c.id == user_id)
    return (await session.execute(wanted.with_for_update() if lock else wanted)).one_or_none()


async def is_taken(session: Session, org_id: UUID, *, user_name: str, account_id: UUID | None) -> bool:
    """Whether the organisation has a user of that name or of that account."""
    same = [func.lower(SCIM_USERS.c.user_name) == func.lower(user_name)]
    if account_id is not None:
        same.append(SCIM_USERS.c.account_id == account_id)
    found = await session.execute(select(SCIM_USERS.c.id).where(SCIM_USERS.c.org_id == org_id, or_(*same)).limit(1))
    return found.one_or_none() is not None


async def users(
    session: Session, org_id: UUID, wanted: Node | None, *, offset: int, limit: int
) -> tuple[int, Sequence[Any]]:
    """How many users a filter has, and a page of them, oldest first."""
    where = [SCIM_USERS.c.org_id == org_id] + ([_condition(wanted)] if wanted is not None else [])
    total = (await session.execute(select(func.count()).select_from(SCIM_USERS).where(*where))).scalar_one()
    if not limit or offset >= total:
        return total, []
    page = select(SCIM_USERS).where(*where).order_by(SCIM_USERS.c.id).offset(offset).limit(limit)
    return total, (await session.execute(page)).all()


async def change_user(session: Session, user_id: UUID, values: dict[str, object]) -> Any:
    """Store other values; answers the row."""
    changed = await session.execute(
        update(SCIM_USERS).where(SCIM_USERS.c.id == user_id).values(values).returning(SCIM_USERS)
    )
    return changed.one()


async def remove_user(session: Session, user_id: UUID) -> None:
    """Forget a user."""
    await session.execute(delete(SCIM_USERS).where(SCIM_USERS.c.id == user_id))


async def of_account(session: Session, account_id: UUID) -> Sequence[Any]:
    """What directories say about a person."""
    return (await session.execute(select(SCIM_USERS).where(SCIM_USERS.c.account_id == account_id))).all()


async def forget(session: Session, account_id: UUID) -> None:
    """Drop what directories say about a person."""
    await session.execute(delete(SCIM_USERS).where(SCIM_USERS.c.account_id == account_id))


def _condition(node: Node) -> ColumnElement[bool]:
    match node:
        case Both(left, right):
            return and_(_condition(left), _condition(right))
        case Either(left, right):
            return or_(_condition(left), _condition(right))
        case Not(part):
            return not_(func.coalesce(_condition(part), false()))
        case Present(attribute):
            return SCIM_USERS.c[attribute].is_not(None)
        case Compare():
            return _comparison(node)


def _comparison(node: Compare) -> ColumnElement[bool]:
    column: Any = SCIM_USERS.c[node.attribute]
    value: Any = node.value
    if node.attribute == "id":
        value = ids.parse(str(value))
        if value is None:
            # Nobody has it.
            return false() if node.operator == "eq" else SCIM_USERS.c.id.is_not(None)
    elif not node.exact and isinstance(value, str):
        column, value = func.lower(column), func.lower(value)
    match node.operator:
        case "eq":
            found: ColumnElement[bool] = column == value
        case "ne":
            found = column.is_distinct_from(value)
        case "co":
            found = func.strpos(column, value) > 0
        case "sw":
            found = func.starts_with(column, value)
        case _:
            found = func.right(column, func.length(value)) == value
    return found
