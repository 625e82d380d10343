"""Use cases of accounts' ends. Each is one transaction for one account, in which everything happens or nothing."""

from datetime import datetime
from uuid import UUID

from lotpro.identity.v1 import events_pb2
from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.domain import Account, Status
from lotpro_identity.breakglass import service as breakglass
from lotpro_identity.challenges import service as challenges
from lotpro_identity.challenges.domain import CodeInvalid, Purpose
from lotpro_identity.devices import service as devices
from lotpro_identity.factors import service as factors
from lotpro_identity.federation import service as federation
from lotpro_identity.lifecycle import domain, repository
from lotpro_identity.organisations import service as organisations
from lotpro_identity.organisations.domain import ORGANISATION_ROLES, Role
from lotpro_identity.pictures import service as pictures
from lotpro_identity.ports import Ports
from lotpro_identity.provisioning import service as provisioning
from lotpro_identity.sessions import service as sessions
from lotpro_kit import errors, outbox
from lotpro_kit.caller import Caller, system
from lotpro_kit.db import Session

#: Tables with rows of one account and nobody else's; `_erase` empties each, a test compares this with the models.
ERASED = frozenset({
    "factors", "recovery_codes", "ceremonies", "devices", "sessions", "challenges", "memberships",
    "lifecycle_announcements", "accesses", "scim_users", "federated_identities",
})


async def close_own(session: Session, caller: Caller, ports: Ports, *, account_id: UUID) -> datetime:
    """Close one's own account: it can no longer be used, and is deleted at the moment answered.

    Until then the link in the e-mail takes it back. Raises LastOwner.
    """
    now = ports.clock()
    account = await _locked(session, account_id)
    if account is None:
        raise errors.NotFound
    if account.delete_after is not None:
        return account.delete_after
    await organisations.check_may_leave(session, account_id)
    delete_after = now + domain.undo_period()
    await _shut(session, ports, account_id, delete_after=delete_after)
    org_id = caller.org_id or await organisations.home_of(session, account_id)
    await challenges.open_challenge(
        session, purpose=Purpose.UNDO_CLOSE, account_id=account_id, org_id=org_id, now=now
    )
    await outbox.put(session, events_pb2.AccountClosing(user_id=str(account_id), org_id=str(org_id or "")))
    await ports.security_log.record(
        session, caller, "identity:account:close", at=now, subject=("user", account_id), org_id=org_id
    )
    return delete_after


async def reopen(session: Session, caller: Caller, ports: Ports, *, token: str) -> None:
    """Take back the closing that a token came with; one signs in as before. Raises CodeInvalid."""
    now = ports.clock()
    challenge = await challenges.answer_token(
        session, token=token, purpose=Purpose.UNDO_CLOSE, codes=ports.codes, now=now
    )
    account = await _locked(session, challenge.account_id)
    if account is None or account.delete_after is None or account.delete_after <= now:
        raise CodeInvalid
    await accounts.reopen(session, account.id, now=now)
    await outbox.put(session, events_pb2.AccountReopened(user_id=str(account.id)))
    await ports.security_log.record(
        session, caller, "identity:account:reopen", at=now, actor_id=account.id, subject=("user", account.id),
        org_id=await organisations.home_of(session, account.id),
    )


async def remove_account(session: Session, caller: Caller, ports: Ports, *, user_id: UUID) -> None:
    """Delete a member's account ("Store administrators can also delete user accounts directly", policy section 6).

    It can no longer be used, its roles are gone; the rest goes with the next `delete-closed` after domain.NOTICE.
    Raises NotFound, OwnAccount, MemberElsewhere, MemberOutOfReach.
    """
    assert caller.org_id is not None and caller.user_id is not None  # noqa: PT018 - a permission needs both
    now = ports.clock()
    if user_id == caller.user_id:
        raise domain.OwnAccount
    locked = await accounts.lock(
        session, {user_id, caller.user_id} | await organisations.co_owners(session, user_id)
    )
    account = locked.get(user_id)
    # Two who remove each other at the same moment: the second one is nobody any more.
    if account is None or account.is_ended or not locked[caller.user_id].is_active:
        raise errors.NotFound
    held = await organisations.memberships_of(session, user_id)
    domain.check_reach(
        ((row.org_id, row.store_id, row.role) for row in held), org_id=caller.org_id, stores=caller.stores,
        reserved=ORGANISATION_ROLES | {Role.STORE_ADMIN},
    )
    await _shut(session, ports, user_id, delete_after=now + domain.NOTICE)
    await challenges.remove_all(session, user_id)
    await organisations.leave_all(session, caller, ports, account_id=user_id)
    await outbox.put(
        session, events_pb2.AccountDeletionOrdered(user_id=str(user_id), org_id=str(caller.org_id))
    )
    await ports.security_log.record(session, caller, "identity:member:remove", at=now, subject=("user", user_id))


