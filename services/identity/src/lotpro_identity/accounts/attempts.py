"""Counting guesses: a try is reserved before it is judged, so parallel guesses cannot exceed the limit."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, LargeBinary, bindparam, case, delete, func, select, text, update

from lotpro_identity.accounts.models import ATTEMPTS
from lotpro_kit import errors
from lotpro_kit.db import Database, Session, Statement, fetch

#: "10 per 15 min" for an account from one address; more for an account from everywhere and for one address.
#: The first is so for any 15 minutes, for it begins anew only after as long without a try; the others' windows follow
#: one another.
WINDOW = timedelta(minutes=15)
PER_ACCOUNT_AND_IP = 10
PER_ACCOUNT = 50
PER_IP = 600
#: Tries of a pair that wait for nothing; each further one waits twice as long as the one before: 1 s, 2 s, 4 s ...
FREE_TRIES = 5
#: Codes sent in a window: for a person, from an address, in an organisation, to a number and to its thousand.
SENDS_PER_ACCOUNT, SENDS_PER_IP, SENDS_PER_ORGANISATION, SENDS_PER_NUMBER, SENDS_PER_RANGE = 5, 30, 100, 5, 20


class TooManyAttempts(errors.RateLimited):
    """The limit of tries is used up for now."""

    code = "identity.too_many_attempts"
    message = "Too many tries. Wait a few minutes, then try again."


def _key(*parts: str) -> bytes:
    return hashlib.sha256("\x00".join(parts).encode()).digest()


#: What a kind of try counts against: key, how many are allowed in the window, whether later ones have to wait.
Limit = tuple[bytes, int, bool]

#: The migration's function; what it refuses it has not counted, because the statement is undone.
_RESERVE = "SELECT reserve_tries($1, $2, $3, $4, $5, $6)"
_REFUSED = "LT429"
_LOCKED = (
    select(ATTEMPTS.c.key)
    .where(ATTEMPTS.c.key == func.any(bindparam("tries", type_=ARRAY(LargeBinary))))
    .order_by(ATTEMPTS.c.key)
    .with_for_update()
    .cte("locked")
)
#: What `forgive` does, for whoever writes something else with it; `forgiving` are its parameters.
FORGIVE = (
    update(ATTEMPTS)
    .where(ATTEMPTS.c.key == _LOCKED.c.key)
    .values(
        count=case(
            (ATTEMPTS.c.key == func.any(bindparam("tries_that_wait", type_=ARRAY(LargeBinary))), 0),
            else_=func.greatest(ATTEMPTS.c.count - 1, 0),
        )
    )
)
_FORGIVE = Statement(FORGIVE)
#: The counts of keys in their present windows, for whoever asks for them together with something else; see `Asked`.
TRIES = select(ATTEMPTS.c.key, ATTEMPTS.c.count).where(
    ATTEMPTS.c.key == func.any(bindparam("tried", type_=ARRAY(LargeBinary))),
    ATTEMPTS.c.window_started_at > bindparam("tried_since"),
)


def limits_of(kind: str, *, account: str, ip: str, device: UUID | None = None) -> list[Limit]:
    """What a try for an account counts against.

    On a device its owner trusts, only that device's own tries count: nobody else's can lock the owner out.
    """
    if device is not None:
        return [(_key(kind, "device", str(device)), PER_ACCOUNT_AND_IP, True)]
    return [
        (_key(kind, "pair", account, ip), PER_ACCOUNT_AND_IP, True),
        (_key(kind, "account", account), PER_ACCOUNT, False),
        (_key(kind, "ip", ip), PER_IP, False),
    ]


async def reserve(session: Session, kind: str, *, account: str, ip: str, now: datetime) -> None:
    """Count one try against its limits; raises TooManyAttempts. Commit it whatever the try comes to."""
    await _reserve(session, limits_of(kind, account=account, ip=ip), now)


async def reserve_alone(database: Database, limits: list[Limit], *, now: datetime) -> None:
    """Count one try in a transaction of its own, in one round trip; raises TooManyAttempts."""
    with _refusing():
        await database.alone(_RESERVE, *_arguments(limits, now))


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


#: Counts, and answers how many there are in the window. Rows are locked until the transaction ends, so each number is
#: answered to one caller only.
_COUNT = text("""
INSERT INTO attempts AS tried (key, window_started_at, last_at, count) VALUES (:key, :now, :now, 1)
ON CONFLICT (key) DO UPDATE SET
    window_started_at = CASE WHEN tried.window_started_at <= :ended THEN :now ELSE tried.window_started_at END,
    last_at = :now,
    count = CASE WHEN tried.window_started_at <= :ended THEN 1 ELSE tried.count + 1 END
