"""Signing in with an organisation's own provider. A session that begins here stays in that organisation."""

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from lotpro_identity.accounts import attempts
from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.domain import Account, EmailInvalid, EmailTaken, normalised_email
from lotpro_identity.clients.oidc import Client, CodeRefused, Metadata, Providers, ProviderUnavailable, Unsigned
from lotpro_identity.db import as_authenticator
from lotpro_identity.factors import service as factors
from lotpro_identity.federation import domain, repository
from lotpro_identity.federation.domain import Subject
from lotpro_identity.federation.service import CLIENT_SECRET, is_verified
from lotpro_identity.organisations import service as organisations
from lotpro_identity.organisations.domain import Role
from lotpro_identity.ports import Ports
from lotpro_identity.sessions import service as sessions
from lotpro_identity.sessions.tokens import Opened
from lotpro_kit import errors
from lotpro_kit.caller import Caller
from lotpro_kit.db import Database, Session

FACTOR = "sso"
VERIFIER = "sso_states.verifier"
#: When somebody proved who they are whose provider does not say: too long ago for a step-up.
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in on its way: where the browser goes, and what its cookie holds."""

    url: str
    browser_token: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """A sign-in that came back: a session, or an account that needs a factor of its own (`kinds`; none: enrol one)."""

    account: Account
    org_id: UUID
    transport: str
    opened: Opened | None
    kinds: list[str]


@dataclass(frozen=True, slots=True)
class _Expected:
    """What a state was kept for."""

    org_id: UUID
    issuer: str
    nonce_digest: bytes
    verifier: str
    transport: str


class SigningInBySso:
    """The two steps for one caller."""

    def __init__(
        self, database: Database, ports: Ports, providers: Providers, caller: Caller, *, redirect_uri: str
    ) -> None:
        self._database, self._ports, self._providers = database, ports, providers
        self._caller, self._redirect_uri = as_authenticator(caller), redirect_uri

    async def begin(
        self, *, email: str | None, org_id: UUID | None, transport: str, fresh: bool
    ) -> Begun:
        """Where to go; raises SsoNotAvailable, SsoProviderUnavailable, EmailInvalid and TooManyAttempts.

        Only the address's domain is looked at, so nothing is learnt about accounts.
        """
        now = self._ports.clock()
        address = normalised_email(email) if email is not None else ""
        async with self._database.begin(self._caller) as session:
            await attempts.reserve_address(session, FACTOR, ip=self._caller.origin.ip, now=now)
            if address:
                org_id = await repository.organisation_of(session, address.rpartition("@")[2])
            row = await repository.federation(session, org_id) if org_id else None
        if row is None:
            raise domain.SsoNotAvailable
        metadata = await self._metadata(row.issuer)
        state, nonce, browser_token = (secrets.token_urlsafe(32) for _ in range(3))
        verifier = secrets.token_urlsafe(48)
        async with self._database.begin(self._caller) as session:
            await repository.add_state(
                session,
                {
                    "digest": domain.digest(state), "org_id": row.org_id, "issuer": row.issuer,
                    "browser_digest": domain.digest(browser_token), "nonce_digest": domain.digest(nonce),
                    "verifier": self._ports.keyring.wrap(verifier.encode(), context=VERIFIER),
                    "transport": transport, "expires_at": now + domain.STATE_LIFETIME,
                },
            )
        # The secret is not needed on the way there.
        client = Client(row.client_id, "", self._redirect_uri)
        url = self._providers.authorization_url(
            metadata, client, state=state, nonce=nonce, verifier=verifier, fresh=fresh, hint=address
        )
        return Begun(url, browser_token)

    async def finish(
        self, *, state: str, browser_token: str, code: str | None, issuer: str | None
    ) -> Arrived:
        """Who came back, and their session if the provider's word is enough.

        Raises SsoStateInvalid, SsoIssuerMismatch, SsoRefused, SsoProviderUnavailable, the refusals of the ID token,
        SsoEmailUnverified, SsoNotMember, SsoFactorMissing and TooManyAttempts. Each is written to the security log.
        """
        now = self._ports.clock()
        async with self._database.begin(self._caller) as session:
            await attempts.reserve_address(session, FACTOR, ip=self._caller.origin.ip, now=now)
        expected = await self._expected(state, browser_token)
        try:
            row, metadata, client = await self._provider(expected)
            if (issuer is not None or metadata.names_itself) and issuer != metadata.issuer:
                raise domain.SsoIssuerMismatch
            if not code:
                raise domain.SsoRefused
            subject = await self._subject(expected, metadata, client, code)
            async with self._database.begin(self._caller) as session:
                return await self._arrive(session, row, subject, expected.transport)
        except errors.Error as error:
            await self._record_failure(expected.org_id)
            if isinstance(error, EmailTaken):
                raise domain.SsoNotMember from error
            raise

    async def _expected(self, state: str, browser_token: str) -> _Expected:
        """What the state was kept for, which it is not any more; raises SsoStateInvalid."""
        async with self._database.begin(self._caller) as session:
            row = await repository.use_state(session, domain.digest(state))
        if row is None:
            # Anybody can make states up: the log says nothing about them.
            raise domain.SsoStateInvalid
        same = hmac.compare_digest(domain.digest(browser_token), row.browser_digest)
        if not same or row.expires_at <= self._ports.clock():
            await self._record_failure(row.org_id)
            raise domain.SsoStateInvalid
        verifier = self._ports.keyring.unwrap(row.verifier, context=VERIFIER).decode()
        return _Expected(row.org_id, row.issuer, row.nonce_digest, verifier, row.transport)

    async def _provider(self, expected: _Expected) -> tuple[Any, Metadata, Client]:
        """The provider that was asked, as it is configured now."""
        async with self._database.begin(self._caller) as session:
            row = await repository.federation(session, expected.org_id)
            if row is None or row.issuer != expected.issuer:
                raise domain.SsoStateInvalid
            key = await self._ports.keyring.existing(session, expected.org_id)
        client = Client(row.client_id, key.decrypt(row.client_secret, context=CLIENT_SECRET), self._redirect_uri)
        return row, await self._metadata(row.issuer), client

    async def _metadata(self, issuer: str) -> Metadata:
        try:
            return await self._providers.metadata(issuer)
        except ProviderUnavailable as error:
            raise domain.SsoProviderUnavailable from error

    async def _subject(self, expected: _Expected, metadata: Metadata, client: Client, code: str) -> Subject:
        try:
            token = await self._providers.exchange(metadata, client, code=code, verifier=expected.verifier)
            header, claims = await self._providers.signed(metadata, token)
        except ProviderUnavailable as error:
            raise domain.SsoProviderUnavailable from error
        except CodeRefused as error:
            raise domain.SsoRefused from error
        except Unsigned as error:
            raise domain.IdTokenForged from error
        return domain.read_id_token(
            header, claims, issuer=metadata.issuer, client_id=client.client_id, nonce_digest=expected.nonce_digest,
            now=self._ports.clock(),
        )

    async def _arrive(self, session: Session, row: Any, subject: Subject, transport: str) -> Arrived:
        await repository.hold_subject(session, row.issuer, subject.subject)
        account = await self._account(session, row, subject)
        if not account.is_active or account.email_confirmed_at is None:
            raise domain.SsoNotMember
        memberships = await organisations.memberships_of(session, account.id)
        at_home = {membership.org_id for membership in memberships if membership.suspended_at is None}
        if row.org_id not in at_home:
            # Taken out since, by hand or by the directory; signing in does not bring anybody back.
            raise domain.SsoNotMember
        kinds = await factors.kinds_of(session, account.id)
        if len(at_home) > 1:
            # Other organisations trust this account; one organisation's provider cannot vouch for it alone.
            if not kinds:
                raise domain.SsoFactorMissing
        elif row.honour_mfa and subject.has_second_factor(row.mfa_acr_values.split()):
            opened = await sessions.open_session(
                session, self._caller, self._ports, account=account, org_id=row.org_id, amr=("fed", "mfa"),
                factor=FACTOR, authenticated_at=subject.authenticated_at or _LONG_AGO,
            )
            return Arrived(account, row.org_id, transport, opened, kinds)
        return Arrived(account, row.org_id, transport, None, kinds)

    async def _account(self, session: Session, row: Any, subject: Subject) -> Account:
        """Whose subject it is; a newcomer's is linked, or made."""
        now, ours = self._ports.clock(), {"org_id": row.org_id, "issuer": row.issuer}
        known = await repository.identity(session, **ours, subject=subject.subject)
        if known is not None:
            await repository.note_use(session, known.id, now=now)
            account = await accounts.find(session, known.account_id)
            if account is None:
                raise domain.SsoNotMember
            return account
        account = await self._newcomer(session, row, subject)
        if await repository.identity_of(session, **ours, account_id=account.id) is not None:
            # The address was given to somebody else at the provider: that is another person.
            raise domain.SsoNotMember
        await repository.link(session, **ours, subject=subject.subject, account_id=account.id, now=now)
        await self._ports.security_log.record(
            session, self._caller, "identity:federation:link", at=now, org_id=row.org_id, actor_id=account.id,
            subject=("user", account.id),
        )
        return account

    async def _newcomer(self, session: Session, row: Any, subject: Subject) -> Account:
        """A member with the address, or a new account; both only in a domain that the organisation has proven."""
        try:
            address = normalised_email(subject.email)
        except EmailInvalid as error:
            raise domain.SsoEmailUnverified from error
        proven = await is_verified(session, org_id=row.org_id, email=address)
        if not proven:
            raise domain.SsoNotMember if subject.email_verified else domain.SsoEmailUnverified
        account = await accounts.find_by_email(session, address)
        if account is not None:
            # Whether they are a member is asked by whoever called; an outsider is not linked by the address alone.
            memberships = await organisations.memberships_of(session, account.id)
            if all(membership.org_id != row.org_id for membership in memberships):
                raise domain.SsoNotMember
            return account
        if row.jit_role is None:
            raise domain.SsoNotMember
        account = await accounts.add_without_password(
            session, self._ports, name=subject.name or address.partition("@")[0], email=address
        )
        await organisations.admit(
            session, self._caller, self._ports, org_id=row.org_id, store_id=row.jit_store_id,
            role=Role(row.jit_role), account_id=account.id,
        )
        # As it is now: becoming a member has taken back what was given before.
        return (await accounts.lock(session, {account.id}))[account.id]

    async def _record_failure(self, org_id: UUID) -> None:
        async with self._database.begin(self._caller) as session:
            await self._ports.security_log.record(
                session, self._caller, "identity:session:create", at=self._ports.clock(), success=False,
                org_id=org_id, factor=FACTOR,
            )
