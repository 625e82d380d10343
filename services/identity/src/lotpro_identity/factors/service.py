"""Use cases of second factors: list, rename, remove, authenticator apps, recovery codes."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Row, bindparam, delete, func, insert, select, update

from lotpro.identity.v1 import events_pb2
from lotpro_identity.accounts import service as accounts
from lotpro_identity.alerts import service as alerts
from lotpro_identity.alerts.domain import Topic
from lotpro_identity.db import DATA_KEYS
from lotpro_identity.factors import domain
from lotpro_identity.factors.domain import STRONG, Kind
from lotpro_identity.factors.models import CEREMONIES, FACTORS, IN_USE, RECOVERY_CODES
from lotpro_identity.organisations import service as organisations
from lotpro_identity.ports import Ports
from lotpro_kit import errors, ids, outbox
from lotpro_kit.caller import Caller
from lotpro_kit.db import Reader, Session, Statement

SECRET = "factors.secret"  # noqa: S105 - a column's name


async def confirmed(session: Session, account_id: UUID) -> Sequence[Row[Any]]:
    """A person's confirmed factors, oldest first."""
    found = await session.execute(
        select(FACTORS)
        .where(FACTORS.c.account_id == account_id, *IN_USE)
        .order_by(FACTORS.c.id)
    )
    return found.all()


async def number_of(session: Session, ports: Ports, row: Row[Any]) -> str:
    """The phone number that a factor's codes go to; nothing for a factor that has none."""
    if row.kind != Kind.SMS or row.secret is None:
        return ""
    key = await ports.keyring.existing(session, row.account_id)
    return key.decrypt(row.secret, context=SECRET)


async def kinds_of(session: Session, account_id: UUID) -> list[str]:
    """The kinds of factor a person can use, best first, and `recovery_code`. Empty: none yet.

    Kinds that their organisation does not allow are left out, unless the person has no other: those then lead no
    further than to the enrolment of a better one.
    """
    every = {row.kind for row in await confirmed(session, account_id)}
    return _usable(every, await organisations.forbidden_factors(session, account_id))


_OWNER = accounts.OF_EMAIL.with_only_columns(accounts.OF_EMAIL.selected_columns.id).scalar_subquery()
#: The kinds in use of whoever has a normalised `email`, for whoever asks for them together with something else.
KINDS_OF_EMAIL = select(FACTORS.c.kind).where(FACTORS.c.account_id == _OWNER, *IN_USE)


async def read_usable(reader: Reader, account_id: UUID, held: Iterable[tuple[str]]) -> list[str]:
    """The same as `kinds_of`, from the rows of KINDS_OF_EMAIL: for what is asked at every sign-in."""
    every = {kind for (kind,) in held}
    weak = every & {Kind.SMS, Kind.EMAIL}
    return _usable(every, await organisations.read_forbidden_factors(reader, account_id) if weak else frozenset())


def _usable(every: set[str], forbidden: frozenset[str]) -> list[str]:
    held = every - forbidden or every
    kinds: list[str] = [kind for kind in (Kind.PASSKEY, Kind.TOTP, Kind.SMS, Kind.EMAIL) if kind in held]
    return [*kinds, "recovery_code"] if kinds else []


async def is_enough(session: Session, account_id: UUID, *, factor: str) -> bool:
    """Whether a session may follow from a factor: not from one that the person's organisation does not allow."""
    return factor not in (Kind.SMS, Kind.EMAIL) or factor not in await organisations.forbidden_factors(
        session, account_id
    )


async def check_may_add(session: Session, account_id: UUID, *, enrolling: bool) -> bool:
    """Refuse a token that only enrols the first factor once there is one, and more factors than anybody has.

    Answers whether the person has a strong factor. Raises FactorExists and TooManyFactors.
    """
    held = [row.kind for row in await confirmed(session, account_id)]
    if enrolling and set(held) - await organisations.forbidden_factors(session, account_id):
        raise domain.FactorExists
    if len(held) >= domain.MOST_FACTORS:
        raise domain.TooManyFactors
    return bool(STRONG & set(held))


async def enrol_totp(session: Session, ports: Ports, *, account_id: UUID, name: str) -> str:
    """A new seed that waits for its first code; an older one that never got it is forgotten."""
    await session.execute(
        delete(FACTORS).where(
            FACTORS.c.account_id == account_id, FACTORS.c.kind == Kind.TOTP, FACTORS.c.confirmed_at.is_(None)
        )
    )
    seed = domain.new_seed()
    key = await ports.keyring.for_subject(session, account_id)
    await session.execute(
        insert(FACTORS).values(
            id=ids.new(), account_id=account_id, kind=Kind.TOTP, name=name,
            secret=key.encrypt(seed, context=SECRET), created_at=ports.clock(),
        )
    )
    return seed


