"""The HTTP door to the public keys."""

from typing import Any

from fastapi import APIRouter, Response

from lotpro_identity.keys.domain import CACHE_SECONDS
from lotpro_identity.ports import Ports


def router(ports: Ports) -> APIRouter:
    """Routes of the keys."""
    routes = APIRouter(prefix="/api/identity/v1", tags=["keys"])

    @routes.get("/jwks.json")
    async def list_keys(response: Response) -> dict[str, Any]:
        """The public keys that access tokens are verified with (RFC 7517)."""
        response.headers["Cache-Control"] = f"public, max-age={CACHE_SECONDS}"
        return ports.signer.jwks

    return routes
