"""Codes by SMS or e-mail as a second factor: setting it up, sending, judging; and who may not have any."""

from uuid import UUID

import phonenumbers
from sqlalchemy import delete, insert, select

from lotpro_identity.accounts import attempts
from lotpro_identity.accounts.domain import Account, normalised_phone
from lotpro_identity.alerts import service as alerts
from lotpro_identity.alerts.domain import Topic
from lotpro_identity.challenges import service as challenges
from lotpro_identity.challenges.domain import Channel, Purpose
from lotpro_identity.factors.domain import ChannelNotAllowed, Kind
from lotpro_identity.factors.models import FACTORS
from lotpro_identity.factors.service import SECRET, confirmed, number_of, touch
from lotpro_identity.organisations import service as organisations
from lotpro_identity.ports import Ports
from lotpro_identity.risk.domain import CODE_BURST, Signal
from lotpro_kit import ids
from lotpro_kit.caller import Caller
from lotpro_kit.db import Session

#: Where SMS may be sent: dealers are in these countries, and premium numbers elsewhere are how toll fraud pays.
SMS_COUNTRIES = frozenset({"US", "CA"})


async def begin(
    session: Session, caller: Caller, ports: Ports, *, account: Account, org_id: UUID | None, kind: Kind,
    phone: str | None,
) -> None:
    """Send the first code to a phone, or to the account's address; raises PhoneInvalid and ChannelNotAllowed."""
    if kind in await organisations.forbidden_factors(session, account.id):
        raise ChannelNotAllowed
    number = _sendable(phone or "") if kind is Kind.SMS else None
    await session.execute(
        delete(FACTORS).where(
            FACTORS.c.account_id == account.id, FACTORS.c.kind == kind, FACTORS.c.confirmed_at.is_(None)
        )
    )
    key = await ports.keyring.for_subject(session, account.id)
    await session.execute(
        insert(FACTORS).values(
            id=ids.new(), account_id=account.id, kind=kind, created_at=ports.clock(),
            name="SMS" if kind is Kind.SMS else "E-mail",
            secret=key.encrypt(number, context=SECRET) if number else None,
        )
    )
    await _send(
        session, caller, ports, account_id=account.id, org_id=org_id, purpose=Purpose.CONFIRM_FACTOR, kind=kind,
        number=number, binding=str(caller.session_id),
    )


async def finish(
    session: Session, caller: Caller, ports: Ports, *, account_id: UUID, kind: Kind, code: str
) -> UUID | None:
    """The new factor when the code is right and was asked for in this session, else None; commit either way."""
    right = await _judge(
        session, ports, account_id=account_id, purpose=Purpose.CONFIRM_FACTOR, code=code, channel=kind,
        binding=str(caller.session_id),
    )
    if not right:
        return None
    waiting = await session.execute(
        select(FACTORS.c.id).where(
            FACTORS.c.account_id == account_id, FACTORS.c.kind == kind, FACTORS.c.confirmed_at.is_(None)
        )
    )
    factor_id: UUID | None = waiting.scalar_one_or_none()
    return factor_id


async def send(
    session: Session, caller: Caller, ports: Ports, *, account_id: UUID, org_id: UUID | None, kind: Kind, ticket: str
) -> None:
    """Send a code for the sign-in of a ticket, and for no other; nothing happens for somebody without this factor."""
    for row in await confirmed(session, account_id):
        if row.kind == kind:
            await _send(
                session, caller, ports, account_id=account_id, org_id=org_id, purpose=Purpose.SIGN_IN, kind=kind,
                number=await number_of(session, ports, row) or None, binding=ticket,
            )
            return


async def use(session: Session, ports: Ports, *, account_id: UUID, kind: Kind, code: str, ticket: str) -> bool:
    """Whether a code that was sent for this ticket's sign-in is right; a right one is used up. Commit either way."""
    held = [row.id for row in await confirmed(session, account_id) if row.kind == kind]
    right = await _judge(
        session, ports, account_id=account_id, purpose=Purpose.SIGN_IN, code=code, channel=kind, binding=ticket
    )
    if not right or not held:
        return False
    await touch(session, held[0], now=ports.clock())
    return True


async def _send(
    session: Session, caller: Caller, ports: Ports, *, account_id: UUID, org_id: UUID | None, purpose: Purpose,
    kind: Kind, number: str | None, binding: str,
) -> None:
    now = ports.clock()
    await attempts.reserve_send(
        session, account=str(account_id), org=str(org_id or ""), ip=caller.origin.ip, number=number or "", now=now
    )
    if await attempts.codes_sent(session, account=str(account_id)) == CODE_BURST:
        await _tell_of_burst(session, caller, ports, account_id=account_id, org_id=org_id, purpose=purpose)
    await challenges.open_challenge(
        session, purpose=purpose, account_id=account_id, org_id=org_id, now=now, binding=binding,
        channel=Channel.SMS if kind is Kind.SMS else Channel.EMAIL,
        address=challenges.seal_address(ports.keyring, number) if number else None,
    )
    await ports.security_log.record(
        session, caller, "identity:factor:send_code", at=now, actor_id=account_id, org_id=org_id,
        subject=("user", account_id), factor=kind,
    )


async def _tell_of_burst(
    session: Session, caller: Caller, ports: Ports, *, account_id: UUID, org_id: UUID | None, purpose: Purpose
) -> None:
    """So many codes in a window are somebody who makes a phone ring, or who waits for one to be told to him."""
    if purpose is Purpose.SIGN_IN:
        await alerts.tell(session, ports, Topic.CODE_BURST, account_id=account_id, org_id=org_id)
    await ports.security_log.record(
        session, caller, "identity:session:suspicious", at=ports.clock(), success=False, actor_id=account_id,
        org_id=org_id, subject=("user", account_id), changed=(Signal.CODE_BURST,),
    )


async def _judge(
    session: Session, ports: Ports, *, account_id: UUID, purpose: Purpose, code: str, channel: str, binding: str
) -> bool:
    right, challenge = await challenges.answer_code(
        session, account_id=account_id, purpose=purpose, code=code, codes=ports.codes, now=ports.clock(),
        binding=binding,
    )
    return right and challenge is not None and channel == challenge.channel


def may_be_texted(number: str) -> bool:
    """Whether an SMS may go to a number in E.164."""
    return phonenumbers.region_code_for_number(phonenumbers.parse(number, None)) in SMS_COUNTRIES


def _sendable(phone: str) -> str:
    number = normalised_phone(phone)
    if not may_be_texted(number):
        raise ChannelNotAllowed
    return number
