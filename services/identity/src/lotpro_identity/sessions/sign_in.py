"""Signing in, step by step. Every try is counted in a transaction of its own before it is judged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from lotpro_identity.accounts import attempts
from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.domain import Account, normalised_email
from lotpro_identity.alerts import service as alerts
from lotpro_identity.alerts.domain import Topic
from lotpro_identity.challenges import service as challenges
from lotpro_identity.challenges.domain import Purpose
from lotpro_identity.db import as_authenticator
from lotpro_identity.devices import service as devices
from lotpro_identity.factors import codes, passkeys
from lotpro_identity.factors import service as factors
from lotpro_identity.factors.domain import AMR, RECOVERY_AMR, Kind
from lotpro_identity.organisations import service as organisations
from lotpro_identity.ports import Ports
from lotpro_identity.risk import domain as risk
from lotpro_identity.sessions import service
from lotpro_identity.sessions.domain import CredentialsInvalid
from lotpro_identity.sessions.schemas import PasskeyProof, SignIn
from lotpro_identity.sessions.tokens import Opened, first_method, password_mark, read_ticket
from lotpro_kit.caller import Caller
from lotpro_kit.db import Database, Query, Session, together

#: How many wrong second factors after a right password are worth telling the owner: the password is known.
FATIGUE = 3
#: Whose `email` it is said to be, and with what they can go on once the password is right.
_CLAIMED = Query(together(account=accounts.OF_EMAIL, kinds=factors.KINDS_OF_EMAIL))


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody whose password was right, and the trusted device they are at."""

    account: Account
    #: With which second factors they can go on; none: they have to enrol one first.
    kinds: list[str]
    device_id: UUID | None = None
    #: The organisation whose provider vouched for them in the first step, instead of a password.
    federated: UUID | None = None
    #: The ticket it was shown by, when this is the second step.
    ticket: str = ""


