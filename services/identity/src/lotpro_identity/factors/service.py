"""Use cases of second factors."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from lotpro.identity.v1 import events_pb2
from lotpro_identity.factors import domain
from lotpro_identity.factors.models import RECOVERY_CODES, TOTP_FACTORS
from lotpro_identity.ports import Ports
from lotpro_kit import outbox
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session

SEED = "totp_factors.seed"


async def is_enrolled(session: Session, account_id: UUID) -> bool:
    """Whether the account has a confirmed second factor."""
    return await confirmed_at(session, account_id) is not None


async def confirmed_at(session: Session, account_id: UUID) -> datetime | None:
    """Since when the account has its second factor."""
    found = await session.execute(select(TOTP_FACTORS.c.confirmed_at).where(TOTP_FACTORS.c.account_id == account_id))
    moment: datetime | None = found.scalar_one_or_none()
    return moment


async def enrol_totp(session: Session, ports: Ports, *, account_id: UUID) -> str:
    """A new seed that waits for its first code; raises FactorExists when there is a confirmed one."""
    if await is_enrolled(session, account_id):
        raise domain.FactorExists
    seed = domain.new_seed()
    key = await ports.keyring.for_subject(session, account_id)
    sealed = key.encrypt(seed, context=SEED)
    statement = upsert(TOTP_FACTORS).values(account_id=account_id, seed=sealed, last_step=0)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["account_id"], set_={"seed": sealed, "last_step": 0},
            where=TOTP_FACTORS.c.confirmed_at.is_(None),
        )
    )
    return seed


async def confirm_totp(
    session: Session, caller: Caller, ports: Ports, *, account_id: UUID, org_id: UUID | None, code: str
) -> list[str] | None:
    """Confirm the enrolment with its first code; answers the recovery codes, or None when the code is wrong.

    Raises FactorMissing and FactorExists. Commit in both cases.
    """
    if await is_enrolled(session, account_id):
        raise domain.FactorExists
    if not await _use(session, ports, account_id=account_id, code=code, confirmed=False):
        return None
    now = ports.clock()
    await session.execute(update(TOTP_FACTORS).where(TOTP_FACTORS.c.account_id == account_id).values(confirmed_at=now))
    codes = domain.new_recovery_codes()
    await session.execute(delete(RECOVERY_CODES).where(RECOVERY_CODES.c.account_id == account_id))
    await session.execute(
        insert(RECOVERY_CODES), [{"account_id": account_id, "digest": domain.recovery_digest(code)} for code in codes]
    )
    await outbox.put(session, events_pb2.FactorEnrolled(user_id=str(account_id), factor="totp"))
    await ports.security_log.record(
        session, caller, "identity:factor:enrol", at=now, actor_id=account_id, org_id=org_id,
        subject=("user", account_id), factor="totp",
    )
    return codes


async def use_totp(session: Session, ports: Ports, *, account_id: UUID, code: str) -> bool:
    """Whether a code is right and new; a right one is used up."""
    return await _use(session, ports, account_id=account_id, code=code, confirmed=True)


async def _use(session: Session, ports: Ports, *, account_id: UUID, code: str, confirmed: bool) -> bool:
    state = TOTP_FACTORS.c.confirmed_at
    found = await session.execute(
        select(TOTP_FACTORS.c.seed, TOTP_FACTORS.c.last_step)
        .where(TOTP_FACTORS.c.account_id == account_id, state.is_not(None) if confirmed else state.is_(None))
        .with_for_update()
    )
    row = found.one_or_none()
    if row is None:
        if confirmed:
            return False
        raise domain.FactorMissing
    key = await ports.keyring.existing(session, account_id)
    seed = key.decrypt(row.seed, context=SEED)
    step = domain.matching_step(seed, code, now=ports.clock(), last_step=row.last_step)
    if step is None:
        return False
    await session.execute(
        update(TOTP_FACTORS).where(TOTP_FACTORS.c.account_id == account_id).values(last_step=step)
    )
    return True


async def use_recovery_code(session: Session, ports: Ports, *, account_id: UUID, code: str) -> bool:
    """Whether a recovery code is right and unused; a right one is used up."""
    used = await session.execute(
        update(RECOVERY_CODES)
        .where(
            RECOVERY_CODES.c.account_id == account_id, RECOVERY_CODES.c.digest == domain.recovery_digest(code),
            RECOVERY_CODES.c.used_at.is_(None),
        )
        .values(used_at=ports.clock())
        .returning(RECOVERY_CODES.c.digest)
    )
    return used.one_or_none() is not None


async def remove_all(session: Session, account_id: UUID) -> None:
    """Take every second factor and recovery code from the account."""
    for table in (TOTP_FACTORS, RECOVERY_CODES):
        await session.execute(delete(table).where(table.c.account_id == account_id))


async def recovery_codes_left(session: Session, account_id: UUID) -> int:
    """How many recovery codes are unused."""
    found = await session.execute(
        select(RECOVERY_CODES.c.digest).where(
            RECOVERY_CODES.c.account_id == account_id, RECOVERY_CODES.c.used_at.is_(None)
        )
    )
    return len(found.all())
