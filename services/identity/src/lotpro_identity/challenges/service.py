"""Opening and answering challenges."""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, update

from lotpro.identity.v1 import events_pb2
from lotpro_identity.challenges.domain import (
    SIDE_BY_SIDE,
    TOKENS,
    TRIES,
    ChallengeOver,
    Channel,
    CodeInvalid,
    Codes,
    Purpose,
    challenge_of,
    is_open,
    lifetime,
)
from lotpro_identity.challenges.models import CHALLENGES
from lotpro_kit import errors, ids, outbox
from lotpro_kit.crypto import Keyring
from lotpro_kit.db import Session

ADDRESS = "challenges.address"


async def open_challenge(
    session: Session,
    *,
    purpose: Purpose,
    account_id: UUID | None,
    org_id: UUID | None,
    now: datetime,
    channel: Channel = Channel.EMAIL,
    address: bytes | None = None,
    topic: str | None = None,
    binding: str | None = None,
) -> UUID:
    """Open a challenge, replace the account's older ones of the same purpose, and ask for it to be sent.

    Without an organisation it takes over that of the one it replaces. `address`, sealed by `seal_address`, is where it
    goes instead of the account's own. `binding` names the request that it is for (a ticket, a session): no other can
    answer it.
    """
    if account_id is not None and purpose not in SIDE_BY_SIDE:
        replaced = await session.execute(
            update(CHALLENGES)
            .where(
                CHALLENGES.c.account_id == account_id, CHALLENGES.c.purpose == purpose,
                CHALLENGES.c.used_at.is_(None), CHALLENGES.c.replaced_at.is_(None),
            )
            .values(replaced_at=now)
            .returning(CHALLENGES.c.org_id)
        )
        org_id = org_id or next(iter(replaced.scalars()), None)
    challenge_id = ids.new()
    await session.execute(
        insert(CHALLENGES).values(
            id=challenge_id, purpose=purpose, account_id=account_id, org_id=org_id, salt=secrets.token_bytes(16),
            created_at=now, expires_at=now + lifetime(purpose), tries=0, channel=channel, address=address, topic=topic,
            binding=_bound(binding) if binding is not None else None,
        )
    )
    await outbox.put(
        session,
        events_pb2.CodeRequested(
            challenge_id=str(challenge_id), user_id=str(account_id or ""), org_id=str(org_id or ""), purpose=purpose
        ),
    )
    return challenge_id


async def answer_code(
    session: Session, *, account_id: UUID, purpose: Purpose, code: str, codes: Codes, now: datetime,
    binding: str | None = None, besides: bool = True,
) -> tuple[bool, Row[Any] | None]:
    """Judge a code for the account's newest challenge and use the challenge up when it is right.

    Answers whether it was, and the challenge's row.

    The try is counted first; the fifth wrong one ends the challenge. A right code for another request than the one it
    was opened for is a wrong one, and so is one without what had to be right `besides`. The caller commits either way.
    """
    found = await session.execute(
        select(CHALLENGES)
        .where(CHALLENGES.c.account_id == account_id, CHALLENGES.c.purpose == purpose)
        .order_by(CHALLENGES.c.id.desc())
        .limit(1)
        .with_for_update()
    )
    row = found.one_or_none()
    if row is None or not _open(row, now) or row.tries >= TRIES:
        return False, row
    ours = row.binding is None or (binding is not None and hmac.compare_digest(row.binding, _bound(binding)))
    right = hmac.compare_digest(codes.code(row.id, row.salt), code) and ours and besides
    await session.execute(
        update(CHALLENGES)
        .where(CHALLENGES.c.id == row.id)
        .values(tries=row.tries + 1, used_at=now if right else None)
    )
    return right, row


async def peek_token(session: Session, *, token: str, purpose: Purpose, codes: Codes, now: datetime) -> Row[Any]:
    """The row of the challenge that a token was derived from, locked and not used up; raises CodeInvalid."""
    challenge_id = challenge_of(token)
    found = await session.execute(
        select(CHALLENGES).where(CHALLENGES.c.id == challenge_id, CHALLENGES.c.purpose == purpose).with_for_update()
    )
    row = found.one_or_none()
    if row is None or not _open(row, now) or not hmac.compare_digest(codes.token(row.id, row.salt), token):
        raise CodeInvalid
    return row


async def answer_token(session: Session, *, token: str, purpose: Purpose, codes: Codes, now: datetime) -> Row[Any]:
    """Use up the challenge that a token was derived from and answer its row; raises CodeInvalid."""
    row = await peek_token(session, token=token, purpose=purpose, codes=codes, now=now)
    await session.execute(update(CHALLENGES).where(CHALLENGES.c.id == row.id).values(used_at=now))
    return row


async def end_all(session: Session, account_id: UUID, *, purposes: Collection[Purpose], now: datetime) -> None:
    """End a person's open challenges of these purposes."""
    await session.execute(
        update(CHALLENGES)
        .where(
            CHALLENGES.c.account_id == account_id, CHALLENGES.c.purpose.in_(purposes),
            CHALLENGES.c.used_at.is_(None), CHALLENGES.c.replaced_at.is_(None),
        )
        .values(replaced_at=now)
    )


async def end(session: Session, challenge_id: UUID, *, now: datetime) -> None:
    """End a challenge, if it is still open."""
    await session.execute(
        update(CHALLENGES)
        .where(CHALLENGES.c.id == challenge_id, CHALLENGES.c.used_at.is_(None), CHALLENGES.c.replaced_at.is_(None))
        .values(replaced_at=now)
    )


async def open_until(session: Session, challenge_ids: Collection[UUID], *, now: datetime) -> dict[UUID, datetime]:
    """Until when those of these challenges that are open can be answered."""
    found = await session.execute(select(CHALLENGES).where(CHALLENGES.c.id.in_(challenge_ids)))
    return {row.id: row.expires_at for row in found if _open(row, now)}


async def remove_all(session: Session, account_id: UUID) -> None:
    """Drop every challenge of an account: none of them can be answered any more."""
    await session.execute(CHALLENGES.delete().where(CHALLENGES.c.account_id == account_id))


def seal_address(keyring: Keyring, address: str) -> bytes:
    """An address as a challenge keeps it."""
    return keyring.wrap(address.encode(), context=ADDRESS)


def open_address(keyring: Keyring, row: Row[Any]) -> str:
    """Where a challenge goes, or nothing when that is the account's own address."""
    return keyring.unwrap(row.address, context=ADDRESS).decode() if row.address else ""


async def reveal(session: Session, *, challenge_id: UUID, codes: Codes, now: datetime) -> tuple[Any, str]:
    """A challenge's row and its code or token, for sending; raises NotFound and ChallengeOver."""
    row = (await session.execute(select(CHALLENGES).where(CHALLENGES.c.id == challenge_id))).one_or_none()
    if row is None:
        raise errors.NotFound
    if not _open(row, now):
        raise ChallengeOver
    derive = codes.token if row.purpose in TOKENS else codes.code
    return row, derive(row.id, row.salt)


async def forget(session: Session, *, before: datetime) -> int:
    """Drop challenges that ended before a moment; answers how many."""
    dropped = await session.execute(CHALLENGES.delete().where(CHALLENGES.c.expires_at < before))
    return int(getattr(dropped, "rowcount", 0))


def _open(row: Any, now: datetime) -> bool:
    return is_open(used_at=row.used_at, replaced_at=row.replaced_at, expires_at=row.expires_at, now=now)


def _bound(binding: str) -> bytes:
    """What is stored of the request a challenge is for."""
    return hashlib.sha256(binding.encode()).digest()
