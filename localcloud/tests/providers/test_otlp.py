"""What OpenTelemetry's own exporter sends ends in a file that can be searched by the ids that logs have."""

import gzip
import json
import zlib
from pathlib import Path

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from localcloud.tests.providers.conftest import Cloud
from lotpro_localcloud.providers.otlp import LARGEST_EXPORT, Collector

PROTOBUF = {"content-type": "application/x-protobuf"}


def test_a_span_is_found_by_its_trace_id(cloud: Cloud) -> None:
    for number, compression in enumerate((Compression.NoCompression, Compression.Gzip)):
        provider = TracerProvider(resource=Resource({"service.name": "test"}), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{cloud.url}/otlp/v1/traces", compression=compression)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("test").start_as_current_span("work") as span:
            trace_id = f"{span.get_span_context().trace_id:032x}"
        provider.shutdown()
        lines = (cloud.folder / "telemetry" / "traces.jsonl").read_text().splitlines()
        assert len(lines) == number + 1
        (scope,) = json.loads(lines[-1])["resourceSpans"][0]["scopeSpans"]
        assert (scope["spans"][0]["name"], scope["spans"][0]["traceId"]) == ("work", trace_id)


def test_what_is_no_export_is_refused(cloud: Cloud) -> None:
    def status(body: bytes, kind: str = "logs", headers: dict[str, str] = PROTOBUF) -> int:
        return cloud.http.post(f"/otlp/v1/{kind}", content=body, headers=headers).status_code

    packed = PROTOBUF | {"content-encoding": "gzip"}
    assert status(b"", "profiles") == 404
    assert status(b"{}", headers={"content-type": "application/json"}) == 415
    assert status(b"\xff\xff") == 400
    assert status(b"not gzip", headers=packed) == 400
    assert status(gzip.compress(bytes(LARGEST_EXPORT + 1), 1), headers=packed) == 413
    assert status(zlib.compress(b"", wbits=31), headers=packed) == 200


def test_a_full_file_makes_room_and_only_one_old_one_is_kept(tmp_path: Path) -> None:
    collector = Collector(tmp_path, largest_file=100)
    for number in range(10):
        collector.append("logs", f"{number}" * 40)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["logs.1.jsonl", "logs.jsonl"]
    assert all(file.stat().st_size <= 100 for file in tmp_path.iterdir())
    assert (tmp_path / "logs.jsonl").read_text().endswith("9" * 40 + "\n")
