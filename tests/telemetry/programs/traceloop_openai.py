"""Traceloop's instrumentation (opentelemetry-instrumentation-openai)."""

from opentelemetry.instrumentation.openai import OpenAIInstrumentor

import call
import exporting

provider = exporting.provider()
OpenAIInstrumentor().instrument(tracer_provider=provider)
call.play(provider.get_tracer("weather-desk"), call.client())
provider.shutdown()
