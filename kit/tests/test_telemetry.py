"""What a process counts reaches the collector when it ends."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

_COUNTING = """
import sys
from lotpro_kit import telemetry
telemetry.configure("sample", otlp_endpoint=sys.argv[1])
telemetry.count("lotpro.sample.things", 2)
telemetry.count("lotpro.sample.things")
telemetry.shutdown()
"""


class Collector(HTTPServer):
    """Keeps what is exported, by path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.received: list[tuple[str, bytes]] = []


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.received.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_counts_reach_the_collector_with_their_service(collector: Collector) -> None:
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    subprocess.run([sys.executable, "-c", _COUNTING, endpoint], check=True, timeout=60)
    [export] = [
        ExportMetricsServiceRequest.FromString(body) for path, body in collector.received if path == "/v1/metrics"
    ]
    [resource] = export.resource_metrics
    assert {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"] == "sample"
    [metric] = resource.scope_metrics[0].metrics
    assert metric.name == "lotpro.sample.things"
    assert [point.as_int for point in metric.sum.data_points] == [3]


def test_a_process_without_a_collector_counts_all_the_same() -> None:
    subprocess.run(
        [sys.executable, "-c", _COUNTING.replace("sys.argv[1]", "''")], check=True, timeout=60, capture_output=True
    )
