"""Use cases of addresses."""

from uuid import UUID

from lotpro_identity.accounts import attempts
from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.domain import Account, normalised_email
from lotpro_identity.alerts import service as alerts
from lotpro_identity.alerts.domain import Topic
from lotpro_identity.challenges import service as challenges
from lotpro_identity.challenges.domain import Channel, CodeInvalid, Purpose
from lotpro_identity.factors import codes
from lotpro_identity.organisations import service as organisations
from lotpro_identity.ports import Ports
from lotpro_identity.sessions import service as sessions
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session


async def request_change(session: Session, caller: Caller, ports: Ports, *, account_id: UUID, email: str) -> None:
    """Send a code to the new address; nothing changes before it is given in the same session.

    A taken address is not told of here.
    """
    now, address = ports.clock(), normalised_email(email)
    await attempts.reserve(session, "change_email", account=str(account_id), ip=caller.origin.ip, now=now)
    await challenges.open_challenge(
        session, purpose=Purpose.CHANGE_EMAIL, account_id=account_id, org_id=caller.org_id, now=now,
        address=challenges.seal_address(ports.keyring, address), binding=str(caller.session_id),
    )
    await ports.security_log.record(
        session, caller, "identity:email:request_change", at=now, subject=("user", account_id)
    )


async def confirm_change(
    session: Session, caller: Caller, ports: Ports, *, account_id: UUID, code: str
) -> Account | None:
    """Move the account to the new address when the code is right, else None; commit either way.

    The old address gets a link that undoes it for 72 hours. Raises EmailTaken.
    """
    now = ports.clock()
    await attempts.reserve(session, "code", account=str(account_id), ip=caller.origin.ip, now=now)
    right, challenge = await challenges.answer_code(
        session, account_id=account_id, purpose=Purpose.CHANGE_EMAIL, code=code, codes=ports.codes, now=now,
        binding=str(caller.session_id),
    )
    account = await accounts.find(session, account_id)
    if not right or challenge is None or account is None:
        return None
    old, new = account.email, challenges.open_address(ports.keyring, challenge)
    await accounts.set_email(session, account_id, new)
    await challenges.open_challenge(
        session, purpose=Purpose.UNDO_EMAIL, account_id=account_id, org_id=caller.org_id, now=now,
        address=challenges.seal_address(ports.keyring, old),
    )
    await challenges.end_all(session, account_id, purposes={Purpose.RESET_PASSWORD}, now=now)
    await alerts.tell(session, ports, Topic.EMAIL_CHANGED, account_id=account_id, org_id=caller.org_id)
    await ports.security_log.record(
        session, caller, "identity:email:change", at=now, subject=("user", account_id), changed=("email",)
    )
    return await accounts.find(session, account_id)


async def tell_phone_changed(
    session: Session, caller: Caller, ports: Ports, *, account_id: UUID, old: str | None, new: str | None
) -> None:
    """Tell a person by e-mail, and at the old and the new number, that the number of the account changed.

    Numbers that no SMS may go to are left out. Raises TooManyAttempts: texts to strangers' numbers cost money.
    """
    if old == new:
        return
    now = ports.clock()
    await alerts.tell(session, ports, Topic.PHONE_CHANGED, account_id=account_id, org_id=caller.org_id)
    for number in (old, new):
        if number is None or not codes.may_be_texted(number):
            continue
        await attempts.reserve_send(
            session, account=str(account_id), org=str(caller.org_id or ""), ip=caller.origin.ip, number=number, now=now
        )
        await alerts.tell(
            session, ports, Topic.PHONE_CHANGED, account_id=account_id, org_id=caller.org_id, address=number,
            channel=Channel.SMS,
        )


async def undo_change(session: Session, caller: Caller, ports: Ports, *, token: str) -> None:
    """Move the account back to the address the link was sent to, end every session, and want a new password.

    Raises CodeInvalid, and EmailTaken when somebody else has the address by now.
    """
    now = ports.clock()
    row = await challenges.answer_token(
        session, token=token, purpose=Purpose.UNDO_EMAIL, codes=ports.codes, now=now
    )
    account = await accounts.find(session, row.account_id)
    if account is None or not account.is_active:
        raise CodeInvalid
    await accounts.set_email(session, row.account_id, challenges.open_address(ports.keyring, row))
    await accounts.require_reset(session, row.account_id, now=now)
    await sessions.end_all(session, ports, account_id=row.account_id)
    await challenges.end_all(
        session, row.account_id, purposes={Purpose.CHANGE_EMAIL, Purpose.RESET_PASSWORD}, now=now
    )
    org_id = await organisations.home_of(session, row.account_id)
    await challenges.open_challenge(
        session, purpose=Purpose.RESET_PASSWORD, account_id=row.account_id, org_id=org_id, now=now
    )
    await ports.security_log.record(
        session, caller, "identity:email:undo_change", at=now, actor_id=row.account_id, org_id=org_id,
        subject=("user", row.account_id), changed=("email",),
    )
