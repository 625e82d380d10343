"""The HTTP door to changing one's e-mail address."""

from fastapi import APIRouter, Response

from lotpro_identity.accounts.attempts import TooManyAttempts
from lotpro_identity.accounts.domain import EmailInvalid, EmailTaken
from lotpro_identity.accounts.schemas import Accepted, Code, Email
from lotpro_identity.addresses import service
from lotpro_identity.challenges.domain import CodeInvalid
from lotpro_identity.db import as_authenticator
from lotpro_identity.passwords.api import Token
from lotpro_identity.ports import Ports
from lotpro_kit import api, errors
from lotpro_kit.api import Body
from lotpro_kit.db import Database


class ChangeEmail(Body):
    """The address to move to."""

    email: Email


class ConfirmChange(Body):
    """The code that came to the new address."""

    code: Code


class UndoChange(Body):
    """The token that came to the old address."""

    token: Token


def router(database: Database, ports: Ports) -> APIRouter:
    """Routes of addresses."""
    routes = APIRouter(prefix="/api/identity/v1", tags=["addresses"])

    @routes.post(
        "/accounts/me:change-email",
        status_code=202,
        responses=api.problems(EmailInvalid, TooManyAttempts, api.StepUpRequired),
    )
    async def change_email(body: ChangeEmail, caller: api.SteppedUp) -> Accepted:
        """Ask for a code to a new address; the account moves when the code is given."""
        async with database.begin(as_authenticator(caller)) as session:
            await service.request_change(session, caller, ports, account_id=api.user_id(caller), email=body.email)
        return Accepted()

    @routes.post(
        "/accounts/me:confirm-email-change",
        status_code=204,
        responses=api.problems(CodeInvalid, EmailTaken, TooManyAttempts, errors.Unauthenticated),
    )
    async def confirm_email_change(body: ConfirmChange, caller: api.Signed) -> Response:
        """Move to the new address; the old one gets a link that undoes it for 72 hours."""
        async with database.begin(as_authenticator(caller)) as session:
            account = await service.confirm_change(
                session, caller, ports, account_id=api.user_id(caller), code=body.code
            )
        if account is None:
            raise CodeInvalid
        return Response(status_code=204)

    @routes.post(
        "/accounts:undo-email-change",
        status_code=204,
        responses=api.problems(CodeInvalid, EmailTaken, TooManyAttempts),
    )
    async def undo_email_change(body: UndoChange, caller: api.Anyone) -> Response:
        """Go back to the old address: every session ends and a new password is wanted."""
        async with database.begin(as_authenticator(caller)) as session:
            await service.undo_change(session, caller, ports, token=body.token)
        return Response(status_code=204)

    return routes