RETURNING count
""")


async def count(session: Session, kind: str, who: str, *, now: datetime) -> int:
    """Count something that has no limit; answers how often it was there in the window, this time included."""
    counted = await session.execute(_COUNT, {"key": _key(kind, who), "now": now, "ended": now - WINDOW})
    return int(counted.scalar_one())


async def accounts_tried(session: Session, *, account: str, ip: str, now: datetime) -> int | None:
    """How many accounts were tried from an address in the window without success; None where this was one of them."""
    if await count(session, "spread", f"{ip}\x00{account}", now=now) > 1:
        return None
    return await count(session, "accounts", ip, now=now)


async def codes_sent(session: Session, *, account: str) -> int:
    """How many codes were sent for a person in the present window, after one was reserved in this transaction."""
    found = await session.execute(select(ATTEMPTS.c.count).where(ATTEMPTS.c.key == _key("send", "account", account)))
    return int(found.scalar_one())


async def _reserve(session: Session, limits: list[Limit], now: datetime) -> None:
    with _refusing():
        await fetch(session, _RESERVE, *_arguments(limits, now))


def _arguments(limits: list[Limit], now: datetime) -> tuple[object, ...]:
    keys, most, slowed = zip(*limits, strict=True)
    return list(keys), list(most), list(slowed), now, WINDOW, FREE_TRIES


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except asyncpg.PostgresError as error:
        if error.sqlstate != _REFUSED:
            raise
        raise TooManyAttempts(retry_after=max(1, int(str(error)))) from error


@dataclass(frozen=True, slots=True)
class Tries:
    """How often something was tried in the present window, this try included."""

    passwords: int
    factors: int
    from_address: int
    #: Accounts that were tried from the address without success.
    accounts: int
    #: Codes sent to the person.
    codes: int


class Asked:
    """A question for `Tries`: what was tried on an account, and from an address for any account."""

    def __init__(self, *, email: str, account_id: UUID, ip: str, now: datetime) -> None:
        self._keys = [
            _key("password", "account", email), _key("factor", "account", str(account_id)), _key("password", "ip", ip),
            _key("accounts", ip), _key("send", "account", str(account_id)),
        ]
        #: The parameters of TRIES.
        self.parameters: dict[str, object] = {"tried": self._keys, "tried_since": now - WINDOW}

    def answered(self, rows: Iterable[tuple[bytes, int]]) -> Tries:
        """What the rows of TRIES say."""
        counts = dict(rows)
        return Tries(*(counts.get(key, 0) for key in self._keys))


async def forgive(session: Session, limits: list[Limit]) -> None:
    """Forget the tries that had to wait, after one succeeded; that one is no guess and is given back to the others."""
    await _FORGIVE.all(session, **forgiving(limits))


def forgiving(limits: Sequence[Limit]) -> dict[str, object]:
    """The parameters of FORGIVE."""
    return {"tries": [key for key, _, _ in limits], "tries_that_wait": [key for key, _, slowed in limits if slowed]}


async def forget(session: Session, *, before: datetime) -> int:
    """Drop windows that ended before a moment; answers how many."""
    dropped = await session.execute(delete(ATTEMPTS).where(ATTEMPTS.c.last_at < before - WINDOW))
    return int(getattr(dropped, "rowcount", 0))
