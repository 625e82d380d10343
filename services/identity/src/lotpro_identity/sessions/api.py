"""The HTTP door to sessions: sign in, refresh, list, sign out."""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, Request, Response

from lotpro_identity.accounts import attempts
from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.attempts import TooManyAttempts
from lotpro_identity.accounts.domain import Account, EmailInvalid, normalised_email
from lotpro_identity.accounts.passwords import Busy
from lotpro_identity.db import as_authenticator
from lotpro_identity.factors import service as factors
from lotpro_identity.ports import Ports
from lotpro_identity.sessions import service
from lotpro_identity.sessions.domain import CredentialsInvalid, SessionOver
from lotpro_identity.sessions.schemas import (
    CurrentSession,
    Ended,
    Refresh,
    SessionAnswer,
    Sessions,
    SignedIn,
    SignIn,
    StepUp,
)
from lotpro_identity.sessions.tokens import (
    REFRESH_COOKIE,
    Opened,
    SteppedUp,
    Tokens,
    account_of_ticket,
    deliver,
    deliver_access,
    enrolment_token,
    forget_cookies,
    ticket,
)
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.db import Database


def router(database: Database, ports: Ports) -> APIRouter:
    """Routes of sessions."""
    routes = APIRouter(prefix="/api/identity/v1", tags=["sessions"])

    @routes.post(
        "/sessions", responses=api.problems(CredentialsInvalid, EmailInvalid, TooManyAttempts, Busy)
    )
    async def sign_in(body: SignIn, caller: api.Anyone, response: Response) -> SignedIn:
        """Sign in with password and second factor, in one step or two."""
        if body.ticket is not None:
            account_id = account_of_ticket(ports, body.ticket)
            if account_id is None:
                raise CredentialsInvalid
        else:
            account = await _by_password(database, ports, caller, body)
            account_id = account.id
            async with database.begin(as_authenticator(caller)) as session:
                enrolled = await factors.is_enrolled(session, account_id)
            if not enrolled:
                return SignedIn(
                    status="enrolment_required", token_type="Bearer",  # noqa: S106 - the scheme
                    **enrolment_token(ports, account),
                )
        if body.totp is None and body.recovery_code is None:
            return SignedIn(
                status="factor_required", ticket=ticket(ports, account_id), factors=["totp", "recovery_code"]
            )
        opened = await _by_factor(database, ports, caller, account_id, body)
        return SignedIn(**deliver(response, opened, body.transport).model_dump())

    @routes.post("/sessions:refresh", responses=api.problems(SessionOver))
    async def refresh_session(body: Refresh, request: Request, caller: api.Anyone, response: Response) -> Tokens:
        """New tokens for the refresh token, which is used up; using it again later ends the session."""
        given = body.refresh_token or request.cookies.get(REFRESH_COOKIE)
        if not given:
            raise SessionOver
        async with database.begin(as_authenticator(caller)) as session:
            opened = await service.refresh(session, caller, ports, refresh_token=given)
        if opened is None:
            raise SessionOver
        return deliver(response, opened, body.transport)

    @routes.post(
        "/sessions:step-up", responses=api.problems(CredentialsInvalid, SessionOver, TooManyAttempts)
    )
    async def step_up(body: StepUp, caller: api.Signed, response: Response) -> SteppedUp:
        """Give the second factor again, which sensitive acts want; the session's access token is renewed."""
        account_id = api.user_id(caller)
        who, ip = str(account_id), caller.origin.ip
        async with database.begin(as_authenticator(caller)) as session:
            await attempts.reserve(session, "factor", account=who, ip=ip, now=ports.clock())
        token = None
        async with database.begin(as_authenticator(caller)) as session:
            if await factors.use_totp(session, ports, account_id=account_id, code=body.totp):
                await attempts.forgive(session, "factor", account=who, ip=ip)
                token = await service.step_up(session, caller, ports, amr="otp", factor="totp")
            else:
                await service.record_failure(session, caller, ports, account_id=account_id, factor="totp")
        if token is None:
            raise CredentialsInvalid
        return deliver_access(response, token, body.transport)

    @routes.get("/sessions/current")
    async def get_current_session(caller: api.Signed) -> Response:
        """Who one is at this moment: 401 as soon as the session was ended or one's roles have changed."""
        return api.answer(
            200,
            CurrentSession(
                session_id=caller.session_id, user_id=caller.user_id, org_id=caller.org_id, aal=caller.aal,
                amr=list(caller.amr), authenticated_at=datetime.fromtimestamp(caller.auth_time, UTC),
                roles={store: sorted(roles) for store, roles in caller.roles.items()},
            ),
        )

    @routes.get("/sessions")
    async def list_sessions(caller: api.Signed) -> Sessions:
        """Where one is signed in."""
        async with database.begin(caller) as session:
            rows = await service.list_own(session, ports, account_id=api.user_id(caller))
        return Sessions(
            items=[
                SessionAnswer(
                    id=row.id, current=row.id == caller.session_id, created_at=row.created_at,
                    last_used_at=row.last_used_at, user_agent=user_agent, ip=ip,
                )
                for row, user_agent, ip in rows
            ]
        )

    @routes.delete("/sessions/{session_id}", status_code=204, responses=api.problems(errors.NotFound))
    async def revoke_session(session_id: str, caller: api.Signed) -> Response:
        """End one of one's own sessions."""
        await _revoke(caller, api.path_id(session_id))
        return Response(status_code=204)

    @routes.post("/sessions:sign-out", status_code=204)
    async def sign_out(caller: api.Signed) -> Response:
        """End the present session and take back its cookies."""
        if caller.session_id is not None:
            await _revoke(caller, caller.session_id)
        response = Response(status_code=204)
        forget_cookies(response)
        return response

    @routes.post("/sessions:revoke-others")
    async def revoke_other_sessions(caller: api.Signed) -> Ended:
        """Sign out everywhere else."""
        async with database.begin(caller) as session:
            ended = await service.revoke_others(session, caller, ports, account_id=api.user_id(caller))
        return Ended(sessions=ended)

    async def _revoke(caller: Caller, session_id: UUID) -> None:
        async with database.begin(caller) as session:
            await service.revoke_own(
                session, caller, ports, account_id=api.user_id(caller), session_id=session_id
            )

    return routes


