"""Use cases of accounts."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from lotpro.identity.v1 import events_pb2
from lotpro_identity.accounts import attempts, repository
from lotpro_identity.accounts.domain import (
    ACTIVITY_NOTED,
    DEFAULT_LOCALE,
    NAME_MAX,
    SEALED,
    Account,
    EmailTaken,
    Status,
    checked_time_zone,
    former,
    normalised_email,
    normalised_line,
    normalised_locale,
    normalised_phone,
)
from lotpro_identity.challenges import service as challenges
from lotpro_identity.challenges.domain import CodeInvalid, Purpose
from lotpro_identity.ports import Ports
from lotpro_identity.revocations import service as revocations
from lotpro_kit import errors, ids, outbox
from lotpro_kit.caller import Caller
from lotpro_kit.db import Reader, Session

PHONE = "accounts.phone"
#: The columns of `Account` for an `account_id`, or for a normalised `email`, for whoever asks for them together with
#: something else.
OF_ID, OF_EMAIL = repository.OF_ID, repository.OF_EMAIL


@dataclass(frozen=True, slots=True)
class Details:
    """What of an account is encrypted, opened."""

    phone: str | None
    job_title: str | None
    department: str | None
    position: str | None


async def read(reader: Reader, account_id: UUID) -> Account | None:
    """The account with an id, in one round trip: for what is asked at every sign-in."""
    return await repository.read_by_id(reader, account_id)


async def find_by_email(session: Session, email: str) -> Account | None:
    """The account with a normalised address."""
    return await repository.by_email(session, email)


async def find(session: Session, account_id: UUID) -> Account | None:
    """The account with an id."""
    return await repository.by_id(session, account_id)


async def find_many(session: Session, account_ids: set[UUID]) -> dict[UUID, Account]:
    """The accounts with these ids, those there are."""
    return {account.id: account for account in await repository.by_ids(session, account_ids)}


async def set_password(
    session: Session, account_id: UUID, password_hash: str, *, mailed_at: datetime | None = None
) -> None:
    """Store the hash of a new password; what made one necessary is over. `mailed_at`: when a mailed link set it."""
    values: dict[str, object] = {
        "password_hash": password_hash, "reset_required_at": None, "password_mailed_at": mailed_at,
    }
    await repository.change_fields(session, account_id, values)


async def note_other_means(session: Session, account: Account) -> None:
    """Besides what came by mail the person has shown something else."""
    if account.password_mailed_at is not None:
        await repository.change_fields(session, account.id, {"password_mailed_at": None})


async def rehash(session: Session, account_id: UUID, password_hash: str) -> None:
    """Store a newer hash of the same password."""
    await repository.change_fields(session, account_id, {"password_hash": password_hash})


async def rename(session: Session, account_id: UUID, name: str) -> None:
    """Call a person something else, as the directory that made the account does."""
    await repository.change_fields(session, account_id, {"name": name})


async def require_reset(session: Session, account_id: UUID, *, now: datetime) -> None:
    """Let the password open nothing until a new one is set."""
    await repository.change_fields(session, account_id, {"reset_required_at": now})


async def set_email(session: Session, account_id: UUID, email: str) -> None:
    """Store another address; it is normalised and has been confirmed. Raises EmailTaken."""
    try:
        async with session.begin_nested():
            await repository.change_fields(session, account_id, {"email": email})
    except IntegrityError as error:
        raise EmailTaken from error


async def change_access(session: Session, account_id: UUID, *, now: datetime) -> None:
    """What the person may do has changed: access tokens made before this transaction commits are taken back."""
    version = await repository.raise_access_version(session, account_id)
    if version is not None:
        await revocations.revoke_access(session, account_id, version=version, now=now)


async def note_activity(session: Session, account_id: UUID, *, noted: datetime, now: datetime) -> None:
    """The person is here; written when what was `noted` is an hour old, so it is behind by that much at most."""
    if now - noted >= ACTIVITY_NOTED:
        await repository.note_activity(session, account_id, now=now)


async def lock(session: Session, account_ids: set[UUID]) -> dict[UUID, Account]:
    """The accounts as they are now; nobody else changes them before this transaction ends."""
    return await repository.lock(session, account_ids)


async def list_inactive(
    session: Session, *, since: datetime, until: datetime | None = None, after: UUID | None, limit: int
) -> list[Account]:
    """A batch, by id, of active accounts that were last used at `since` or before, and later than `until`."""
    return await repository.inactive(session, since=since, until=until, after=after, limit=limit)


async def list_to_delete(session: Session, *, by: datetime, after: UUID | None, limit: int) -> list[Account]:
    """A batch, by id, of closing accounts whose time has come."""
    return await repository.to_delete(session, by=by, after=after, limit=limit)


async def begin_closing(session: Session, account_id: UUID, *, delete_after: datetime) -> None:
    """The account can no longer be used, and is deleted from that moment on."""
    await repository.set_life(session, account_id, {"status": Status.CLOSING, "delete_after": delete_after})


async def reopen(session: Session, account_id: UUID, *, now: datetime) -> None:
    """A closing account is in use again."""
    values: dict[str, object] = {"status": Status.ACTIVE, "delete_after": None, "last_active_at": now}
    await repository.set_life(session, account_id, values)


async def end(session: Session, ports: Ports, account_id: UUID, *, status: Status, now: datetime) -> None:
    """Take the person out of the account for good and destroy their key: what it encrypted is lost in every copy."""
    values: dict[str, object] = {"status": status, "delete_after": None, "ended_at": now}
    await repository.set_life(session, account_id, former(account_id) | values)
    await ports.keyring.destroy(session, account_id)


async def add_account(
    session: Session,
    ports: Ports,
    *,
    name: str,
    email: str,
    password_hash: str,
    phone: str | None,
    confirmed_at: datetime | None,
) -> Account:
    """Store a new account; the phone number is encrypted under the person's own key."""
    account_id, now = ids.new(), ports.clock()
    key = await ports.keyring.for_subject(session, account_id)
    account = Account(
        id=account_id, email=email, name=name, phone=key.encrypt(phone, context=PHONE) if phone else None,
        locale=DEFAULT_LOCALE, password_hash=password_hash, email_confirmed_at=confirmed_at, created_at=now,
        version=1, access_version=1, status=Status.ACTIVE, last_active_at=now, delete_after=None,
    )
    await repository.add(session, account)
    return account


