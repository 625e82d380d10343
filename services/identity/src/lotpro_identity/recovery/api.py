"""The HTTP door to recovery."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from lotpro_identity.accounts import attempts
from lotpro_identity.accounts.attempts import TooManyAttempts
from lotpro_identity.accounts.schemas import Password
from lotpro_identity.challenges.domain import CodeInvalid
from lotpro_identity.db import as_authenticator
from lotpro_identity.lifecycle.domain import MemberElsewhere, MemberOutOfReach, OwnAccount
from lotpro_identity.passwords.api import Token
from lotpro_identity.passwords.hashing import Busy
from lotpro_identity.ports import Ports
from lotpro_identity.recovery import service
from lotpro_identity.sessions import service as sessions
from lotpro_identity.sessions.domain import CredentialsInvalid
from lotpro_identity.sessions.schemas import Enrolment
from lotpro_identity.sessions.tokens import enrolment_token
from lotpro_kit import api, errors
from lotpro_kit.api import Body
from lotpro_kit.caller import Caller
from lotpro_kit.db import Database

MayReset = Annotated[Caller, Depends(api.requires("identity:member:update"))]


class NotMe(Body):
    """The token from an alert."""

    token: Token


class ResetFactors(Body):
    """The token from the e-mail, and the password: two different means."""

    token: Token
    password: Password


def router(database: Database, ports: Ports) -> APIRouter:
    """Routes of recovery."""
    routes = APIRouter(prefix="/api/identity/v1", tags=["recovery"])

    @routes.post("/accounts:not-me", status_code=204, responses=api.problems(CodeInvalid))
    async def report_not_me(body: NotMe, caller: api.Anyone) -> Response:
        """Say that an alert tells of somebody else: the account is locked and a link for a new password is mailed."""
        async with database.begin(as_authenticator(caller)) as session:
            await service.not_me(session, caller, ports, token=body.token)
        return Response(status_code=204)

    @routes.post(
        "/members/{user_id}:offer-factor-reset",
        status_code=202,
        responses=api.problems(errors.NotFound, errors.Forbidden, api.StepUpRequired),
    )
    async def offer_factor_reset(user_id: str, caller: MayReset) -> Response:
        """Mail a member who lost every second factor a link to start anew; it works only with the member's password."""
        api.check_stepped_up(caller, now=ports.clock().timestamp())
        async with database.begin(as_authenticator(caller)) as session:
            await service.offer_factor_reset(session, caller, ports, user_id=api.path_id(user_id))
        return Response(status_code=202)

    @routes.post(
        "/members/{user_id}:require-password-reset",
        status_code=202,
        responses=api.problems(
            errors.NotFound, errors.Forbidden, OwnAccount, MemberElsewhere, MemberOutOfReach, api.StepUpRequired
        ),
    )
    async def require_password_reset(user_id: str, caller: MayReset) -> Response:
        """End what a member's password opens and mail them a link to set another one; nobody else chooses it."""
        api.check_stepped_up(caller, now=ports.clock().timestamp())
        async with database.begin(as_authenticator(caller)) as session:
            await service.require_password_reset(session, caller, ports, user_id=api.path_id(user_id))
        return Response(status_code=202)

    @routes.post("/factors:reset", responses=api.problems(CodeInvalid, CredentialsInvalid, TooManyAttempts, Busy))
    async def reset_factors(body: ResetFactors, caller: api.Anyone) -> Enrolment:
        """Remove every second factor with the mailed token and the password; the answer's token enrols a new one."""
        async with database.begin(as_authenticator(caller)) as session:
            account = await service.account_to_recover(session, ports, token=body.token)
        async with database.begin(as_authenticator(caller)) as session:
            await attempts.reserve(
                session, "password", account=account.email, ip=caller.origin.ip, now=ports.clock()
            )
        right = await ports.passwords.verify(body.password.get_secret_value(), account.password_hash)
        # Of a locked account the password opens nothing, and so it resets nothing.
        if not right or not account.may_sign_in:
            async with database.begin(as_authenticator(caller)) as session:
                await sessions.record_failure(session, caller, ports, account_id=account.id, factor="password")
            raise CredentialsInvalid
        async with database.begin(as_authenticator(caller)) as session:
            account = await service.reset_factors(session, caller, ports, token=body.token)
        return Enrolment(**enrolment_token(ports, account))

    return routes