async def _by_password(database: Database, ports: Ports, caller: Caller, body: SignIn) -> Account:
    """The account whose password is right; the try is counted before it is judged. Raises CredentialsInvalid."""
    email = normalised_email(body.email or "")
    async with database.begin(as_authenticator(caller)) as session:
        await attempts.reserve(session, "password", account=email, ip=caller.origin.ip, now=ports.clock())
        account = await accounts.find_by_email(session, email)
    password = body.password.get_secret_value() if body.password else ""
    right = await ports.passwords.verify(password, account.password_hash if account else None)
    if account is None or not right or not account.is_active or account.email_confirmed_at is None:
        async with database.begin(as_authenticator(caller)) as session:
            await service.record_failure(
                session, caller, ports, account_id=account.id if account else None, factor="password"
            )
        raise CredentialsInvalid
    async with database.begin(as_authenticator(caller)) as session:
        await attempts.forgive(session, "password", account=email, ip=caller.origin.ip)
        await accounts.note_activity(session, account.id, noted=account.last_active_at, now=ports.clock())
        if ports.passwords.is_outdated(account.password_hash):
            await accounts.set_password(session, account.id, await ports.passwords.hash(password))
    return account


async def _by_factor(database: Database, ports: Ports, caller: Caller, account_id: UUID, body: SignIn) -> Opened:
    """A session for the right second factor; the try is counted before it is judged. Raises CredentialsInvalid."""
    factor = "totp" if body.totp is not None else "recovery_code"
    who, ip = str(account_id), caller.origin.ip
    async with database.begin(as_authenticator(caller)) as session:
        await attempts.reserve(session, "factor", account=who, ip=ip, now=ports.clock())
    opened = None
    async with database.begin(as_authenticator(caller)) as session:
        if body.totp is not None:
            right = await factors.use_totp(session, ports, account_id=account_id, code=body.totp)
        else:
            right = await factors.use_recovery_code(
                session, ports, account_id=account_id, code=body.recovery_code or ""
            )
        if right:
            await attempts.forgive(session, "factor", account=who, ip=ip)
            amr = ("pwd", "otp") if factor == "totp" else ("pwd", "rc")
            opened = await service.open_session(
                session, caller, ports, account_id=account_id, amr=amr, factor=factor
            )
        else:
            await service.record_failure(session, caller, ports, account_id=account_id, factor=factor)
    if opened is None:
        raise CredentialsInvalid
    return opened