async def without_warning(session: Session, found: list[Account], *, as_of: datetime) -> list[Account]:
    """Those of these inactive accounts whose present warning was not given yet."""
    given = await repository.announced(session, [account.id for account in found])
    return [
        account for account in found
        if (account.id, domain.warning_due(account.last_active_at, as_of=as_of), account.last_active_at) not in given
    ]


async def warn_inactive(session: Session, ports: Ports, *, account_id: UUID, as_of: datetime) -> bool:
    """Warn a person whose account will be anonymised; once for each warning. False when none is due.

    An address that was never confirmed is not written to: it may be somebody else's.
    """
    account = (await accounts.lock(session, {account_id})).get(account_id)
    if account is None or not account.is_active or account.email_confirmed_at is None:
        return False
    last_active = await _last_active(session, account)
    warning = domain.warning_due(last_active, as_of=as_of)
    if warning is None or not await repository.announce(
        session, account_id, warning_days=warning, inactive_since=account.last_active_at, now=as_of
    ):
        return False
    left = domain.days_left(last_active, as_of=as_of)
    await outbox.put(session, events_pb2.AccountInactivityWarned(user_id=str(account_id), days_left=left))
    return True


async def anonymise_inactive(session: Session, ports: Ports, *, account_id: UUID, as_of: datetime) -> bool:
    """Anonymise an account that nobody used for the policy's period; False when somebody did."""
    account = await _locked(session, account_id)
    if account is None or not account.is_active:
        return False
    if not domain.is_inactive(await _last_active(session, account), as_of=as_of):
        return False
    await _erase(session, ports, account, status=Status.ANONYMISED)
    return True


async def delete_closed(session: Session, ports: Ports, *, account_id: UUID, as_of: datetime) -> bool:
    """Delete a closed account whose time has come; False when it was taken back."""
    account = await _locked(session, account_id)
    if account is None or account.delete_after is None or account.delete_after > as_of:
        return False
    await _erase(session, ports, account, status=Status.DELETED)
    await outbox.put(session, events_pb2.AccountDeleted(user_id=str(account_id)))
    return True


async def _locked(session: Session, account_id: UUID) -> Account | None:
    """The account as it is now, held together with those of its co-owners, one of whom must stay."""
    held = await accounts.lock(session, {account_id} | await organisations.co_owners(session, account_id))
    return held.get(account_id)


async def _last_active(session: Session, account: Account) -> datetime:
    """The account's own moment may be an hour behind; its sessions know it exactly."""
    used = await sessions.last_used(session, account.id)
    return max(account.last_active_at, used) if used else account.last_active_at


async def _shut(session: Session, ports: Ports, account_id: UUID, *, delete_after: datetime) -> None:
    await accounts.begin_closing(session, account_id, delete_after=delete_after)
    await sessions.end_all(session, ports, account_id=account_id)
    await accounts.change_access(session, account_id, now=ports.clock())


async def _erase(session: Session, ports: Ports, account: Account, *, status: Status) -> None:
    """Take the person out of identity, and say so to the other services. Tokens end now, whatever day a job plays."""
    now, nobody = ports.clock(), system()
    org_id = await organisations.home_of(session, account.id)
    await sessions.forget_all(session, ports, account_id=account.id)
    await accounts.change_access(session, account.id, now=now)
    await factors.remove_all(session, account.id)
    await devices.remove_all(session, account.id)
    await breakglass.remove_all(session, account.id)
    await challenges.remove_all(session, account.id)
    await organisations.leave_all(session, nobody, ports, account_id=account.id)
    await organisations.forget_invitations(session, account_id=account.id, email=account.email)
    await repository.forget(session, account.id)
    await pictures.discard(session, account.picture_id, now=now)
    await federation.forget(session, account.id)
    await provisioning.forget(session, account.id)
    await accounts.end(session, ports, account.id, status=status, now=now)
    await outbox.put(session, events_pb2.AccountAnonymised(user_id=str(account.id)))
    verb = "anonymise" if status is Status.ANONYMISED else "delete"
    await ports.security_log.record(
        session, nobody, f"identity:account:{verb}", at=now, subject=("user", account.id), org_id=org_id
    )
