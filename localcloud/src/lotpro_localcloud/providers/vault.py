"""Key Vault's secrets API: each service reads the secrets whose names begin with its own, and no others."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lotpro_localcloud.providers.entra import Principal, Tenant
from lotpro_localcloud.providers.store import SecretVersion, Store

AUDIENCE = "https://vault.azure.net"
#: Key Vault's own: a page has at most 25 items, a secret at most 25,000 characters.
PAGE = 25
LONGEST_VALUE = 25_000
_SETTABLE = ("enabled", "nbf", "exp")


class Refused(Exception):
    """An error in Key Vault's shape."""

    def __init__(self, status: int, code: str, message: str, *, inner: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, Any] = {"code": code, "message": message}
        if inner:
            self.error["innererror"] = {"code": inner}


class Vault:
    """The vault. A JSON file (name -> value) is planted into it whenever it changes; later versions come by the API."""

    def __init__(self, file: Path, store: Store, tenant: Tenant) -> None:
        self._file, self._store, self._tenant = file, store, tenant
        self._planted_at = -1

    def value(self, name: str) -> str:
        """The current value of a secret, empty when there is none."""
        self._plant()
        versions = self._store.secret_versions(name)
        return str(versions[0].body["value"]) if versions else ""

    def routes(self) -> list[Route]:
        """The endpoints."""
        return [
            Route("/secrets", self._endpoint),
            Route("/secrets/{name}", self._endpoint, methods=["GET", "PUT"]),
            Route("/secrets/{name}/", self._endpoint),
            Route("/secrets/{name}/versions", self._endpoint),
            Route("/secrets/{name}/{version}", self._endpoint),
        ]

    def _plant(self) -> None:
        """Secrets that the file has anew become new versions; what the file does not name stays as it is."""
        changed_at = self._file.stat().st_mtime_ns if self._file.exists() else 0
        if changed_at in (self._planted_at, 0):
            return
        known = self._store.planted()
        with self._store.changes():
            for name, value in json.loads(self._file.read_text()).items():
                if known.get(name) != value:
                    self._store.add_secret(name, {"value": value}, planted=True)
        self._planted_at = changed_at

    async def _endpoint(self, request: Request) -> Response:
        try:
            principal = self._principal(request)
            self._plant()
            if request.method == "PUT":
                return self._set(request, principal, await _json(request))
            if "name" not in request.path_params:
                return self._list(request, principal)
            versions = self._readable(principal, request.path_params["name"])
            if request.url.path.endswith("/versions"):
                items = [_item(request, one, f"{one.name}/{one.version}") for one in versions]
                return _page(request, items)
            return self._get(request, versions)
        except Refused as refused:
            return JSONResponse({"error": refused.error}, refused.status, self._challenge(refused))

    def _principal(self, request: Request) -> Principal:
        if request.url.scheme != "https":
            raise Refused(403, "Forbidden", "This vault speaks TLS only.", inner="ForbiddenByProtocol")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
        principal = self._tenant.principal_of(token, audience=AUDIENCE)
        if principal is None:
            raise Refused(401, "Unauthorized", "AKV10022: The token is not valid for this vault.")
        return principal

    def _challenge(self, refused: Refused) -> Mapping[str, str]:
        """Where a token comes from. The resource has Azure's domain: clients must not compare it with ours."""
        if refused.status != 401:
            return {}
        authority = self._tenant.issuer.removesuffix("/v2.0")
        return {"WWW-Authenticate": f'Bearer authorization="{authority}", resource="{AUDIENCE}"'}

    def _readable(self, principal: Principal, name: str) -> list[SecretVersion]:
        if not principal.reads(name):
            raise _forbidden()
        versions = self._store.secret_versions(name)
        if not versions:
            raise Refused(404, "SecretNotFound", f"A secret with (name/id) {name} was not found in this key vault.")
        return versions

    def _get(self, request: Request, versions: list[SecretVersion]) -> Response:
        wanted = request.path_params.get("version")
        found = next((one for one in versions if wanted in (None, one.version)), None)
        if found is None:
            raise Refused(404, "SecretNotFound", f"A secret with version {wanted} was not found in this key vault.")
        return _bundle(request, found)

    def _set(self, request: Request, principal: Principal, given: Mapping[str, Any]) -> Response:
        """A new version. Services have Azure's role Key Vault Secrets User, which only reads, but for few secrets."""
        name, value = request.path_params["name"], given.get("value")
        if not principal.sets(name):
            raise _forbidden()
        if not name.replace("-", "").isalnum() or not name.isascii() or len(name) > 127:
            raise Refused(400, "BadParameter", f"The request URI contains an invalid name: {name}")
        if not isinstance(value, str) or len(value) > LONGEST_VALUE:
            raise Refused(400, "BadParameter", "Property 'value' is required and has at most 25000 characters.")
        attributes = {key: item for key, item in (given.get("attributes") or {}).items() if key in _SETTABLE}
        body = {"value": value, "attributes": attributes}
        body |= {key: given[key] for key in ("contentType", "tags") if given.get(key) is not None}
        return _bundle(request, self._store.add_secret(name, body))

    def _list(self, request: Request, principal: Principal) -> Response:
        names = [name for name in self._store.secret_names() if principal.reads(name)]
        return _page(request, [_item(request, self._store.secret_versions(name)[0], name) for name in names])


def _forbidden() -> Refused:
    return Refused(
        403, "Forbidden", "Caller is not authorized to perform action on resource.", inner="ForbiddenByRbac"
    )


async def _json(request: Request) -> Mapping[str, Any]:
    try:
        given = await request.json()
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise Refused(400, "BadParameter", "The request body is not a JSON object.")
    return given


def _bundle(request: Request, found: SecretVersion) -> Response:
    item = _item(request, found, f"{found.name}/{found.version}")
    return JSONResponse({"value": found.body["value"], **item})


def _item(request: Request, found: SecretVersion, path: str) -> dict[str, Any]:
    """A secret without its value."""
    attributes = {
        "enabled": True, **found.body.get("attributes", {}), "created": found.created, "updated": found.created,
        "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90,
    }
    extras = {key: found.body[key] for key in ("contentType", "tags") if key in found.body}
    return {"id": f"https://{request.url.netloc}/secrets/{path}", "attributes": attributes, **extras}


def _page(request: Request, items: list[dict[str, Any]]) -> Response:
    query = request.query_params
    try:
        size, start = int(query.get("maxresults", PAGE)), int(query.get("$skiptoken", 0))
    except ValueError:
        size = start = -1
    if not 1 <= size <= PAGE or start < 0:
        raise Refused(400, "BadParameter", f"maxresults must be between 1 and {PAGE}.")
    following = None
    if start + size < len(items):
        after = {**query, "maxresults": size, "$skiptoken": start + size}
        following = f"https://{request.url.netloc}{request.url.path}?{urlencode(after)}"
    return JSONResponse({"value": items[start : start + size], "nextLink": following})
