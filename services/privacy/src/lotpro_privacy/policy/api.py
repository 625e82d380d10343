"""The HTTP door to the published policy; open to everybody."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

import lotpro_policy
from lotpro_kit.api import Answer

CACHE = "public, max-age=300"
IfNoneMatch = Annotated[str | None, Header()]


class PolicyAnswer(Answer):
    """The policy in force, as data; `sha256` is that of the published text."""

    version: str
    last_updated: str
    sha256: str
    clauses: list[dict[str, Any]]
    retention: dict[str, Any]
    cookies: dict[str, Any]
    rights: dict[str, Any]
    processors: dict[str, Any]
    purposes: dict[str, Any]


def router() -> APIRouter:
    """Routes of the policy."""
    routes = APIRouter(prefix="/api/privacy/v1", tags=["policy"])

    @routes.get("/policy", response_model=PolicyAnswer)
    async def get_policy(response: Response, if_none_match: IfNoneMatch = None) -> Any:
        """The privacy policy as data: clauses, retention, cookies, rights, processors, purposes."""
        policy = lotpro_policy.policy()
        if _is_known(if_none_match):
            return Response(status_code=304, headers=_headers())
        response.headers.update(_headers())
        body = policy.model_dump(mode="json")
        return PolicyAnswer(
            version=body["version"], last_updated=str(body["last_updated"]), sha256=body["sha256"],
            clauses=[{"id": clause_id, **clause} for clause_id, clause in body["clauses"].items()],
            retention=body["retention"], cookies=body["cookies"], rights=body["rights"],
            processors=body["processors"], purposes=body["purposes"],
        )

    @routes.get("/policy.txt", response_class=Response)
    async def get_policy_text(if_none_match: IfNoneMatch = None) -> Response:
        """The privacy policy as it is published."""
        if _is_known(if_none_match):
            return Response(status_code=304, headers=_headers())
        text = lotpro_policy.policy().text
        return Response(text, media_type="text/plain; charset=utf-8", headers=_headers())

    return routes


def _is_known(if_none_match: str | None) -> bool:
    """Whether the client has the policy in force: weak comparison, as RFC 9110 13.1.2 asks for."""
    known = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return _etag() in known or "*" in known


def _etag() -> str:
    return f'"{lotpro_policy.policy().sha256}"'


def _headers() -> dict[str, str]:
    return {"ETag": _etag(), "Cache-Control": CACHE}
