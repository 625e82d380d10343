"""Use cases of recovery. Each needs two different means: an e-mail's link and a password, never one alone."""

from datetime import datetime, timedelta
from uuid import UUID

from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.domain import Account
from lotpro_identity.alerts import service as alerts
from lotpro_identity.alerts.domain import Topic
from lotpro_identity.challenges import service as challenges
from lotpro_identity.challenges.domain import CodeInvalid, Purpose
from lotpro_identity.devices import service as devices
from lotpro_identity.factors import service as factors
from lotpro_identity.lifecycle.domain import OwnAccount, check_reach
from lotpro_identity.organisations import service as organisations
from lotpro_identity.organisations.domain import ORGANISATION_ROLES, Role
from lotpro_identity.ports import Ports
from lotpro_identity.sessions import service as sessions
from lotpro_kit import errors
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session

#: What an alert tells of was written this long before the alert at most.
_SAME_MOMENT = timedelta(minutes=1)


async def not_me(session: Session, caller: Caller, ports: Ports, *, token: str) -> None:
    """Lock an account whose owner says that an alert tells of somebody else: everything that signs in ends.

    Factors that were added since go, those that were removed come back: somebody else's passkey would sign in alone.
    The password opens nothing until it is set anew by the link that is mailed now. Raises CodeInvalid.
    """
    now = ports.clock()
    row = await challenges.answer_token(session, token=token, purpose=Purpose.ALERT, codes=ports.codes, now=now)
    account = await accounts.find(session, row.account_id)
    if account is None or not account.is_active:
        raise CodeInvalid
    await factors.undo_since(session, account.id, since=row.created_at - _SAME_MOMENT)
    org_id = await _lock(session, caller, ports, account, now=now)
    await ports.security_log.record(
        session, caller, "identity:account:lock", at=now, actor_id=account.id, org_id=org_id,
        subject=("user", account.id),
    )


async def offer_factor_reset(session: Session, caller: Caller, ports: Ports, *, user_id: UUID) -> None:
    """Mail a member who lost every second factor a link to enrol a new one; the admin sees and chooses nothing.

    The link works only together with the member's password. Raises NotFound for whoever is out of the caller's reach.
    """
    now = ports.clock()
    members = await organisations.list_members(session, caller)
    if caller.org_id is None or user_id not in {row.account_id for row, _ in members} or user_id == caller.user_id:
        raise errors.NotFound
    await challenges.open_challenge(
        session, purpose=Purpose.RESET_FACTORS, account_id=user_id, org_id=caller.org_id, now=now
    )
    await ports.security_log.record(
        session, caller, "identity:factor:offer_reset", at=now, subject=("user", user_id)
    )


async def require_password_reset(session: Session, caller: Caller, ports: Ports, *, user_id: UUID) -> None:
    """Let a member's password open nothing any more, end what it opened, and mail them a link for another one.

    The admin chooses and sees nothing; factors stay. Raises NotFound, OwnAccount, MemberElsewhere, MemberOutOfReach.
    """
    now = ports.clock()
    if user_id == caller.user_id:
        raise OwnAccount
    account = (await accounts.lock(session, {user_id})).get(user_id)
    if caller.org_id is None or account is None or not account.is_active:
        raise errors.NotFound
    held = await organisations.memberships_of(session, user_id)
    check_reach(
        ((row.org_id, row.store_id, row.role) for row in held), org_id=caller.org_id, stores=caller.stores,
        reserved=ORGANISATION_ROLES | {Role.STORE_ADMIN},
    )
    await _lock(session, caller, ports, account, now=now)
    await ports.security_log.record(
        session, caller, "identity:password:require_reset", at=now, subject=("user", user_id)
    )


async def _lock(session: Session, caller: Caller, ports: Ports, account: Account, *, now: datetime) -> UUID | None:
    """End everything that an account's password opened, and mail its owner a link for a new one; answers their home."""
    await accounts.require_reset(session, account.id, now=now)
    await sessions.end_all(session, ports, account_id=account.id)
    await devices.revoke_all(session, caller, ports, account_id=account.id)
    await challenges.end_all(
        session, account.id, purposes={Purpose.CHANGE_EMAIL, Purpose.CONFIRM_FACTOR, Purpose.SIGN_IN}, now=now
    )
    org_id = await organisations.home_of(session, account.id)
    await challenges.open_challenge(
        session, purpose=Purpose.RESET_PASSWORD, account_id=account.id, org_id=org_id, now=now
    )
    return org_id


async def account_to_recover(session: Session, ports: Ports, *, token: str) -> Account:
    """Whose factors a link resets, without using it up; raises CodeInvalid."""
    row = await challenges.peek_token(
        session, token=token, purpose=Purpose.RESET_FACTORS, codes=ports.codes, now=ports.clock()
    )
    account = await accounts.find(session, row.account_id)
    if account is None or not account.is_active:
        raise CodeInvalid
    return account


async def reset_factors(session: Session, caller: Caller, ports: Ports, *, token: str) -> Account:
    """Remove every second factor by a mailed link whose password was right; sessions and trust end.

    Raises CodeInvalid.
    """
    now = ports.clock()
    row = await challenges.answer_token(
        session, token=token, purpose=Purpose.RESET_FACTORS, codes=ports.codes, now=now
    )
    account = await accounts.find(session, row.account_id)
    if account is None or not account.is_active:
        raise CodeInvalid
    await factors.remove_all(session, account.id)
    await sessions.end_all(session, ports, account_id=account.id)
    await devices.revoke_all(session, caller, ports, account_id=account.id)
    await alerts.tell(session, ports, Topic.FACTOR_REMOVED, account_id=account.id, org_id=row.org_id)
    await ports.security_log.record(
        session, caller, "identity:factor:reset", at=now, actor_id=account.id, org_id=row.org_id,
        subject=("user", account.id),
    )
    return account