async def confirm_totp(session: Session, ports: Ports, *, account_id: UUID, code: str) -> UUID | None:
    """The new authenticator app, when its first code is right, else None; raises FactorMissing. Commit either way."""
    waiting = await _totp(session, ports, account_id, confirmed=False)
    if not waiting:
        raise domain.FactorMissing
    return await _matching(session, ports, waiting, account_id=account_id, code=code)


async def use_totp(session: Session, ports: Ports, *, account_id: UUID, code: str) -> bool:
    """Whether a code is right and new; a right one is used up."""
    apps = await _totp(session, ports, account_id, confirmed=True)
    return await _matching(session, ports, apps, account_id=account_id, code=code) is not None


async def _totp(session: Session, ports: Ports, account_id: UUID, *, confirmed: bool) -> Sequence[Any]:
    apps = await _TOTP.all(session, account_id=account_id, confirmed=confirmed)
    for app in apps:
        if app.wrapped_key is not None:
            ports.keyring.know(session, account_id, app.wrapped_key)
    return apps


_TOTP = Statement(
    select(FACTORS.c.id, FACTORS.c.secret, FACTORS.c.last_step, DATA_KEYS.c.wrapped_key)
    .join(DATA_KEYS, DATA_KEYS.c.subject_id == FACTORS.c.account_id, isouter=True)
    .where(
        FACTORS.c.account_id == bindparam("account_id"), FACTORS.c.kind == Kind.TOTP,
        FACTORS.c.removed_at.is_(None), FACTORS.c.confirmed_at.is_not(None) == bindparam("confirmed", type_=Boolean),
    )
    .order_by(FACTORS.c.id)
    .with_for_update(of=FACTORS)
)
_USE = Statement(
    update(FACTORS)
    .where(FACTORS.c.id == bindparam("factor_id"))
    .values(last_step=bindparam("step"), last_used_at=bindparam("now"))
)


async def _matching(
    session: Session, ports: Ports, apps: Sequence[Any], *, account_id: UUID, code: str
) -> UUID | None:
    if not apps:
        return None
    key = await ports.keyring.existing(session, account_id)
    for app in apps:
        seed = key.decrypt(app.secret, context=SECRET)
        step = domain.matching_step(seed, code, now=ports.clock(), last_step=app.last_step)
        if step is not None:
            await _USE.all(session, factor_id=app.id, step=step, now=ports.clock())
            factor_id: UUID = app.id
            return factor_id
    return None


async def confirm(
    session: Session,
    caller: Caller,
    ports: Ports,
    *,
    factor_id: UUID,
    account_id: UUID,
    kind: Kind,
    org_id: UUID | None,
) -> list[str]:
    """A factor is proven: it counts from now on. Answers recovery codes when it is the first, else nothing."""
    now = ports.clock()
    first = not await confirmed(session, account_id)
    await session.execute(update(FACTORS).where(FACTORS.c.id == factor_id).values(confirmed_at=now, last_used_at=now))
    await outbox.put(session, events_pb2.FactorEnrolled(user_id=str(account_id), factor=kind))
    await ports.security_log.record(
        session, caller, "identity:factor:enrol", at=now, actor_id=account_id, org_id=org_id,
        subject=("factor", factor_id), factor=kind,
    )
    if first:
        return await _new_recovery_codes(session, account_id, now=now)
    await alerts.tell(session, ports, Topic.FACTOR_ADDED, account_id=account_id, org_id=org_id)
    return []


async def rename(
    session: Session, caller: Caller, ports: Ports, *, account_id: UUID, factor_id: UUID, name: str
) -> None:
    """Call a factor something else; raises NotFound."""
    await _own(session, account_id, factor_id)
    await session.execute(update(FACTORS).where(FACTORS.c.id == factor_id).values(name=name))
    await ports.security_log.record(
        session, caller, "identity:factor:rename", at=ports.clock(), subject=("factor", factor_id), changed=("name",)
    )


