"""OpenTelemetry's own SDK and exporters, set up from the standard environment variables."""

import os

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def exporter():
    """The span exporter for the protocol that `OTEL_EXPORTER_OTLP_PROTOCOL` names."""
    match os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"]:
        case "grpc":
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        case "http/json":
            from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
        case "http/protobuf":
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    return OTLPSpanExporter()


def provider() -> TracerProvider:
    made = TracerProvider(resource=Resource.create({"service.name": "weather-desk"}))
    made.add_span_processor(BatchSpanProcessor(exporter()))
    trace.set_tracer_provider(made)
    return made
