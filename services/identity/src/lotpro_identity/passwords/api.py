"""The HTTP door to passwords."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from lotpro_identity.accounts import attempts
from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.attempts import TooManyAttempts
from lotpro_identity.accounts.domain import EmailInvalid, PasswordTooWeak
from lotpro_identity.accounts.schemas import Accepted, Email, Password
from lotpro_identity.challenges.domain import CodeInvalid
from lotpro_identity.db import as_authenticator
from lotpro_identity.organisations import service as organisations
from lotpro_identity.passwords import service
from lotpro_identity.passwords.hashing import Busy
from lotpro_identity.ports import Ports
from lotpro_identity.sessions import service as sessions
from lotpro_identity.sessions.domain import CredentialsInvalid
from lotpro_kit import api
from lotpro_kit.api import Body
from lotpro_kit.db import Database

#: A token from an e-mail.
Token = Annotated[str, Field(min_length=40, max_length=100)]


class ChangePassword(Body):
    """The present password and the next one."""

    current_password: Password
    new_password: Password


class RequestReset(Body):
    """Who forgot the password."""

    email: Email


class ResetPassword(Body):
    """The token from the e-mail and the new password."""

    token: Token
    password: Password


def router(database: Database, ports: Ports) -> APIRouter:
    """Routes of passwords."""
    routes = APIRouter(prefix="/api/identity/v1", tags=["passwords"])

    @routes.post(
        "/passwords:change",
        status_code=204,
        responses=api.problems(CredentialsInvalid, PasswordTooWeak, TooManyAttempts, Busy, api.StepUpRequired),
    )
    async def change_password(body: ChangePassword, caller: api.SteppedUp) -> Response:
        """Change the password: every other session ends and no device is trusted any more."""
        account_id = api.user_id(caller)
        async with database.begin(as_authenticator(caller)) as session:
            account, _ = await accounts.get_own(session, ports, account_id)
            # The same counter as at the door: a session that was taken gives no more guesses.
            await attempts.reserve(
                session, "password", account=account.email, ip=caller.origin.ip, now=ports.clock()
            )
            places = await organisations.names_around(session, account_id=account_id)
        if not await ports.passwords.verify(body.current_password.get_secret_value(), account.password_hash):
            async with database.begin(as_authenticator(caller)) as session:
                await sessions.record_failure(session, caller, ports, account_id=account_id, factor="password")
            raise CredentialsInvalid
        chosen = body.new_password.get_secret_value()
        await service.check_new(ports, chosen, known=(account.name, account.email, *places))
        hashed = await ports.passwords.hash(chosen)
        async with database.begin(as_authenticator(caller)) as session:
            await service.change(session, caller, ports, account_id=account_id, password_hash=hashed)
        return Response(status_code=204)

    @routes.post("/passwords:request-reset", status_code=202, responses=api.problems(EmailInvalid, TooManyAttempts))
    async def request_password_reset(body: RequestReset, caller: api.Anyone) -> Accepted:
        """Ask for a link by e-mail to set a new password; the answer is the same for every address."""
        async with ports.levelled(), database.begin(as_authenticator(caller)) as session:
            await service.request_reset(session, caller, ports, email=body.email)
        return Accepted()

    @routes.post(
        "/passwords:reset",
        status_code=204,
        responses=api.problems(CodeInvalid, PasswordTooWeak, TooManyAttempts, Busy),
    )
    async def reset_password(body: ResetPassword, caller: api.Anyone) -> Response:
        """Set a new password with the token from the e-mail; signing in still wants the second factor."""
        async with database.begin(as_authenticator(caller)) as session:
            await attempts.reserve_address(session, "token", ip=caller.origin.ip, now=ports.clock())
            account = await service.account_to_reset(session, ports, token=body.token)
            places = await organisations.names_around(session, account_id=account.id)
        chosen = body.password.get_secret_value()
        await service.check_new(ports, chosen, known=(account.name, account.email, *places))
        hashed = await ports.passwords.hash(chosen)
        async with database.begin(as_authenticator(caller)) as session:
            await service.reset(session, caller, ports, token=body.token, password_hash=hashed)
        return Response(status_code=204)

    return routes
