"""Logs (structlog JSON on stdout), OpenTelemetry traces and counts; none ever carries personal data or a payload."""

import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import structlog
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

_TRACEPARENT = re.compile(r"^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$")
_tracer = trace.get_tracer("lotpro")


def configure(service: str, *, otlp_endpoint: str = "", trace_ratio: float = 0.1, level: str = "INFO") -> None:
    """Set up logging, tracing and counting in this process, once, from `__main__`."""
    structlog.configure(
        processors=[
            _of_service(service),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _with_trace,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Forward()], force=True)
    if otlp_endpoint:
        resource = Resource.create({"service.name": service, "service.namespace": "lotpro"})
        provider = TracerProvider(resource=resource, sampler=ParentBased(TraceIdRatioBased(trace_ratio)))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{otlp_endpoint}/v1/traces")))
        trace.set_tracer_provider(provider)
        exporter = OTLPMetricExporter(endpoint=f"{otlp_endpoint}/v1/metrics")
        metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(exporter)], resource))


def shutdown() -> None:
    """Send what spans and counts are left."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()
    counts = metrics.get_meter_provider()
    if isinstance(counts, MeterProvider):
        counts.shutdown()


class _Forward(logging.Handler):
    """Libraries' own log records, without their arguments: those may carry anything."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        structlog.get_logger().log(
            max(record.levelno, logging.DEBUG), "library", module=record.name, where=f"{record.module}:{record.lineno}",
            **({"error": type(error).__name__, "at": place_of(error)} if error else {}),
        )


def _of_service(service: str) -> Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]:
    def add(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        return event

    return add


def _with_trace(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = f"{span.trace_id:032x}"
    return event


def logger(name: str) -> Any:
    """A structured logger. Values must be ids, counts, codes and names of types; never payloads or people."""
    return structlog.get_logger(module=name)


def place_of(error: BaseException) -> str:
    """Where an exception came from, as `module:line`, for logs: its text may hold data, its place cannot."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    own = [frame for frame in frames if "lotpro" in frame.filename] or frames
    return f"{own[-1].filename.rsplit('/', 2)[-2]}/{own[-1].filename.rsplit('/', 1)[-1]}:{own[-1].lineno}"


@contextmanager
def span(
    name: str, *, traceparent: str = "", kind: SpanKind = SpanKind.INTERNAL, **attributes: str | int
) -> Iterator[trace.Span]:
    """A span around a piece of work, continuing the W3C traceparent when one is given."""
    parent = _parent(traceparent)
    if parent is not None and not parent.trace_flags.sampled:
        # Whoever began the trace records nothing of it: carry its id on, and ask no sampler.
        with trace.use_span(NonRecordingSpan(parent)) as silent:
            yield silent
        return
    context = trace.set_span_in_context(NonRecordingSpan(parent)) if parent is not None else None
    with _tracer.start_as_current_span(
        name, context=context, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except Exception as error:
            current.set_attribute("error.type", type(error).__name__)
            current.set_status(trace.StatusCode.ERROR)
            raise


def _parent(traceparent: str) -> SpanContext | None:
    match = _TRACEPARENT.match(traceparent)
    if match is None:
        return None
    trace_id, span_id, flags = match.groups()
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))


def traceparent() -> str:
    """The present span as a W3C traceparent, or empty text."""
    current = trace.get_current_span().get_span_context()
    if not current.is_valid:
        return ""
    return f"00-{current.trace_id:032x}-{current.span_id:016x}-{int(current.trace_flags):02x}"


def trace_id() -> str:
    """The present trace id as 32 hex digits, or empty text."""
    current = trace.get_current_span().get_span_context()
    return f"{current.trace_id:032x}" if current.is_valid else ""


def count(name: str, number: int = 1) -> None:
    """Add to a count that is sent to the collector every minute, and at the end of the process."""
    _counter(name).add(number)


@cache
def _counter(name: str) -> metrics.Counter:
    return metrics.get_meter("lotpro").create_counter(name)
