"""A collector for OpenTelemetry: what services export is appended to files, for tests and curious people."""

import gzip
import json
from pathlib import Path

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
LARGEST = 32 * 2**20


class Collector:
    """Appends every export as one JSON line to `<kind>.jsonl`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def routes(self) -> list[Route]:
        """The endpoints."""
        return [Route("/otlp/v1/{kind}", self._export, methods=["POST"])]

    async def _export(self, request: Request) -> Response:
        kind = KINDS.get(request.path_params["kind"])
        if kind is None:
            return Response(status_code=404)
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        message = kind()
        try:
            message.ParseFromString(body)
        except DecodeError:
            return Response(status_code=400)
        self._append(request.path_params["kind"], json.dumps(MessageToDict(message)))
        return Response(b"", media_type="application/x-protobuf")

    def _append(self, kind: str, line: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{kind}.jsonl"
        if file.exists() and file.stat().st_size > LARGEST:
            file.replace(self._folder / f"{kind}.1.jsonl")
        with file.open("a") as opened:
            opened.write(line + "\n")
