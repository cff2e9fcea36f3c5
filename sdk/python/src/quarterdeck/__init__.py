"""Traces and scores of language model applications for Quarterdeck.

`init` connects OpenTelemetry to a Quarterdeck server; `trace` and `span` record work; `scope` says for whom it is done;
`score` says what was thought of it; `headers` lets a call through the gateway join the trace; `get_prompt` fetches a version of
a prompt and keeps it.

Underneath are OpenTelemetry's own spans, so whatever else is instrumented (LangChain, the openai package, HTTP clients)
nests with them.

Nothing of telemetry raises because it failed: what cannot be recorded or sent is told to the logger `quarterdeck`.
"""

from ._client import flush, init, shutdown
from ._headers import headers
from ._names import Kind
from ._prompt import Prompt, PromptError, get_prompt
from ._scope import scope
from ._score import ScoreValue, Source, score
from ._span import Span, current_span, span
from ._trace import trace

__all__ = [
    "Kind",
    "Prompt",
    "PromptError",
    "ScoreValue",
    "Source",
    "Span",
    "current_span",
    "flush",
    "get_prompt",
    "headers",
    "init",
    "scope",
    "score",
    "shutdown",
    "span",
    "trace",
]
__version__ = "0.1.0"
