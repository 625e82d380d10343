"""The HTTP door to accounts."""

from fastapi import APIRouter, Response

from lotpro_identity.accounts import service
from lotpro_identity.accounts.attempts import TooManyAttempts
from lotpro_identity.accounts.domain import (
    Account,
    EmailInvalid,
    LineInvalid,
    LocaleInvalid,
    PasswordTooWeak,
    PhoneInvalid,
)
from lotpro_identity.accounts.schemas import Accepted, ConfirmEmail, Profile, ProfileChange, ResendCode, SignUp
from lotpro_identity.addresses import service as addresses
from lotpro_identity.challenges.domain import CodeInvalid
from lotpro_identity.db import as_authenticator
from lotpro_identity.organisations import service as organisations
from lotpro_identity.organisations.domain import TimeZoneUnknown
from lotpro_identity.passwords import service as passwords
from lotpro_identity.passwords.hashing import Busy
from lotpro_identity.ports import Ports
from lotpro_identity.sessions.schemas import Enrolment
from lotpro_identity.sessions.tokens import enrolment_token
from lotpro_kit import api, errors
from lotpro_kit.db import Database


def router(database: Database, ports: Ports) -> APIRouter:
    """Routes of accounts."""
    routes = APIRouter(prefix="/api/identity/v1", tags=["accounts"])

    @routes.post(
        "/accounts",
        status_code=202,
        responses=api.problems(EmailInvalid, PhoneInvalid, PasswordTooWeak, TimeZoneUnknown, TooManyAttempts, Busy),
    )
    async def sign_up(body: SignUp, caller: api.Anyone) -> Accepted:
        """Open an account with its organisation and first store; a code comes by e-mail."""
        password = body.password.get_secret_value()
        known = (body.name, body.email, body.organisation.name, body.store.name)
        await passwords.check_new(ports, password, known=known)
        hashed = await ports.passwords.hash(password)
        async with ports.levelled(), database.begin(as_authenticator(caller)) as session:
            await organisations.sign_up(
                session, caller, ports, name=body.name, email=body.email, password_hash=hashed, phone=body.phone,
                organisation=body.organisation.name, store=body.store.name, time_zone=body.store.time_zone,
            )
        return Accepted()

    @routes.post("/accounts:confirm-email", responses=api.problems(CodeInvalid, EmailInvalid, TooManyAttempts, Busy))
    async def confirm_email(body: ConfirmEmail, caller: api.Anyone) -> Enrolment:
        """Confirm the address with the mailed code and one's password; the token answered only enrols a second factor.

        A sign-up of somebody else with the same address has another password, and is thereby not confirmed.
        """
        async with database.begin(as_authenticator(caller)) as session:
            account = await service.account_to_confirm(session, caller, ports, email=body.email)
        right = await ports.passwords.verify(
            body.password.get_secret_value(), account.password_hash if account else None
        )
        async with database.begin(as_authenticator(caller)) as session:
            confirmed = await service.confirm_email(
                session, caller, ports, account=account, password_right=right, code=body.code
            )
        return Enrolment(**enrolment_token(ports, service.refuse_code(confirmed)))

    @routes.post("/codes:resend", status_code=202, responses=api.problems(EmailInvalid, TooManyAttempts))
    async def resend_code(body: ResendCode, caller: api.Anyone) -> Accepted:
        """Send the confirmation code again, as a new one; the old one ends."""
        async with ports.levelled(), database.begin(as_authenticator(caller)) as session:
            await service.resend_code(session, caller, ports, email=body.email)
        return Accepted()

    @routes.get("/accounts/me", responses=api.problems(errors.Unauthenticated))
    async def get_own_account(caller: api.Signed, response: Response) -> Profile:
        """One's own account."""
        async with database.begin(caller) as session:
            account, details = await service.get_own(session, ports, api.user_id(caller))
        response.headers.update(api.etag(account.version))
        return _profile(account, details)

    @routes.patch(
        "/accounts/me",
        responses=api.problems(
            errors.PreconditionFailed, errors.PreconditionRequired, PhoneInvalid, LineInvalid, LocaleInvalid,
            TimeZoneUnknown, api.StepUpRequired, TooManyAttempts,
        ),
    )
    async def update_own_account(
        body: ProfileChange, caller: api.Signed, expected: api.ExpectedVersion, response: Response
    ) -> Profile:
        """Correct one's own name, phone, work, language or time zone.

        Another phone wants a factor given lately; both numbers and the e-mail address are told.
        """
        account_id, changes = api.user_id(caller), body.model_dump(exclude_unset=True)
        moves = "phone" in changes
        if moves:
            api.check_stepped_up(caller, now=ports.clock().timestamp())
        async with database.begin(as_authenticator(caller) if moves else caller) as session:
            _, before = await service.get_own(session, ports, account_id)
            account, details = await service.update_own(
                session, caller, ports, account_id=account_id, expected=expected, changes=changes
            )
            if moves:
                await addresses.tell_phone_changed(
                    session, caller, ports, account_id=account_id, old=before.phone, new=details.phone
                )
        response.headers.update(api.etag(account.version))
        return _profile(account, details)

    return routes


def _profile(account: Account, details: service.Details) -> Profile:
    return Profile(
        id=account.id, name=account.name, email=account.email, phone=details.phone, job_title=details.job_title,
        department=details.department, position=details.position, locale=account.locale, time_zone=account.time_zone,
        picture=f"/api/identity/v1/accounts/{account.id}/picture" if account.picture_id else None,
    )