async def remove(session: Session, caller: Caller, ports: Ports, *, account_id: UUID, factor_id: UUID) -> None:
    """Remove a factor; raises NotFound, and LastFactor for the last strong one and for the last of all.

    It is of no use from now on, and is kept for as long as the owner can say that somebody else removed it.
    The rows are locked, so that two removals at once cannot take the last two.
    """
    found = await session.execute(
        select(FACTORS.c.id, FACTORS.c.kind)
        .where(FACTORS.c.account_id == account_id, *IN_USE)
        .order_by(FACTORS.c.id)
        .with_for_update()
    )
    held = {row.id: row.kind for row in found}
    if factor_id not in held:
        raise errors.NotFound
    kind = held.pop(factor_id)
    if not held or (kind in STRONG and not STRONG & set(held.values())):
        raise domain.LastFactor
    await session.execute(update(FACTORS).where(FACTORS.c.id == factor_id).values(removed_at=ports.clock()))
    await alerts.tell(session, ports, Topic.FACTOR_REMOVED, account_id=account_id, org_id=caller.org_id)
    await ports.security_log.record(
        session, caller, "identity:factor:remove", at=ports.clock(), subject=("factor", factor_id), factor=kind
    )


async def remove_all(session: Session, account_id: UUID) -> None:
    """Remove every factor and recovery code of a person, who has to enrol again before anything else."""
    for table in (FACTORS, CEREMONIES, RECOVERY_CODES):
        await session.execute(delete(table).where(table.c.account_id == account_id))


async def undo_since(session: Session, account_id: UUID, *, since: datetime) -> None:
    """Take back what somebody else did to a person's factors from a moment on: theirs go, and the person's come back.

    Recovery codes made since go as well. Nobody is left without any factor by it: where all are that new, they stay.
    """
    mine = FACTORS.c.account_id == account_id
    await session.execute(update(FACTORS).where(mine, FACTORS.c.removed_at >= since).values(removed_at=None))
    if any(row.confirmed_at < since for row in await confirmed(session, account_id)):
        await session.execute(delete(FACTORS).where(mine, FACTORS.c.confirmed_at >= since))
        await session.execute(
            delete(RECOVERY_CODES).where(
                RECOVERY_CODES.c.account_id == account_id, RECOVERY_CODES.c.created_at >= since
            )
        )


async def forget_removed(session: Session, *, before: datetime) -> int:
    """Drop factors that were removed before a moment; answers how many."""
    dropped = await session.execute(delete(FACTORS).where(FACTORS.c.removed_at < before))
    return int(getattr(dropped, "rowcount", 0))


async def touch(session: Session, factor_id: UUID, *, now: datetime) -> None:
    """A factor was used."""
    await session.execute(update(FACTORS).where(FACTORS.c.id == factor_id).values(last_used_at=now))


async def renew_recovery_codes(session: Session, caller: Caller, ports: Ports, *, account_id: UUID) -> list[str]:
    """New recovery codes, shown once; the old ones end."""
    codes = await _new_recovery_codes(session, account_id, now=ports.clock())
    await alerts.tell(session, ports, Topic.RECOVERY_CODES_RENEWED, account_id=account_id, org_id=caller.org_id)
    await ports.security_log.record(
        session, caller, "identity:factor:renew_recovery_codes", at=ports.clock(), subject=("user", account_id)
    )
    return codes


async def use_recovery_code(session: Session, ports: Ports, *, account_id: UUID, code: str) -> bool:
    """Whether a recovery code is right and unused; a right one is used up and its owner is told."""
    used = await session.execute(
        update(RECOVERY_CODES)
        .where(
            RECOVERY_CODES.c.account_id == account_id, RECOVERY_CODES.c.digest == domain.recovery_digest(code),
            RECOVERY_CODES.c.used_at.is_(None),
        )
        .values(used_at=ports.clock())
        .returning(RECOVERY_CODES.c.digest)
    )
    right = used.one_or_none() is not None
    if right:
        await alerts.tell(session, ports, Topic.RECOVERY_CODE_USED, account_id=account_id)
    return right


async def recovery_codes_left(session: Session, account_id: UUID) -> int:
    """How many recovery codes are unused."""
    found = await session.execute(
        select(func.count()).where(RECOVERY_CODES.c.account_id == account_id, RECOVERY_CODES.c.used_at.is_(None))
    )
    return int(found.scalar_one())


async def _new_recovery_codes(session: Session, account_id: UUID, *, now: datetime) -> list[str]:
    codes = domain.new_recovery_codes()
    await session.execute(delete(RECOVERY_CODES).where(RECOVERY_CODES.c.account_id == account_id))
    await session.execute(
        insert(RECOVERY_CODES),
        [{"account_id": account_id, "digest": domain.recovery_digest(code), "created_at": now} for code in codes],
    )
    return codes


async def _own(session: Session, account_id: UUID, factor_id: UUID) -> Row[Any]:
    found = await session.execute(
        select(FACTORS).where(
            FACTORS.c.id == factor_id, FACTORS.c.account_id == account_id, *IN_USE
        )
    )
    row = found.one_or_none()
    if row is None:
        raise errors.NotFound
    return row
