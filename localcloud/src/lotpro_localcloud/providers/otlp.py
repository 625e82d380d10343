"""A collector for OpenTelemetry: what services export is appended to files, for tests and curious people."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

KINDS: dict[str, type[Message]] = {
    "traces": ExportTraceServiceRequest, "logs": ExportLogsServiceRequest, "metrics": ExportMetricsServiceRequest,
}
#: Two files of this size a kind at most.
LARGEST_FILE = 32 * 2**20
#: An export that grows beyond this when it is unpacked is no honest one.
LARGEST_EXPORT = 64 * 2**20
#: OTLP's JSON writes these as hex, protobuf's own JSON as base64; logs have them as hex too, so that grep finds both.
_HEX = frozenset({"traceId", "spanId", "parentSpanId"})


class TooLarge(Exception):
    """An export beyond LARGEST_EXPORT."""


class Collector:
    """Appends every export as one line of OTLP's JSON to `<kind>.jsonl`."""

    def __init__(self, folder: Path, *, largest_file: int = LARGEST_FILE) -> None:
        self._folder, self._largest_file = folder, largest_file

    def routes(self) -> list[Route]:
        """The endpoints."""
        return [Route("/otlp/v1/{kind}", self._export, methods=["POST"])]

    async def _export(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in KINDS:
            return Response(status_code=404)
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-protobuf":
            return Response(status_code=415)
        message = KINDS[kind]()
        try:
            message.ParseFromString(_unpacked(await request.body(), request.headers.get("content-encoding", "")))
        except (DecodeError, zlib.error):
            return Response(status_code=400)
        except TooLarge:
            return Response(status_code=413)
        self.append(kind, json.dumps(_with_hex_ids(MessageToDict(message))))
        return Response(b"", media_type="application/x-protobuf")

    def append(self, kind: str, line: str) -> None:
        """Add a line; a full file becomes `<kind>.1.jsonl` first, in place of the one before it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{kind}.jsonl"
        if file.exists() and file.stat().st_size + len(line) > self._largest_file:
            file.replace(self._folder / f"{kind}.1.jsonl")
        with file.open("a", encoding="utf-8") as opened:
            opened.write(line + "\n")


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding != "gzip":
        return body
    unzip = zlib.decompressobj(wbits=31)
    unpacked = unzip.decompress(body, LARGEST_EXPORT)
    if unzip.unconsumed_tail:
        raise TooLarge
    return unpacked


def _with_hex_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_hex_ids(item) for item in value]
    if isinstance(value, dict):
        return {
            name: base64.b64decode(item).hex() if name in _HEX else _with_hex_ids(item) for name, item in value.items()
        }
    return value