async def add_without_password(session: Session, ports: Ports, *, name: str, email: str) -> Account:
    """Store a new account of a confirmed address; no password opens it until a reset sets one. Raises EmailTaken.

    Its hash is as slow to check as any other, so that a sign-in does not tell that there is no password.
    """
    try:
        async with session.begin_nested():
            return await add_account(
                session, ports, name=name, email=email, password_hash=ports.passwords.dummy, phone=None,
                confirmed_at=ports.clock(),
            )
    except IntegrityError as error:
        raise EmailTaken from error


async def sign_up_again(
    session: Session, ports: Ports, account_id: UUID, *, name: str, password_hash: str, phone: str | None
) -> None:
    """Put what the last sign-up said in place of what the one before did; neither has shown whose the address is."""
    key = await ports.keyring.for_subject(session, account_id)
    values: dict[str, object] = {
        "name": name, "password_hash": password_hash, "phone": key.encrypt(phone, context=PHONE) if phone else None,
    }
    await repository.change_fields(session, account_id, values)


async def mark_confirmed(session: Session, account_id: UUID, *, now: datetime) -> None:
    """The address is theirs, as was shown: by mailbox and password, by an invitation, or by who owns the domain."""
    await repository.confirm_email(session, account_id, now=now)
    await outbox.put(session, events_pb2.EmailConfirmed(user_id=str(account_id)))


async def account_to_confirm(session: Session, caller: Caller, ports: Ports, *, email: str) -> Account | None:
    """Whose address somebody is about to confirm, if anybody's; counts the try, which is to be committed first."""
    address = normalised_email(email)
    await attempts.reserve(session, "code", account=address, ip=caller.origin.ip, now=ports.clock())
    return await repository.by_email(session, address)


async def confirm_email(
    session: Session, caller: Caller, ports: Ports, *, account: Account | None, password_right: bool, code: str
) -> Account | None:
    """The account, when the code is right and the password was; else None. Commit in both cases, for the try counts.

    By the mailbox alone a person would confirm what somebody else has signed up with their address, and that one's
    password. A password that another sign-up has replaced since it was looked at is wrong. Nor does a password open
    anything of an account that was locked.
    """
    now = ports.clock()
    locked = (await repository.lock(session, {account.id})).get(account.id) if account is not None else None
    if account is None or locked is None or not locked.is_active:
        return None
    right, challenge = await challenges.answer_code(
        session, account_id=account.id, purpose=Purpose.CONFIRM_EMAIL, code=code, codes=ports.codes, now=now,
        besides=password_right and locked.password_hash == account.password_hash and locked.reset_required_at is None,
    )
    await ports.security_log.record(
        session, caller, "identity:email:confirm", at=now, success=right, actor_id=account.id,
        org_id=challenge.org_id if challenge else None, subject=("user", account.id),
    )
    if not right:
        return None
    if locked.email_confirmed_at is None:
        await mark_confirmed(session, account.id, now=now)
    return locked


