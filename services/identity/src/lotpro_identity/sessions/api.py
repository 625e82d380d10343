"""The HTTP door to sessions: sign in, refresh, list, sign out."""

from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, Request, Response

from lotpro_identity.accounts.attempts import TooManyAttempts
from lotpro_identity.accounts.domain import Account, EmailInvalid
from lotpro_identity.db import as_authenticator
from lotpro_identity.factors import passkeys
from lotpro_identity.factors.domain import Kind
from lotpro_identity.factors.schemas import CeremonyAnswer
from lotpro_identity.origins.browsers import browser_of
from lotpro_identity.passwords.hashing import Busy
from lotpro_identity.ports import Ports
from lotpro_identity.sessions import service
from lotpro_identity.sessions.domain import BoundToOrganisation, CredentialsInvalid, SessionOver
from lotpro_identity.sessions.schemas import (
    BeginPasskey,
    CurrentSession,
    Ended,
    Refresh,
    SendCode,
    SessionAnswer,
    Sessions,
    SignedIn,
    SignIn,
    StepUp,
    Switch,
    Transport,
)
from lotpro_identity.sessions.sign_in import Known, SigningIn
from lotpro_identity.sessions.tokens import (
    DEVICE_COOKIE,
    REFRESH_COOKIE,
    Opened,
    SteppedUp,
    Tokens,
    deliver,
    deliver_access,
    enrolment_token,
    forget_cookies,
    set_csrf_cookie,
    ticket,
    transport_of,
)
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.db import Database


