"""The HTTP door to accounts' ends."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from lotpro_identity.accounts.attempts import TooManyAttempts, reserve
from lotpro_identity.challenges.domain import CodeInvalid, challenge_of
from lotpro_identity.db import as_authenticator
from lotpro_identity.lifecycle import service
from lotpro_identity.lifecycle.domain import MemberElsewhere, MemberOutOfReach, OwnAccount
from lotpro_identity.lifecycle.schemas import Closing, Reopen
from lotpro_identity.organisations.domain import LastOwner
from lotpro_identity.ports import Ports
from lotpro_identity.sessions.tokens import forget_cookies
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.db import Database

MayRemove = Annotated[Caller, Depends(api.requires("identity:member:remove"))]


def router(database: Database, ports: Ports) -> APIRouter:
    """Routes of accounts' ends."""
    routes = APIRouter(prefix="/api/identity/v1", tags=["lifecycle"])

    @routes.post(
        "/accounts/me:close",
        status_code=202,
        responses=api.problems(api.StepUpRequired, LastOwner),
    )
    async def close_own_account(caller: api.SteppedUp, response: Response) -> Closing:
        """Close one's own account: every session ends now; for 30 days the link in the e-mail takes it back."""
        async with database.begin(as_authenticator(caller)) as session:
            delete_after = await service.close_own(session, caller, ports, account_id=api.user_id(caller))
        forget_cookies(response)
        return Closing(delete_after=delete_after)

    @routes.post("/accounts:reopen", status_code=204, responses=api.problems(CodeInvalid, TooManyAttempts))
    async def reopen_account(body: Reopen, caller: api.Anyone) -> Response:
        """Take the closing of an account back with the token from the e-mail; then sign in as before."""
        who = str(challenge_of(body.token))
        async with database.begin(as_authenticator(caller)) as session:
            await reserve(session, "reopen", account=who, ip=caller.origin.ip, now=ports.clock())
        async with database.begin(as_authenticator(caller)) as session:
            await service.reopen(session, caller, ports, token=body.token)
        return Response(status_code=204)

    @routes.delete(
        "/members/{user_id}/account",
        status_code=204,
        responses=api.problems(
            errors.Forbidden, api.StepUpRequired, errors.NotFound, OwnAccount, MemberElsewhere, MemberOutOfReach
        ),
    )
    async def remove_member_account(user_id: str, caller: MayRemove) -> Response:
        """Delete a member's account for good: of no use at once, gone from every service within minutes."""
        api.check_stepped_up(caller, now=ports.clock().timestamp())
        async with database.begin(as_authenticator(caller)) as session:
            await service.remove_account(session, caller, ports, user_id=api.path_id(user_id))
        return Response(status_code=204)

    return routes
