"""Managed identities and the tenant's keys: the App Service token endpoint, OIDC discovery and JWKS."""

import hmac
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

#: Azure's managed identities get tokens for 24 hours.
LIFETIME_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Principal:
    """A managed identity: whose it is, and the header that only its container knows.

    `vault` is `reader` (the secrets of its service) or `officer` (all secrets, to read and to set). `officer_of` names
    single secrets that it may set besides: in Azure, the officer's role assigned on these secrets only.
    """

    service: str
    header: str
    vault: str = "reader"
    officer_of: Sequence[str] = ()

    def reads(self, secret: str) -> bool:
        """Whether it may read a secret; names differ by more than case."""
        return self.vault == "officer" or secret.lower().startswith(f"{self.service}-")

    def sets(self, secret: str) -> bool:
        """Whether it may set a secret."""
        return self.vault == "officer" or secret.lower() in self.officer_of


class Tenant:
    """The tenant: its key, who its identities are, and the tokens it gives them."""

    def __init__(self, state: Path, *, issuer: str, principals: Path, jwks_file: Path) -> None:
        self.issuer = issuer
        self._principals = principals
        self._key = _key(state / "tenant-key.pem")
        self.jwks = KeySet([self._key]).as_dict(private=False)
        _write(jwks_file, json.dumps(self.jwks))

    def principal(self, client_id: str) -> Principal | None:
        """Who a client id belongs to."""
        found = json.loads(self._principals.read_text()).get(client_id)
        return Principal(**found) if found else None

    def services(self) -> frozenset[str]:
        """Whose identities there are."""
        return frozenset(found["service"] for found in json.loads(self._principals.read_text()).values())

    def token(self, client_id: str, resource: str) -> tuple[str, int]:
        """A token for a resource, and when it ends."""
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": resource, "sub": client_id, "oid": client_id, "azp": client_id,
            "appid": client_id, "iat": now, "nbf": now, "exp": now + LIFETIME_SECONDS,
        }
        header = {"alg": "RS256", "kid": self._key.kid, "typ": "JWT"}
        return jwt.encode(header, claims, self._key, algorithms=["RS256"]), now + LIFETIME_SECONDS

    def principal_of(self, token: str, *, audience: str) -> Principal | None:
        """Whom a token for an audience was given to; None when it is not ours, not for there, or has ended."""
        try:
            claims = jwt.decode(token, self._key, algorithms=["RS256"]).claims
        except (JoseError, ValueError, KeyError):
            return None
        if claims.get("aud") != audience or float(claims.get("exp", 0)) <= time.time():
            return None
        return self.principal(str(claims.get("azp")))

    def routes(self) -> list[Route]:
        """The endpoints."""
        return [
            Route("/msi/token", self._give_token),
            Route("/tenant/v2.0/.well-known/openid-configuration", self._discovery),
            Route("/tenant/discovery/v2.0/keys", self._keys),
        ]

    async def _give_token(self, request: Request) -> Response:
        """GET with `resource`, `client_id` and the header that only this identity's container knows."""
        query = request.query_params
        known = self.principal(query.get("client_id", ""))
        header = request.headers.get("x-identity-header", "")
        if known is None or not hmac.compare_digest(header.encode(), known.header.encode()):
            return JSONResponse({"statusCode": 401, "message": "unknown identity"}, 401)
        if not query.get("resource"):
            return JSONResponse({"statusCode": 400, "message": "resource is missing"}, 400)
        token, expires = self.token(query["client_id"], query["resource"])
        return JSONResponse(
            {
                "access_token": token, "expires_on": str(expires), "resource": query["resource"],
                "token_type": "Bearer", "client_id": query["client_id"],
            }
        )

    async def _discovery(self, _: Request) -> Response:
        base = self.issuer.removesuffix("/v2.0")
        body: dict[str, Any] = {
            "issuer": self.issuer, "jwks_uri": f"{base}/discovery/v2.0/keys",
            "id_token_signing_alg_values_supported": ["RS256"], "response_types_supported": ["token"],
            "subject_types_supported": ["pairwise"],
        }
        return JSONResponse(body)

    async def _keys(self, _: Request) -> Response:
        return JSONResponse(self.jwks)


def _key(file: Path) -> RSAKey:
    if not file.exists():
        key = RSAKey.generate_key(2048)
        _write(file, key.as_pem(private=True).decode())
    found = RSAKey.import_key(file.read_text(), {"alg": "RS256", "use": "sig"})
    found.ensure_kid()
    return found


def _write(file: Path, text: str) -> None:
    """Whole or not at all, and for our eyes only."""
    file.parent.mkdir(parents=True, exist_ok=True)
    making = file.with_name(file.name + ".making")
    making.touch(0o600)
    making.write_text(text)
    os.replace(making, file)
