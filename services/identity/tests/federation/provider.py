"""A small real OpenID provider over HTTP: discovery, keys, authorization and tokens. It misbehaves on demand."""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import uvicorn
from fastapi import FastAPI, Form, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

CLIENT_ID, CLIENT_SECRET = "lotpro-client", "s3cret of the organisation"


@dataclass
class Provider:
    """The provider's person, keys and manners. `claims` replace what the token says; None takes a claim out."""

    clock: Callable[[], datetime]
    issuer: str = ""
    key: Any = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "one", "alg": "ES256", "use": "sig"}))
    #: What tokens are signed with instead of the published key.
    signing_key: Any = None
    header: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    #: Replaces the whole token.
    token: str | None = None
    token_status: int = 200
    #: What stands at the well-known page of a domain.
    page: str = ""
    names_itself: bool = False
    answer_iss: str | None = None
    error: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)

    def be(self, subject: str, email: str, **claims: Any) -> None:
        """Whom the provider knows the browser to be."""
        self.claims = {"sub": subject, "email": email, "email_verified": True, "name": "Sam Ortega"} | claims

    def rotate(self) -> None:
        """Sign with a new key, published from now on."""
        self.key = ECKey.generate_key("P-256", {"kid": secrets.token_hex(4), "alg": "ES256", "use": "sig"})

    def id_token(self, nonce: str) -> str:
        if self.token is not None:
            return self.token
        now = int(self.clock().timestamp())
        body = {
            "iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": nonce, "auth_time": now,
        } | self.claims
        body = {name: value for name, value in body.items() if value is not None}
        key = self.signing_key or self.key
        algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
        header = {"alg": algorithm, "kid": self.key.kid} | self.header
        return jwt.encode(header, body, key, algorithms=["ES256", "RS256", "PS256"])

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.middleware("http")
        async def remember(request: Request, go_on: Any) -> Response:
            self.fetched.append(request.url.path)
            answer: Response = await go_on(request)
            return answer

        @app.get("/.well-known/openid-configuration")
        async def discover() -> dict[str, Any]:
            return {
                "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
                "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": self.names_itself,
            } | self.metadata

        @app.get("/keys")
        async def keys() -> dict[str, Any]:
            return dict(KeySet([self.key]).as_dict(private=False))

        @app.get("/.well-known/lotpro-domain")
        async def domain_page() -> Response:
            return PlainTextResponse(self.page + "\n")

        @app.get("/authorize")
        async def authorize(request: Request) -> Response:
            asked = dict(request.query_params)
            self.asked.append(asked)
            answer = {"state": asked["state"]}
            if self.error:
                answer["error"] = self.error
            else:
                code = secrets.token_urlsafe(16)
                self.codes[code] = asked
                answer["code"] = code
            iss = self.answer_iss or (self.issuer if self.names_itself else None)
            answer |= {"iss": iss} if iss else {}
            return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}", 303)

        @app.post("/token")
        async def token(
            request: Request,
            grant_type: str = Form(""),
            code: str = Form(""),
            redirect_uri: str = Form(""),
            code_verifier: str = Form(""),
        ) -> Response:
            basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
            asked = self.codes.pop(code, None)
            digest = hashlib.sha256(code_verifier.encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            right = (
                request.headers.get("authorization") == f"Basic {basic}" and asked is not None
                and grant_type == "authorization_code" and asked["redirect_uri"] == redirect_uri
                and asked["code_challenge"] == challenge and asked["code_challenge_method"] == "S256"
            )
            if not right or asked is None:
                return JSONResponse({"error": "invalid_grant"}, 400)
            if self.token_status != 200:
                return JSONResponse({"error": "server_error"}, self.token_status)
            body = {"access_token": "at", "token_type": "Bearer", "id_token": self.id_token(asked["nonce"])}
            return JSONResponse(body)

        return app


@asynccontextmanager
async def serve(provider: Provider) -> AsyncIterator[Provider]:
    """Serve a provider on a free port of this machine."""
    server = uvicorn.Server(
        uvicorn.Config(provider.app(), host="127.0.0.1", port=0, log_level="warning", lifespan="off")
    )
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    provider.issuer = f"http://127.0.0.1:{port}"
    try:
        yield provider
    finally:
        server.should_exit = True
        await running
