"""The names of attributes: OpenTelemetry's GenAI conventions, and OpenInference's for what those do not name.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md
"""

from typing import Final, Literal

Kind = Literal[
    "llm", "embedding", "retriever", "reranker", "tool", "chain", "agent", "guardrail", "evaluator", "prompt", "rollout"
]
"""What kind of work a span was; the words of Quarterdeck."""

KINDS: Final[frozenset[str]] = frozenset(Kind.__args__)  # type: ignore[attr-defined]

OPERATIONS: Final[dict[str, str]] = {
    "llm": "chat",
    "embedding": "embeddings",
    "retriever": "retrieval",
    "tool": "execute_tool",
    "agent": "invoke_agent",
}
"""The GenAI conventions' `gen_ai.operation.name` of the kinds that have one."""

SPAN_KIND: Final = "openinference.span.kind"
OPERATION: Final = "gen_ai.operation.name"
INPUT: Final = "input.value"
INPUT_TYPE: Final = "input.mime_type"
OUTPUT: Final = "output.value"
OUTPUT_TYPE: Final = "output.mime_type"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
PROVIDER: Final = "gen_ai.provider.name"
MODEL_REQUESTED: Final = "gen_ai.request.model"
MODEL: Final = "gen_ai.response.model"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
PARAMETER: Final = "gen_ai.request."
PARAMETERS: Final = {"stop": "stop_sequences", "n": "choice.count"}
"""OpenAI's names of parameters that the conventions call otherwise."""
PROMPT: Final = "gen_ai.prompt.name"
PROMPT_VERSION: Final = "llm.prompt_template.version"
TOOL: Final = "gen_ai.tool.name"
AGENT: Final = "gen_ai.agent.name"
SESSION: Final = "session.id"
USER: Final = "user.id"
TAGS: Final = "tag.tags"
METADATA: Final = "metadata"
FIRST_TOKEN_EVENT: Final = "First Token Stream Event"
ENVIRONMENT: Final = "deployment.environment.name"
RELEASE: Final = "service.version"
ERROR_TYPE: Final = "error.type"
