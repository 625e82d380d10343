"""Blob Storage's REST API: each service has a container of its name, for it alone; contents are put and read whole.

Audit's container has what Azure calls a time-based retention policy: what was put into it can be neither replaced nor,
for ten years, deleted.
"""

import base64
import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from uuid import uuid4
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lotpro_localcloud.providers.entra import Principal, Tenant

AUDIENCE = "https://storage.azure.com"
#: Tokens are understood since this version of the API.
OLDEST_VERSION = "2017-11-09"
#: A machine to develop on need not hold Azure's 5000 MiB in memory.
LARGEST = 16 * 2**20
#: Containers whose blobs are immutable, and for how long after they were made.
RETAINED = {"audit": timedelta(days=3650)}
#: Names on one page of a list: Azure's own limit.
PAGE = 5000
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Refused(Exception):
    """An error in Blob Storage's shape."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.status, self.code = status, code


@dataclass(frozen=True, slots=True)
class Properties:
    """What is known of a blob; the first line of its file, in JSON."""

    name: str
    content_type: str
    md5: str
    etag: str
    created: str
    modified: str


class Blobs:
    """The storage account. A blob is one file, replaced at once, so that a crash leaves the old or the new one."""

    def __init__(self, folder: Path, tenant: Tenant) -> None:
        self._folder, self._tenant = folder, tenant

    def routes(self) -> list[Route]:
        """The endpoints."""
        return [
            Route("/blob/{container}", self._endpoint, methods=["GET"]),
            Route("/blob/{container}/{name:path}", self._endpoint, methods=["GET", "HEAD", "PUT", "DELETE"]),
        ]

    async def _endpoint(self, request: Request) -> Response:
        common = {"x-ms-request-id": str(uuid4()), "x-ms-version": request.headers.get("x-ms-version", "")}
        if asked := request.headers.get("x-ms-client-request-id"):
            common["x-ms-client-request-id"] = asked
        try:
            folder = self._container(request, self._principal(request))
            content = await _content(request) if request.method == "PUT" else b""
            # From here on nothing is awaited: a condition holds until what depends on it is done.
            if "name" in request.path_params:
                response = self._answer(request, _file(request, folder), content)
            else:
                response = _list(request, folder)
        except Refused as refused:
            response = _refusal(request, refused, authority=self._tenant.issuer.removesuffix("/v2.0"))
        response.headers.update(common)
        return response

    def _principal(self, request: Request) -> Principal:
        if request.url.scheme != "https":
            raise Refused(400, "AccountRequiresHttps")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(401, "NoAuthenticationInformation")
        if request.headers.get("x-ms-version", "") < OLDEST_VERSION:
            raise Refused(400, "InvalidHeaderValue", "x-ms-version")
        principal = self._tenant.principal_of(token, audience=AUDIENCE)
        if principal is None:
            raise Refused(401, "InvalidAuthenticationInfo")
        return principal

    def _container(self, request: Request, principal: Principal) -> Path:
        """Where a container's blobs are."""
        container = str(request.path_params["container"])
        if principal.service != container:
            raise Refused(403, "AuthorizationPermissionMismatch")
        if container not in self._tenant.services():
            raise Refused(404, "ContainerNotFound")
        return self._folder / container

    def _answer(self, request: Request, file: Path, content: bytes) -> Response:
        found = _read(file)
        if request.method == "PUT":
            return _put(request, file, content, found[0] if found else None)
        if found is None:
            raise Refused(404, "BlobNotFound")
        properties, stored = found
        _check_match(request, properties)
        if request.method == "DELETE":
            kept = RETAINED.get(request.path_params["container"])
            if kept and datetime.now(UTC) < parsedate_to_datetime(properties.created) + kept:
                raise Refused(409, "BlobImmutableDueToPolicy")
            file.unlink()
            _sync(file.parent)
            return Response(status_code=202, headers={"x-ms-delete-type-permanent": "true"})
        if request.headers.get("if-none-match") in (properties.etag, "*"):
            raise Refused(304, "ConditionNotMet")
        return _get(request, properties, stored)


def _file(request: Request, folder: Path) -> Path:
    """Where a blob is; names are hashed, for they may be anything."""
    name = str(request.path_params["name"])
    if request.query_params.keys() & {"comp", "restype", "snapshot", "versionid"}:
        raise Refused(400, "UnsupportedQueryParameter")
    if not name or len(name) > 1024:
        raise Refused(400, "InvalidResourceName")
    return folder / hashlib.sha256(name.encode()).hexdigest()


def _list(request: Request, folder: Path) -> Response:
    """List Blobs: a page of those whose names begin with a prefix, in the order of their names."""
    asked = request.query_params
    if (asked.get("restype"), asked.get("comp")) != ("container", "list") or asked.keys() & {"delimiter", "include"}:
        raise Refused(400, "UnsupportedQueryParameter")
    most = asked.get("maxresults", str(PAGE))
    if not most.isdecimal() or not 1 <= int(most) <= PAGE:
        raise Refused(400, "OutOfRangeQueryParameterValue")
    stored = (_read(file) for file in folder.iterdir() if not file.suffix) if folder.exists() else ()
    names = sorted(
        (found[0].name, found[0], len(found[1]))
        for found in stored
        if found and found[0].name.startswith(asked.get("prefix", "")) and found[0].name >= asked.get("marker", "")
    )
    page, rest = names[: int(most)], names[int(most) :]
    blobs = "".join(_listed(properties, size) for _, properties, size in page)
    # A marker may be anything that only the service understands.
    body = (
        f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="{folder.name}">'
        f"<Prefix>{escape(asked.get('prefix', ''))}</Prefix><MaxResults>{most}</MaxResults><Blobs>{blobs}</Blobs>"
        f"<NextMarker>{escape(rest[0][0]) if rest else ''}</NextMarker></EnumerationResults>"
    )
    return Response(body, media_type="application/xml")


