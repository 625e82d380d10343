"""The HTTP door to exports of the log."""

from base64 import b64encode
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from fastapi.responses import StreamingResponse

from lotpro_audit.exports import domain, service
from lotpro_audit.exports.domain import ExportNotReady, ExportUnknown, Format, State, TooManyExports
from lotpro_audit.exports.schemas import ExportAnswer, ExportFilter, Exports, OpenExport
from lotpro_audit.exports.service import Export
from lotpro_audit.ports import Ports
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.cursors import Cursors, InvalidCursor
from lotpro_kit.db import Database

MayExport = Annotated[Caller, Depends(api.requires("audit:event:export"))]
LISTING = "exports"
_PATH = "/api/audit/v1/exports"
_TYPES = {Format.JSONL: "application/x-ndjson", Format.CSV: "text/csv; charset=utf-8"}
_FILE = {"schema": {"type": "string", "format": "binary"}}


def router(database: Database, cursors: Cursors, ports: Ports) -> APIRouter:
    """Routes of exports."""
    routes = APIRouter(prefix="/api/audit/v1", tags=["exports"])

    @routes.post(
        "/exports", status_code=202, response_model=ExportAnswer,
        responses=api.problems(errors.Forbidden, api.StepUpRequired, TooManyExports),
    )
    async def open_export(body: OpenExport, caller: MayExport, once: api.Idempotent) -> Response:
        """Have the organisation's log, or some of it, made into a file that proves itself.

        It is made in the background; ask for its state. That it was opened is logged before anything is read. Whoever
        opens or fetches one gave a second factor lately.
        """
        api.check_stepped_up(caller, now=ports.clock().timestamp())
        asked = body.filter.model_dump(mode="json", exclude_none=True) if body.filter else {}

        async def make() -> api.Made:
            export_id = await service.open_export(
                session, caller, ports, spelling=body.format, filter=asked or None
            )
            found = await service.get_export(session, caller, ports, export_id=export_id)
            return 202, _answer(found), {"Location": f"{_PATH}/{export_id}", **api.etag(found.row.version)}

        async with database.begin(caller) as session:
            response = await once.answer(session, caller, make)
        await service.opened(database, UUID(response.headers["location"].rpartition("/")[2]))
        return response

    @routes.get("/exports", responses=api.problems(errors.Forbidden, InvalidCursor))
    async def list_exports(caller: MayExport, limit: api.Limit = 50, cursor: api.CursorParameter = None) -> Exports:
        """The organisation's exports that have not expired, newest first."""
        before = UUID(str(cursors.read(caller, LISTING, cursor)[0])) if cursor else None
        async with database.begin(caller) as session:
            found = await service.list_exports(session, caller, ports, before=before, limit=limit)
        more = len(found) > limit
        following = cursors.write(caller, LISTING, [str(found[limit - 1].row.id)]) if more else None
        return Exports(items=[_answer(export) for export in found[:limit]], next_cursor=following)

    @routes.get("/exports/{export_id}", responses=api.problems(errors.Forbidden, ExportUnknown))
    async def get_export(export_id: str, caller: MayExport, response: Response) -> ExportAnswer:
        """One export: its state, and how far it is."""
        async with database.begin(caller) as session:
            found = await service.get_export(session, caller, ports, export_id=api.path_id(export_id))
        response.headers.update(api.etag(found.row.version))
        return _answer(found)

    @routes.get(
        "/exports/{export_id}/content",
        response_class=StreamingResponse,
        responses={
            200: {
                "content": {"application/x-ndjson": _FILE, "text/csv": _FILE},
                "description": "The file, as `lotpro-audit verify` judges it.",
            },
            **api.problems(
                errors.Forbidden, api.StepUpRequired, ExportUnknown, ExportNotReady, errors.Unavailable
            ),
        },
    )
    async def download_export(export_id: str, caller: MayExport) -> StreamingResponse:
        """The finished file. That it is handed out is logged first; a file without its last line is cut off."""
        api.check_stepped_up(caller, now=ports.clock().timestamp())
        export = await service.download_export(database, caller, ports, export_id=api.path_id(export_id))
        row, spelling = export.row, Format(export.row.format)
        return StreamingResponse(
            service.content_of(database, caller, ports, export),
            media_type=_TYPES[spelling],
            headers={
                "content-length": str(row.size),
                "content-disposition": f'attachment; filename="security-log-{row.id}.{spelling}"',
                "repr-digest": f"sha-256=:{b64encode(row.sha256).decode()}:",
                "cache-control": "private, no-store",
                "x-content-type-options": "nosniff",
            },
        )

    @routes.delete(
        "/exports/{export_id}", status_code=204,
        responses=api.problems(
            errors.Forbidden, ExportUnknown, errors.PreconditionFailed, errors.PreconditionRequired
        ),
    )
    async def delete_export(export_id: str, caller: MayExport, expected: api.ExpectedVersion) -> Response:
        """Destroy an export, finished or not."""
        async with database.begin(caller) as session:
            await service.delete_export(
                session, caller, ports, export_id=api.path_id(export_id), expected=expected
            )
        return Response(status_code=204)

    return routes


def _answer(export: Export) -> ExportAnswer:
    row, state = export.row, State(export.row.state)
    return ExportAnswer(
        id=row.id, format=Format(row.format), filter=ExportFilter(**export.filter) if export.filter else None,
        state=state, error=row.error, opened_by=row.opened_by, opened_at=row.opened_at, finished_at=row.finished_at,
        expires_at=row.expires_at, events=row.events, total=row.total,
        percent=domain.percent(row.events, row.total, state), checkpoint_size=row.tree_size, size=row.size,
        sha256=row.sha256.hex() if row.sha256 else None,
    )