def router(database: Database, ports: Ports) -> APIRouter:
    """Routes of sessions."""
    routes = APIRouter(prefix="/api/identity/v1", tags=["sessions"])

    def delivered(response: Response, opened: Opened, body: SignIn) -> SignedIn:
        return SignedIn(**deliver(response, opened, body.transport).model_dump())

    @routes.post(
        "/sessions", responses=api.problems(CredentialsInvalid, EmailInvalid, TooManyAttempts, Busy)
    )
    async def sign_in(body: SignIn, request: Request, caller: api.Anyone, response: Response) -> SignedIn:
        """Sign in with password and second factor, in one step or two, or with a passkey alone."""
        steps = SigningIn(database, ports, caller)
        if body.email is not None and body.password is not None:
            known = await steps.by_password(
                email=body.email, password=body.password.get_secret_value(),
                device_token=body.device_token or request.cookies.get(DEVICE_COOKIE),
            )
            if not known.kinds:
                await steps.ask_to_confirm(known)
                return SignedIn(status="confirmation_required")
            if not body.factor:
                opened = await steps.by_device(known, stays=body.stay_signed_in)
                if opened is None:
                    given = ticket(ports, known.account, known.device_id)
                    return SignedIn(status="factor_required", ticket=given, factors=known.kinds)
                return delivered(response, opened, body)
        elif body.ticket is not None:
            known = await steps.by_ticket(body.ticket)
        elif body.passkey is not None:
            opened = await steps.by_passkey(body.passkey, trust=body.trust_device, stays=body.stay_signed_in)
            return delivered(response, opened, body)
        proven = await steps.by_factor(known, body, trust=body.trust_device)
        if isinstance(proven, Account):
            return _enrolment(ports, known)
        return delivered(response, proven, body)

    @routes.post("/sessions:begin-passkey", responses=api.problems(CredentialsInvalid))
    async def begin_passkey_proof(body: BeginPasskey, caller: api.Anyone) -> CeremonyAnswer:
        """Begin to prove a passkey: alone, or as the second step of a sign-in."""
        steps = SigningIn(database, ports, caller)
        account_id = (await steps.by_ticket(body.ticket)).account.id if body.ticket is not None else None
        async with database.begin(as_authenticator(caller)) as session:
            ceremony = await passkeys.begin_proof(session, ports, account_id=account_id)
        return CeremonyAnswer(ceremony_id=ceremony.id, options=ceremony.options)

    @routes.post("/sessions:begin-step-up")
    async def begin_step_up(caller: api.Signed) -> CeremonyAnswer:
        """Begin to give a passkey again."""
        async with database.begin(as_authenticator(caller)) as session:
            ceremony = await passkeys.begin_proof(session, ports, account_id=api.user_id(caller))
        return CeremonyAnswer(ceremony_id=ceremony.id, options=ceremony.options)

    @routes.post("/sessions:send-code", status_code=202, responses=api.problems(CredentialsInvalid, TooManyAttempts))
    async def send_sign_in_code(body: SendCode, caller: api.Anyone) -> Response:
        """Send the code for the second step by SMS or e-mail, to somebody who set that up."""
        steps = SigningIn(database, ports, caller)
        known = await steps.by_ticket(body.ticket)
        await steps.send_code(known, Kind(body.channel))
        return Response(status_code=202)

    @routes.get("/csrf", status_code=204)
    async def get_csrf_cookie(request: Request, caller: api.Anyone) -> Response:
        """Give this browser the cookie that our pages repeat in X-CSRF-Token, unless it has it.

        It opens nothing and ends with the browser; another site's pages can neither read nor set it.
        """
        response = Response(status_code=204, headers={"cache-control": "no-store"})
        if not request.cookies.get(api.CSRF_COOKIE):
            set_csrf_cookie(response)
        return response

    @routes.post("/sessions:refresh", responses=api.problems(SessionOver, api.CsrfFailed))
    async def refresh_session(body: Refresh, request: Request, caller: api.Anyone, response: Response) -> Tokens:
        """New tokens for the refresh token, which is used up; using it again later ends the session.

        Whose token is a cookie gets the new ones as cookies, and has to show that a page of ours asks.
        """
        given, transport = body.refresh_token, body.transport
        if not given:
            given, transport = request.cookies.get(REFRESH_COOKIE), Transport.COOKIE
            if not given:
                raise SessionOver
            api.check_csrf(request)
        async with database.begin(as_authenticator(caller)) as session:
            opened = await service.refresh(session, caller, ports, refresh_token=given)
        if opened is None:
            raise SessionOver
        return deliver(response, opened, transport, renewed=True)

    @routes.post(
        "/sessions:step-up", responses=api.problems(CredentialsInvalid, SessionOver, TooManyAttempts)
    )
    async def step_up(body: StepUp, request: Request, caller: api.Signed, response: Response) -> Tokens:
        """Give the second factor again, which sensitive acts want; the session's tokens are renewed, both of them."""
        opened = await SigningIn(database, ports, caller).step_up(
            api.user_id(caller), totp=body.totp, passkey=body.passkey
        )
        return deliver(response, opened, transport_of(request, body.transport), renewed=True)

    @routes.post("/sessions:switch", responses=api.problems(errors.NotFound, SessionOver, BoundToOrganisation))
    async def switch_organisation(
        body: Switch, request: Request, caller: api.Signed, response: Response
    ) -> SteppedUp:
        """Go on in another of one's organisations, in this session only."""
        async with database.begin(as_authenticator(caller)) as session:
            token = await service.switch(session, caller, ports, org_id=body.organisation_id)
        return deliver_access(response, token, transport_of(request, body.transport))

    @routes.get("/sessions/current", response_model=CurrentSession)
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
                    browser=browser_of(user_agent).name, os=browser_of(user_agent).os, place=ports.places.name_of(ip),
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
            # It may be over already; the cookies go in any case.
            with suppress(errors.NotFound):
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

    @routes.post("/sessions:revoke-all")
    async def sign_out_everywhere(caller: api.Signed, response: Response) -> Ended:
        """Sign out everywhere, here too."""
        async with database.begin(caller) as session:
            ended = await service.revoke_all(session, caller, ports, account_id=api.user_id(caller))
        forget_cookies(response)
        return Ended(sessions=ended)

    async def _revoke(caller: Caller, session_id: UUID) -> None:
        async with database.begin(caller) as session:
            await service.revoke_own(
                session, caller, ports, account_id=api.user_id(caller), session_id=session_id
            )

    return routes


def _enrolment(ports: Ports, known: Known) -> SignedIn:
    return SignedIn(
        status="enrolment_required", token_type="Bearer",  # noqa: S106 - the scheme
        **enrolment_token(ports, known.account, federated=known.federated),
    )