def _listed(properties: Properties, size: int) -> str:
    return (
        f"<Blob><Name>{escape(properties.name)}</Name><Properties>"
        f"<Creation-Time>{properties.created}</Creation-Time><Last-Modified>{properties.modified}</Last-Modified>"
        f"<Etag>{properties.etag.strip(chr(34))}</Etag><Content-Length>{size}</Content-Length>"
        f"<Content-Type>{escape(properties.content_type)}</Content-Type><Content-MD5>{properties.md5}</Content-MD5>"
        "<BlobType>BlockBlob</BlobType></Properties></Blob>"
    )


async def _content(request: Request) -> bytes:
    if int(request.headers.get("content-length", "0")) > LARGEST:
        raise Refused(413, "RequestBodyTooLarge")
    return await request.body()


def _check_match(request: Request, found: Properties | None) -> None:
    wanted = request.headers.get("if-match")
    if wanted is not None and (found is None or wanted not in (found.etag, "*")):
        raise Refused(412, "ConditionNotMet")


def _put(request: Request, file: Path, content: bytes, found: Properties | None) -> Response:
    if request.headers.get("x-ms-blob-type") != "BlockBlob":
        raise Refused(400, "InvalidHeaderValue", "x-ms-blob-type")
    _check_match(request, found)
    if found is not None and request.headers.get("if-none-match") == "*":
        raise Refused(409, "BlobAlreadyExists")
    if found is not None and request.headers.get("if-none-match") == found.etag:
        raise Refused(412, "ConditionNotMet")
    if found is not None and request.path_params["container"] in RETAINED:
        raise Refused(409, "BlobImmutableDueToPolicy")
    md5 = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
    if request.headers.get("content-md5", md5) != md5:
        raise Refused(400, "Md5Mismatch")
    now = format_datetime(datetime.now(UTC), usegmt=True)
    properties = Properties(
        name=request.path_params["name"],
        content_type=request.headers.get("x-ms-blob-content-type") or "application/octet-stream",
        md5=md5, etag=f'"0x{uuid4().hex[:15].upper()}"', created=found.created if found else now, modified=now,
    )
    _write(file, json.dumps(asdict(properties)).encode() + b"\n" + content)
    headers = {
        "etag": properties.etag, "last-modified": now, "content-md5": md5, "x-ms-request-server-encrypted": "true",
    }
    return Response(status_code=201, headers=headers)


def _get(request: Request, properties: Properties, stored: bytes) -> Response:
    headers = {
        "etag": properties.etag, "last-modified": properties.modified, "accept-ranges": "bytes",
        "content-type": properties.content_type, "x-ms-blob-type": "BlockBlob", "x-ms-server-encrypted": "true",
        "x-ms-creation-time": properties.created, "x-ms-lease-state": "available", "x-ms-lease-status": "unlocked",
    }
    asked = _RANGE.fullmatch(request.headers.get("x-ms-range", request.headers.get("range", "")))
    if request.method == "HEAD" or asked is None:
        headers |= {"content-md5": properties.md5, "content-length": str(len(stored))}
        return Response(b"" if request.method == "HEAD" else stored, headers=headers)
    first = int(asked[1])
    if first >= len(stored):
        raise Refused(416, "InvalidRange")
    last = min(int(asked[2] or len(stored) - 1), len(stored) - 1)
    headers |= {
        "content-range": f"bytes {first}-{last}/{len(stored)}", "x-ms-blob-content-md5": properties.md5,
    }
    return Response(stored[first : last + 1], 206, headers)


def _refusal(request: Request, refused: Refused, *, authority: str) -> Response:
    headers = {"x-ms-error-code": refused.code}
    if refused.status == 401:
        headers["www-authenticate"] = (
            f"Bearer authorization_uri={authority}/oauth2/authorize resource_id={AUDIENCE}"
        )
    if refused.status == 304 or request.method == "HEAD":
        return Response(status_code=refused.status, headers=headers)
    text = f"<Error><Code>{refused.code}</Code><Message>{escape(str(refused))}</Message></Error>"
    body = f'<?xml version="1.0" encoding="utf-8"?>{text}'
    return Response(body, refused.status, headers, media_type="application/xml")


def _read(file: Path) -> tuple[Properties, bytes] | None:
    try:
        first, _, content = file.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    return Properties(**json.loads(first)), content


def _write(file: Path, content: bytes) -> None:
    """Whole, on the disk, and only then in its place."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    making = file.with_name(f"{file.name}.{uuid4().hex}.making")
    with open(making, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as written:
        written.write(content)
        written.flush()
        os.fsync(written.fileno())
    os.replace(making, file)
    _sync(file.parent)


def _sync(folder: Path) -> None:
    """Make what was renamed or removed in a folder last."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
