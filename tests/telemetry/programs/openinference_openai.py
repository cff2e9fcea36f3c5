"""Arize's instrumentation (openinference-instrumentation-openai)."""

from openinference.instrumentation.openai import OpenAIInstrumentor

import call
import exporting

provider = exporting.provider()
OpenAIInstrumentor().instrument(tracer_provider=provider)
call.play(provider.get_tracer("weather-desk"), call.client())
provider.shutdown()
