"""Use cases of passwords. Hashing happens before, outside the transaction."""

from datetime import datetime
from uuid import UUID

from lotpro_identity.accounts import attempts
from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.domain import Account, check_password, normalised_email, too_weak
from lotpro_identity.alerts import service as alerts
from lotpro_identity.alerts.domain import Topic
from lotpro_identity.challenges import service as challenges
from lotpro_identity.challenges.domain import CodeInvalid, Purpose
from lotpro_identity.devices import service as devices
from lotpro_identity.organisations import service as organisations
from lotpro_identity.ports import Ports
from lotpro_identity.sessions import service as sessions
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session


async def check_new(ports: Ports, password: str, *, known: tuple[str, ...]) -> None:
    """Refuse a password nobody should choose; `known` is what a guesser knows of the person. Raises PasswordTooWeak.

    May ask outside; call it between transactions.
    """
    check_password(password, known=known)
    if await ports.breaches.has(password):
        raise too_weak()


async def change(session: Session, caller: Caller, ports: Ports, *, account_id: UUID, password_hash: str) -> None:
    """Set a new password: every other session ends, no device is trusted any more, its owner is told."""
    await _replace(session, caller, ports, account_id=account_id, password_hash=password_hash, keep=caller.session_id)
    await ports.security_log.record(
        session, caller, "identity:password:change", at=ports.clock(), subject=("user", account_id)
    )


async def request_reset(session: Session, caller: Caller, ports: Ports, *, email: str) -> None:
    """Mail a link for setting a new password; for an unknown or unconfirmed address nothing happens."""
    now, address = ports.clock(), normalised_email(email)
    await attempts.reserve(session, "reset", account=address, ip=caller.origin.ip, now=now)
    account = await accounts.find_by_email(session, address)
    if account is None or not account.is_active or account.email_confirmed_at is None:
        return
    org_id = await organisations.home_of(session, account.id)
    await challenges.open_challenge(
        session, purpose=Purpose.RESET_PASSWORD, account_id=account.id, org_id=org_id, now=now
    )
    await ports.security_log.record(
        session, caller, "identity:password:request_reset", at=now, actor_id=account.id, org_id=org_id,
        subject=("user", account.id),
    )


async def account_to_reset(session: Session, ports: Ports, *, token: str) -> Account:
    """Whose password a link is for, without using it up; raises CodeInvalid."""
    row = await challenges.peek_token(
        session, token=token, purpose=Purpose.RESET_PASSWORD, codes=ports.codes, now=ports.clock()
    )
    account = await accounts.find(session, row.account_id)
    if account is None or not account.is_active:
        raise CodeInvalid
    return account


async def reset(session: Session, caller: Caller, ports: Ports, *, token: str, password_hash: str) -> None:
    """Set a new password by a mailed link, which is used up; the second factor stays as it is. Raises CodeInvalid."""
    row = await challenges.answer_token(
        session, token=token, purpose=Purpose.RESET_PASSWORD, codes=ports.codes, now=ports.clock()
    )
    await _replace(
        session, caller, ports, account_id=row.account_id, password_hash=password_hash, keep=None,
        mailed_at=ports.clock(),
    )
    await ports.security_log.record(
        session, caller, "identity:password:reset", at=ports.clock(), actor_id=row.account_id, org_id=row.org_id,
        subject=("user", row.account_id),
    )


async def _replace(
    session: Session, caller: Caller, ports: Ports, *, account_id: UUID, password_hash: str, keep: UUID | None,
    mailed_at: datetime | None = None,
) -> None:
    await accounts.set_password(session, account_id, password_hash, mailed_at=mailed_at)
    await sessions.end_all(session, ports, account_id=account_id, but=keep)
    await devices.revoke_all(session, caller, ports, account_id=account_id)
    await challenges.end_all(session, account_id, purposes={Purpose.RESET_PASSWORD}, now=ports.clock())
    org_id = await organisations.home_of(session, account_id)
    await alerts.tell(session, ports, Topic.PASSWORD_CHANGED, account_id=account_id, org_id=org_id)
