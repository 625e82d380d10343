"""The HTTP door to the log's tree: what was signed, and proofs of it. Nothing here says what is in the log."""

import re
from base64 import b64encode
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from lotpro_audit.ports import Ports
from lotpro_audit.tree import service
from lotpro_audit.tree.schemas import CheckpointAnswer, ConsistencyAnswer, LogKeyAnswer
from lotpro_audit.tree.service import CheckpointUnknown
from lotpro_kit import api
from lotpro_kit.db import Database

Size = Annotated[int, Query(ge=0, le=2**63 - 1, description="Of the tree: how many events it has.")]
IfNoneMatch = Annotated[str | None, Header(max_length=256)]
#: The newest one is asked for each time; one of a size never changes, and the key only when it is replaced.
_ASK, _KEEP = "private, no-cache", "private, max-age=31536000, immutable"
_KEY_CACHE = "public, max-age=3600"
_SIZE = re.compile(r"[1-9][0-9]{0,18}")
_NOT_CHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "It is the one that If-None-Match names."}}


def router(database: Database, ports: Ports) -> APIRouter:
    """Routes of the tree."""
    routes = APIRouter(prefix="/api/audit/v1", tags=["proofs"])

    @routes.get(
        "/checkpoints/latest", response_model=CheckpointAnswer,
        responses=_NOT_CHANGED | api.problems(CheckpointUnknown),
    )
    async def get_latest_checkpoint(caller: api.Signed, if_none_match: IfNoneMatch = None) -> Response:
        """The newest signed checkpoint of the log."""
        async with database.begin(caller) as session:
            found = await service.newest_checkpoint(session)
        return _answer(found, if_none_match, _ASK)

    @routes.get(
        "/checkpoints/{size}", response_model=CheckpointAnswer,
        responses=_NOT_CHANGED | api.problems(CheckpointUnknown),
    )
    async def get_checkpoint(size: str, caller: api.Signed, if_none_match: IfNoneMatch = None) -> Response:
        """The signed checkpoint of a size, if one was signed at just that size."""
        if not _SIZE.fullmatch(size) or int(size) >= 2**63:
            raise CheckpointUnknown
        async with database.begin(caller) as session:
            found = await service.checkpoint_of(session, int(size))
        return _answer(found, if_none_match, _KEEP)

    @routes.get("/checkpoints:consistency", responses=api.problems(CheckpointUnknown))
    async def prove_consistency(
        caller: api.Signed, response: Response, old: Size = 0, new: Size | None = None
    ) -> ConsistencyAnswer:
        """The proof that the log of size `old` is where the one of size `new` (else the newest) began."""
        async with database.begin(caller) as session:
            wanted = (await service.newest_checkpoint(session)).size if new is None else new
            path = await service.consistency_proof(session, old=old, new=wanted)
        response.headers["Cache-Control"] = _ASK if new is None else _KEEP
        return ConsistencyAnswer(old=old, new=wanted, path=[b64encode(part).decode() for part in path])

    @routes.get("/log-key")
    async def get_log_key(caller: api.Anyone, response: Response) -> LogKeyAnswer:
        """The public key that checkpoints are verified with. Compare it with the one you know from elsewhere."""
        response.headers["Cache-Control"] = _KEY_CACHE
        return LogKeyAnswer(key=ports.checkpoint_key().verifier.spelled())

    def _answer(found: Any, if_none_match: str | None, cache: str) -> Response:
        headers = {"ETag": f'"{found.size}"', "Cache-Control": cache}
        if if_none_match is not None and _names(if_none_match, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        body = CheckpointAnswer(
            size=found.size, logged_at=found.logged_at, note=found.note,
            log_key=ports.checkpoint_key().verifier.spelled(),
        )
        return api.answer(200, body, headers)

    return routes


def _names(if_none_match: str, etag: str) -> bool:
    """Whether a header names a tag: weak comparison, as RFC 9110 13.1.2 asks for."""
    return bool({"*", etag} & {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")})
