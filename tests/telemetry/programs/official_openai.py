"""OpenTelemetry's instrumentation (opentelemetry-instrumentation-openai-v2) with all three signals; messages go where
the environment says."""

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

import call
import exporting

provider = exporting.provider()
logs = LoggerProvider(resource=provider.resource)
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource=provider.resource)
OpenAIInstrumentor().instrument(tracer_provider=provider, logger_provider=logs, meter_provider=meters)
call.play(provider.get_tracer("weather-desk"), call.client())
provider.shutdown()
logs.shutdown()
meters.shutdown()
