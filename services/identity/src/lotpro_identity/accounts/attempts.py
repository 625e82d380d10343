"""Counting guesses: a try is reserved before it is judged, so parallel guesses cannot exceed the limit."""

import hashlib
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import DateTime, case, delete, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert

from lotpro_identity.accounts.models import ATTEMPTS
from lotpro_kit import errors
from lotpro_kit.db import Session

#: "10 per 15 min" for an account from one address; more for an account from everywhere and for one address.
WINDOW = timedelta(minutes=15)
PER_ACCOUNT_AND_IP = 10
PER_ACCOUNT = 50
PER_IP = 600
#: Tries of a pair that wait for nothing; each further one waits twice as long as the one before.
FREE_TRIES = 5
#: Codes sent in a window: for a person, from an address, in an organisation, to a number and to its thousand.
SENDS_PER_ACCOUNT, SENDS_PER_IP, SENDS_PER_ORGANISATION, SENDS_PER_NUMBER, SENDS_PER_RANGE = 5, 30, 100, 5, 20


class TooManyAttempts(errors.RateLimited):
    """The limit of tries is used up for now."""

    code = "identity.too_many_attempts"
    message = "Too many tries. Wait a few minutes, then try again."


def _key(*parts: str) -> bytes:
    return hashlib.sha256("\x00".join(parts).encode()).digest()


async def reserve(
    session: Session, kind: str, *, account: str, ip: str, now: datetime, device: UUID | None = None
) -> None:
    """Count one try against its limits; raises TooManyAttempts. Commit it whatever the try comes to.

    On a device its owner trusts, only that device's own tries count: nobody else's can lock the owner out.
    """
    if device is not None:
        await _reserve(session, [(_key(kind, "device", str(device)), PER_ACCOUNT_AND_IP, True)], now)
        return
    limits = [
        (_key(kind, "pair", account, ip), PER_ACCOUNT_AND_IP, True),
        (_key(kind, "account", account), PER_ACCOUNT, False),
        (_key(kind, "ip", ip), PER_IP, False),
    ]
    await _reserve(session, limits, now)


async def reserve_address(session: Session, kind: str, *, ip: str, now: datetime) -> None:
    """Count one try of somebody who has not said who they are; raises TooManyAttempts."""
    await _reserve(session, [(_key(kind, "ip", ip), PER_IP, False)], now)


async def reserve_send(session: Session, *, account: str, org: str, ip: str, number: str, now: datetime) -> None:
    """Count one code that is to be sent; raises TooManyAttempts. A number's range counts too: toll fraud uses many."""
    limits = [
        (_key("send", "account", account), SENDS_PER_ACCOUNT, False),
        (_key("send", "ip", ip), SENDS_PER_IP, False),
    ]
    if org:
        limits.append((_key("send", "org", org), SENDS_PER_ORGANISATION, False))
    if number:
        limits.append((_key("send", "number", number), SENDS_PER_NUMBER, False))
        limits.append((_key("send", "range", number[:-3]), SENDS_PER_RANGE, False))
    await _reserve(session, limits, now)


async def _reserve(session: Session, limits: list[tuple[bytes, int, bool]], now: datetime) -> None:
    # Always in the same order of keys, so that two tries never wait for each other crosswise.
    for key, limit, slowed in sorted(limits):
        started, last_at, count = await _count(session, key, now)
        if count > limit:
            raise TooManyAttempts(retry_after=max(1, int((started + WINDOW - now).total_seconds()) + 1))
        wait = delay(count) if slowed else 0
        if wait and last_at is not None and now < last_at + timedelta(seconds=wait):
            raise TooManyAttempts(retry_after=wait)


def delay(count: int) -> int:
    """Seconds to wait before the try with this number: none for the first FREE_TRIES, then doubling."""
    return 0 if count <= FREE_TRIES else 2 ** (count - FREE_TRIES - 1)


async def _count(session: Session, key: bytes, now: datetime) -> tuple[datetime, datetime | None, int]:
    """Count a try; answers when its window began, when the try before it was, and its number in the window."""
    over = ATTEMPTS.c.window_started_at <= now - WINDOW
    # The row as it was when its lock was got (PostgreSQL 18): a subquery would see it as the statement began.
    before = literal_column("old.last_at", DateTime(timezone=True))
    statement = insert(ATTEMPTS).values(key=key, window_started_at=now, last_at=now, count=1)
    statement = statement.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "window_started_at": case((over, now), else_=ATTEMPTS.c.window_started_at),
            "last_at": now,
            "count": case((over, 1), else_=ATTEMPTS.c.count + 1),
        },
    )
    row = (await session.execute(statement.returning(ATTEMPTS.c.window_started_at, before, ATTEMPTS.c.count))).one()
    return row[0], row[1] if row[2] > 1 else None, int(row[2])


async def tries(session: Session, kind: str, *, now: datetime, account: str = "", ip: str = "") -> int:
    """How many tries were counted in the present window, for an account or for an address."""
    key = _key(kind, "account", account) if account else _key(kind, "ip", ip)
    found = await session.execute(
        select(ATTEMPTS.c.count).where(ATTEMPTS.c.key == key, ATTEMPTS.c.window_started_at > now - WINDOW)
    )
    return int(found.scalar_one_or_none() or 0)


async def forgive(session: Session, kind: str, *, account: str, ip: str, device: UUID | None = None) -> None:
    """Forget an account's tries from an address, or on a trusted device, after one succeeded there.

    The one that succeeded is no guess: it is given back to the account and to the address.
    """
    if device is not None:
        await session.execute(delete(ATTEMPTS).where(ATTEMPTS.c.key == _key(kind, "device", str(device))))
        return
    await session.execute(delete(ATTEMPTS).where(ATTEMPTS.c.key == _key(kind, "pair", account, ip)))
    for key in sorted((_key(kind, "account", account), _key(kind, "ip", ip))):
        await session.execute(
            update(ATTEMPTS).where(ATTEMPTS.c.key == key, ATTEMPTS.c.count > 0).values(count=ATTEMPTS.c.count - 1)
        )


async def forget(session: Session, *, before: datetime) -> int:
    """Drop windows that ended before a moment; answers how many."""
    dropped = await session.execute(delete(ATTEMPTS).where(ATTEMPTS.c.window_started_at < before - WINDOW))
    return int(getattr(dropped, "rowcount", 0))
