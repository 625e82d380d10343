"""Counting guesses: a try is reserved before it is judged, so parallel guesses cannot exceed the limit."""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import case, delete
from sqlalchemy.dialects.postgresql import insert

from lotpro_identity.accounts.models import ATTEMPTS
from lotpro_kit import errors
from lotpro_kit.db import Session

#: "10 per 15 min" for an account from one address; more for an account from everywhere and for one address.
WINDOW = timedelta(minutes=15)
PER_ACCOUNT_AND_IP = 10
PER_ACCOUNT = 50
PER_IP = 600


class TooManyAttempts(errors.RateLimited):
    """The limit of tries is used up for now."""

    code = "identity.too_many_attempts"
    message = "Too many tries. Wait a few minutes, then try again."


def _key(*parts: str) -> bytes:
    return hashlib.sha256("\x00".join(parts).encode()).digest()


async def reserve(session: Session, kind: str, *, account: str, ip: str, now: datetime) -> None:
    """Count one try against all three limits; raises TooManyAttempts. Commit it whatever the try comes to."""
    limits = (
        (_key(kind, "pair", account, ip), PER_ACCOUNT_AND_IP),
        (_key(kind, "account", account), PER_ACCOUNT),
        (_key(kind, "ip", ip), PER_IP),
    )
    # Always in the same order of keys, so that two tries never wait for each other crosswise.
    for key, limit in sorted(limits):
        started, count = await _count(session, key, now)
        if count > limit:
            wait = int((started + WINDOW - now).total_seconds()) + 1
            raise TooManyAttempts(retry_after=max(1, wait))


async def _count(session: Session, key: bytes, now: datetime) -> tuple[datetime, int]:
    over = ATTEMPTS.c.window_started_at <= now - WINDOW
    statement = insert(ATTEMPTS).values(key=key, window_started_at=now, count=1)
    statement = statement.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "window_started_at": case((over, now), else_=ATTEMPTS.c.window_started_at),
            "count": case((over, 1), else_=ATTEMPTS.c.count + 1),
        },
    )
    row = (await session.execute(statement.returning(ATTEMPTS.c.window_started_at, ATTEMPTS.c.count))).one()
    return row[0], int(row[1])


async def forgive(session: Session, kind: str, *, account: str, ip: str) -> None:
    """Forget an account's tries from an address after one succeeded there."""
    await session.execute(delete(ATTEMPTS).where(ATTEMPTS.c.key == _key(kind, "pair", account, ip)))


async def forget(session: Session, *, before: datetime) -> int:
    """Drop windows that ended before a moment; answers how many."""
    dropped = await session.execute(delete(ATTEMPTS).where(ATTEMPTS.c.window_started_at < before - WINDOW))
    return int(getattr(dropped, "rowcount", 0))