async def resend_code(session: Session, caller: Caller, ports: Ports, *, email: str) -> None:
    """Send a new code to somebody who has not confirmed the address yet; for anybody else nothing happens."""
    now = ports.clock()
    address = normalised_email(email)
    await attempts.reserve(session, "resend", account=address, ip=caller.origin.ip, now=now)
    account = await repository.by_email(session, address)
    if account is not None and account.is_unproven:
        await challenges.open_challenge(
            session, purpose=Purpose.CONFIRM_EMAIL, account_id=account.id, org_id=None, now=now
        )


async def get_own(session: Session, ports: Ports, account_id: UUID) -> tuple[Account, Details]:
    """One's own account with its details; raises NotFound."""
    account = await repository.by_id(session, account_id)
    if account is None:
        raise errors.NotFound
    return account, await details_of(session, ports, account)


async def details_of(session: Session, ports: Ports, account: Account) -> Details:
    """An account's encrypted values."""
    sealed = {name: getattr(account, name) for name in Details.__slots__}
    if not any(sealed.values()):
        return Details(phone=None, job_title=None, department=None, position=None)
    key = await ports.keyring.existing(session, account.id)
    return Details(
        **{name: key.decrypt(value, context=f"accounts.{name}") if value else None for name, value in sealed.items()}
    )


async def phone_of(session: Session, ports: Ports, account: Account) -> str | None:
    """An account's phone number."""
    if account.phone is None:
        return None
    key = await ports.keyring.existing(session, account.id)
    return key.decrypt(account.phone, context=PHONE)


async def update_own(
    session: Session, caller: Caller, ports: Ports, *, account_id: UUID, expected: int, changes: dict[str, str | None]
) -> tuple[Account, Details]:
    """Change one's own profile: what is None is cleared, what is not there stays.

    Raises PreconditionFailed when it was changed meanwhile, and PhoneInvalid, LineInvalid, LocaleInvalid or
    TimeZoneUnknown.
    """
    values = _open_values(changes)
    sealed = _sealed_values(changes)
    if sealed:
        key = await ports.keyring.for_subject(session, account_id)
        for name, text in sealed.items():
            values[name] = key.encrypt(text, context=f"accounts.{name}") if text else None
    account = await change_profile(
        session, caller, ports, account_id=account_id, expected=expected, values=values
    )
    return account, await details_of(session, ports, account)


async def change_profile(
    session: Session, caller: Caller, ports: Ports, *, account_id: UUID, expected: int, values: dict[str, object]
) -> Account:
    """Store values of a profile as they are and say that it changed; raises PreconditionFailed."""
    account = await repository.change(session, account_id, expected=expected, values=values)
    if account is None or not account.is_active:
        raise errors.PreconditionFailed
    await outbox.put(session, events_pb2.AccountUpdated(user_id=str(account_id), version=account.version))
    await ports.security_log.record(
        session, caller, "identity:account:update", at=ports.clock(), subject=("user", account_id),
        changed=tuple(sorted(values)),
    )
    return account


def _open_values(changes: dict[str, str | None]) -> dict[str, object]:
    """The changes that are stored as they are."""
    values: dict[str, object] = {}
    if "name" in changes:
        values["name"] = normalised_line(changes["name"] or "", field="name", longest=NAME_MAX)
    if "locale" in changes:
        locale = changes["locale"]
        values["locale"] = DEFAULT_LOCALE if locale is None else normalised_locale(locale)
    if "time_zone" in changes:
        zone = changes["time_zone"]
        values["time_zone"] = None if zone is None else checked_time_zone(zone)
    return values


def _sealed_values(changes: dict[str, str | None]) -> dict[str, str | None]:
    """The changes that are stored encrypted; an empty text clears like None."""
    texts = {name: text and normalised_line(text, field=name) for name, text in changes.items() if name in SEALED}
    if "phone" in changes:
        phone = changes["phone"]
        texts["phone"] = phone and normalised_phone(phone)
    return texts


def refuse_code(account: Account | None) -> Account:
    """The account, or CodeInvalid where there is none; the way out is the same whoever else signed up meanwhile."""
    if account is None:
        raise CodeInvalid("Code or password is wrong. Ask for a new code; if that does not help, sign up again.")
    return account