class SigningIn:
    """The steps of a sign-in for one caller."""

    def __init__(self, database: Database, ports: Ports, caller: Caller) -> None:
        self._database, self._ports, self._caller = database, ports, as_authenticator(caller)
        self._ip = caller.origin.ip

    async def by_password(self, *, email: str, password: str, device_token: str | None) -> Known:
        """Whose password it is; raises CredentialsInvalid, TooManyAttempts and Busy.

        Unknown, unconfirmed and locked accounts are as slow, and refused in the same words.
        """
        address = normalised_email(email)
        with self._ports.passwords.admitted():
            return await self._by_password(address, password, device_token)

    async def _by_password(self, address: str, password: str, device_token: str | None) -> Known:
        ports = self._ports
        reader = self._database.reader(self._caller)
        [claimed] = await reader.all(_CLAIMED, email=address)
        account = next((Account(*row) for row in claimed.account), None)
        device = await self._device(account, device_token)
        tries = attempts.limits_of("password", account=address, ip=self._ip, device=device)
        await attempts.reserve_alone(self._database, tries, now=ports.clock())
        right = await ports.passwords.verify(password, account.password_hash if account else None)
        if account is None or not right or not account.may_sign_in:
            await self._record_failure(account.id if account else None, "password", tried=address)
            raise CredentialsInvalid
        if ports.passwords.is_outdated(account.password_hash):
            fresh = await ports.passwords.hash(password)
            async with self._database.begin(self._caller) as session:
                await accounts.rehash(session, account.id, fresh)
            account = replace(account, password_hash=fresh)
        kinds = await factors.read_usable(reader, account.id, claimed.kinds)
        return Known(account, [kind for kind in kinds if not _is_same_means(account, kind)], device)

    async def by_ticket(self, text: str) -> Known:
        """Whose password was right at the step before, and still is theirs and opens something.

        Raises CredentialsInvalid.
        """
        ticket = read_ticket(self._ports, text)
        if ticket is None:
            raise CredentialsInvalid
        account = await accounts.read(self._database.reader(self._caller), ticket.account_id)
        if account is None or not account.may_sign_in or password_mark(account) != ticket.password:
            raise CredentialsInvalid
        return Known(account, [], ticket.device_id, ticket.federated, text)

    async def _device(self, account: Account | None, token: str | None) -> UUID | None:
        if account is None or not token:
            return None
        async with self._database.begin(self._caller) as session:
            return await devices.recognise(session, account_id=account.id, token=token, now=self._ports.clock())

    async def by_device(self, known: Known, *, stays: bool = False) -> Opened | None:
        """A session without a second factor on a trusted device, unless something about it is unusual."""
        if known.device_id is None:
            return None
        async with self._database.begin(self._caller) as session:
            found = risk.signals(await service.seen(session, self._caller, self._ports, account=known.account))
            if risk.score(found) >= risk.HIGH:
                return None
            return await service.open_session(
                session, self._caller, self._ports, account=known.account, amr=("pwd", "dev"),
                factor="trusted_device", aal="aal1", stays=stays, tries=self._password_tries(known),
            )

    async def ask_to_confirm(self, known: Known) -> None:
        """Mail a code to somebody who has no second factor yet; raises TooManyAttempts.

        A password alone enrols none: whoever got to know it would own the account from then on.
        """
        account_id, now = known.account.id, self._ports.clock()
        async with self._database.begin(self._caller) as session:
            org_id = await organisations.home_of(session, account_id)
            await attempts.reserve_send(
                session, account=str(account_id), org=str(org_id or ""), ip=self._ip, number="", now=now
            )
            await challenges.open_challenge(
                session, purpose=Purpose.CONFIRM_EMAIL, account_id=account_id, org_id=org_id, now=now
            )

    async def send_code(self, known: Known, kind: Kind) -> None:
        """Send a code for the second step; raises TooManyAttempts."""
        account_id = known.account.id
        if known.federated is None and _is_same_means(known.account, kind):
            return
        async with self._database.begin(self._caller) as session:
            org_id = await organisations.home_of(session, account_id)
            await codes.send(
                session, self._caller, self._ports, account_id=account_id, org_id=org_id, kind=kind,
                ticket=known.ticket,
            )

    async def by_factor(self, known: Known, body: SignIn, *, trust: bool) -> Opened | Account:
        """A session for the right second factor; raises CredentialsInvalid and TooManyAttempts.

        On a trusted device only its own tries count, as with passwords: who knows the password, too, locks nobody out.
        Answers the account alone for a factor that its organisation does not allow: a better one is to be enrolled.
        """
        name, account_id = body.factor, known.account.id
        await self._reserve_factor(account_id, known.device_id)
        opened: Opened | Account | None = None
        async with self._database.begin(self._caller) as session:
            if await self._is_usable(session, known, name) and await self._is_right(session, known, body):
                opened = await self._proven(session, known, name, trust=trust, stays=body.stay_signed_in)
            else:
                await service.record_failure(
                    session, self._caller, self._ports, account_id=account_id, factor=name
                )
                if known.device_id is None:
                    await self._tell_of_fatigue(session, account_id)
        if opened is None:
            raise CredentialsInvalid
        return opened

    async def by_passkey(self, proof: PasskeyProof, *, trust: bool, stays: bool = False) -> Opened:
        """A session for a passkey alone, which verified its user: two factors in one. Raises CredentialsInvalid."""
        ports = self._ports
        async with self._database.begin(self._caller) as session:
            await attempts.reserve_address(session, "passkey", ip=self._ip, now=ports.clock())
        opened = None
        async with self._database.begin(self._caller) as session:
            account_id = await passkeys.finish_proof(
                session, ports, ceremony_id=proof.ceremony_id, credential=proof.credential, account_id=None
            )
            account = await accounts.find(session, account_id) if account_id else None
            if account is not None and account.may_sign_in:
                opened = await self._open(session, account, Kind.PASSKEY, trust=trust, stays=stays, alone=True)
            else:
                await service.record_failure(
                    session, self._caller, ports, account_id=account_id, factor=Kind.PASSKEY
                )
        if opened is None:
            raise CredentialsInvalid
        return opened

    async def step_up(self, account_id: UUID, *, totp: str | None, passkey: PasskeyProof | None) -> Opened:
        """Renewed tokens for a strong factor given again; raises CredentialsInvalid and TooManyAttempts."""
        kind = Kind.TOTP if totp is not None else Kind.PASSKEY
        await self._reserve_factor(account_id)
        opened = None
        async with self._database.begin(self._caller) as session:
            if await self._is_strong(session, account_id, totp=totp, passkey=passkey):
                await attempts.forgive(session, self._factor_tries(account_id))
                opened = await service.step_up(session, self._caller, self._ports, amr=AMR[kind], factor=kind)
            else:
                await service.record_failure(
                    session, self._caller, self._ports, account_id=account_id, factor=kind
                )
        if opened is None:
            raise CredentialsInvalid
        return opened

    async def _reserve_factor(self, account_id: UUID, device: UUID | None = None) -> None:
        tries = self._factor_tries(account_id, device)
        await attempts.reserve_alone(self._database, tries, now=self._ports.clock())

    def _factor_tries(self, account_id: UUID, device: UUID | None = None) -> list[attempts.Limit]:
        return attempts.limits_of("factor", account=str(account_id), ip=self._ip, device=device)

    def _password_tries(self, known: Known) -> list[attempts.Limit]:
        return attempts.limits_of("password", account=known.account.email, ip=self._ip, device=known.device_id)

    async def _proven(
        self, session: Session, known: Known, name: str, *, trust: bool, stays: bool
    ) -> Opened | Account:
        if not await factors.is_enough(session, known.account.id, factor=name):
            return known.account
        return await self._open(
            session, known.account, name, trust=trust, stays=stays, federated=known.federated,
            tries=[*self._password_tries(known), *self._factor_tries(known.account.id, known.device_id)],
        )

    async def _is_usable(self, session: Session, known: Known, name: str) -> bool:
        if known.federated is None and _is_same_means(known.account, name):
            return False
        return name not in (Kind.SMS, Kind.EMAIL) or name in await factors.kinds_of(session, known.account.id)

    async def _is_right(self, session: Session, known: Known, body: SignIn) -> bool:
        account_id = known.account.id
        if body.recovery_code is not None:
            return await factors.use_recovery_code(
                session, self._ports, account_id=account_id, code=body.recovery_code
            )
        for kind, code in ((Kind.SMS, body.sms_code), (Kind.EMAIL, body.email_code)):
            if code is not None:
                return await codes.use(
                    session, self._ports, account_id=account_id, kind=kind, code=code, ticket=known.ticket
                )
        return await self._is_strong(session, account_id, totp=body.totp, passkey=body.passkey)

    async def _is_strong(
        self, session: Session, account_id: UUID, *, totp: str | None, passkey: PasskeyProof | None
    ) -> bool:
        if totp is not None:
            return await factors.use_totp(session, self._ports, account_id=account_id, code=totp)
        if passkey is None:
            return False
        owner = await passkeys.finish_proof(
            session, self._ports, ceremony_id=passkey.ceremony_id, credential=passkey.credential,
            account_id=account_id,
        )
        return owner is not None

    async def _open(
        self, session: Session, account: Account, factor: str, *, trust: bool, stays: bool, alone: bool = False,
        federated: UUID | None = None, tries: Sequence[attempts.Limit] = (),
    ) -> Opened:
        given = RECOVERY_AMR if factor == "recovery_code" else AMR[Kind(factor)]
        return await service.open_session(
            session, self._caller, self._ports, account=account, factor=factor, trust=trust, stays=stays,
            amr=(given, "user") if alone else (*first_method(federated), given), org_id=federated, tries=tries,
        )

    async def _tell_of_fatigue(self, session: Session, account_id: UUID) -> None:
        """Whoever fails here knows the password: the owner and the security log hear of it once a window.

        Failures are counted by themselves and one after the other, so that none at once with others is overlooked.
        """
        now = self._ports.clock()
        if await attempts.count(session, "fatigue", str(account_id), now=now) != FATIGUE:
            return
        org_id = await organisations.home_of(session, account_id)
        await alerts.tell(session, self._ports, Topic.PASSWORD_KNOWN, account_id=account_id, org_id=org_id)
        await self._ports.security_log.record(
            session, self._caller, "identity:session:suspicious", at=now, success=False, actor_id=account_id,
            org_id=org_id, subject=("user", account_id), changed=(risk.Signal.FACTOR_FATIGUE,),
        )

    async def _record_failure(self, account_id: UUID | None, factor: str, *, tried: str) -> None:
        async with self._database.begin(self._caller) as session:
            await service.record_failure(
                session, self._caller, self._ports, account_id=account_id, factor=factor, tried=tried
            )


def _is_same_means(account: Account, kind: str) -> bool:
    """Whether a factor shows no more than the password did: a code from the mailbox that the password was set from."""
    return kind == Kind.EMAIL and account.password_mailed_at is not None
