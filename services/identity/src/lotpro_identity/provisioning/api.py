"""The HTTP door to provisioning tokens."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from lotpro_identity.ports import Ports
from lotpro_identity.provisioning import service
from lotpro_identity.provisioning.domain import RoleNotProvisionable, TooManyTokens
from lotpro_identity.provisioning.schemas import NewToken, TokenAnswer, TokenCreated, Tokens
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.db import Database

MayManage = Annotated[Caller, Depends(api.requires("identity:provisioning:manage"))]


def router(database: Database, ports: Ports) -> APIRouter:
    """Routes of provisioning tokens."""
    routes = APIRouter(prefix="/api/identity/v1", tags=["provisioning"])

    @routes.post(
        "/provisioning/tokens",
        status_code=201,
        responses=api.problems(
            errors.Forbidden, api.StepUpRequired, errors.NotFound, RoleNotProvisionable, TooManyTokens
        ),
    )
    async def create_provisioning_token(body: NewToken, caller: MayManage, once: api.Idempotent) -> Response:
        """Make a token with which the organisation's directory provisions people; it is shown this once."""
        api.check_stepped_up(caller, now=ports.clock().timestamp())

        async def make() -> api.Made:
            row, token = await service.create_token(
                session, caller, ports, name=body.name, role=body.role, store_id=body.store_id,
                lifetime=timedelta(days=body.expires_in_days),
            )
            return 201, TokenCreated(**_answer(row).model_dump(), token=token), {}

        async with database.begin(caller) as session:
            return await once.answer(session, caller, make)

    @routes.get("/provisioning/tokens", responses=api.problems(errors.Forbidden))
    async def list_provisioning_tokens(caller: MayManage) -> Tokens:
        """The organisation's provisioning tokens."""
        async with database.begin(caller) as session:
            rows = await service.list_tokens(session, caller)
        return Tokens(items=[_answer(row) for row in rows])

    @routes.delete(
        "/provisioning/tokens/{token_id}",
        status_code=204,
        responses=api.problems(errors.Forbidden, api.StepUpRequired, errors.NotFound),
    )
    async def revoke_provisioning_token(token_id: str, caller: MayManage) -> Response:
        """End a provisioning token at once."""
        api.check_stepped_up(caller, now=ports.clock().timestamp())
        async with database.begin(caller) as session:
            await service.revoke_token(session, caller, ports, token_id=api.path_id(token_id))
        return Response(status_code=204)

    return routes


def _answer(row: Any) -> TokenAnswer:
    return TokenAnswer(
        id=row.id, name=row.name, role=row.role, store_id=row.store_id, created_at=row.created_at,
        expires_at=row.expires_at, last_used_at=row.last_used_at,
    )
