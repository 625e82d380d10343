"""Key Vault's secrets API: each service sees the secrets whose names begin with its own, and no others."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lotpro_localcloud.providers.entra import Tenant

AUDIENCE = "https://vault.azure.net"
VERSION = "0" * 32


class Vault:
    """A vault whose secrets stand in a JSON file: name -> value."""

    def __init__(self, file: Path, tenant: Tenant) -> None:
        self._file, self._tenant = file, tenant

    def routes(self) -> list[Route]:
        """The endpoints."""
        return [
            Route("/secrets", self._list),
            Route("/secrets/{name}", self._get),
            Route("/secrets/{name}/", self._get),
            Route("/secrets/{name}/{version}", self._get),
        ]

    def _secrets_of(self, service: str) -> Mapping[str, str]:
        secrets: Mapping[str, str] = json.loads(self._file.read_text())
        return {name: value for name, value in secrets.items() if name.startswith(f"{service}-")}

    async def _list(self, request: Request) -> Response:
        return self._opened(
            request,
            lambda secrets: JSONResponse(
                {"value": [_item(request, name) for name in sorted(secrets)], "nextLink": None}
            ),
        )

    async def _get(self, request: Request) -> Response:
        name = request.path_params["name"]

        def answer(secrets: Mapping[str, str]) -> Response:
            if name not in secrets:
                return _error(404, "SecretNotFound", "A secret of this name was not found in this key vault.")
            return JSONResponse({"value": secrets[name], **_item(request, f"{name}/{VERSION}")})

        return self._opened(request, answer)

    def _opened(self, request: Request, answer: Callable[[Mapping[str, str]], Response]) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            challenge = f'Bearer authorization="{self._tenant.issuer.removesuffix("/v2.0")}", resource="{AUDIENCE}"'
            refused = _error(401, "Unauthorized", "Request is missing a Bearer or PoP token.")
            refused.headers["WWW-Authenticate"] = challenge
            return refused
        service = self._tenant.service_of(token, audience=AUDIENCE)
        if service is None:
            return _error(401, "Unauthorized", "The token is not valid for this vault.")
        return answer(self._secrets_of(service))


def _item(request: Request, path: str) -> dict[str, object]:
    parts = urlsplit(str(request.url))
    since = int(time.time()) - 60
    return {
        "id": f"{parts.scheme}://{parts.netloc}/secrets/{path}",
        "attributes": {"enabled": True, "created": since, "updated": since, "recoveryLevel": "Recoverable+Purgeable"},
    }


def _error(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
