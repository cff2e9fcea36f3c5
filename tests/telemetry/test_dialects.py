"""One meaning for every dialect: the same call through each instrumentation reads back the same."""

import json

import pytest

from programs.call import CALL, QUESTION, RESULT, SYSTEM

GENAI = ("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
GZIP = ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")

DIALECTS = {
    "traceloop, grpc": ("traceloop_openai.py", ((PROTOCOL, "grpc"), GZIP)),
    "traceloop, http/protobuf": ("traceloop_openai.py", ((PROTOCOL, "http/protobuf"),)),
    "traceloop, http/json": ("traceloop_openai.py", ((PROTOCOL, "http/json"), GZIP)),
    "opentelemetry, messages as events": ("official_openai.py", ((CAPTURE, "true"),)),
    "opentelemetry, messages as attributes": ("official_openai.py", (GENAI, (CAPTURE, "span_only"), GZIP)),
    "opentelemetry, messages in one event": (
        "official_openai.py",
        (GENAI, (CAPTURE, "event_only"), ("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT", "true")),
    ),
    "openinference, grpc": ("openinference_openai.py", ((PROTOCOL, "grpc"),)),
    "openinference, http/json": ("openinference_openai.py", ((PROTOCOL, "http/json"),)),
    "langfuse": ("langfuse_client.py", ()),
    "quarterdeck": ("quarterdeck_sdk.py", ()),
}
TELL_FIRST_TOKEN = ("traceloop", "openinference", "langfuse", "quarterdeck")

# Dollars for a million tokens as OpenAI publishes them, in picodollars for one: gpt-4o-mini 0.15 and 0.60; gpt-4o 2.50,
# cached 1.25, and 10.00. The stub answers with 20 tokens in, 7 out, and of gpt-4o's 20 it has 16 from its cache.
PLAIN_COST = 20 * 150_000 + 7 * 600_000
CACHED_COST = 4 * 2_500_000 + 16 * 1_250_000 + 7 * 10_000_000
CACHED_COST_UNTOLD = 20 * 2_500_000 + 7 * 10_000_000

ANSWER = {"role": "assistant", "content": "It is sunny in Paris."}
ASKED_TOOL = {"role": "assistant", "tool_calls": [CALL]}


@pytest.fixture(params=DIALECTS, ids=lambda name: name.replace(", ", "-").replace(" ", "_"))
def dialect(request):
    return request.param


@pytest.fixture
def scene(telemetry, dialect):
    """The root and the model call of a scene."""

    def look(name):
        traces = telemetry.play(*DIALECTS[dialect])
        spans = telemetry.spans(traces[name])
        assert [span["name"] for span in spans if span["parent_id"] is None] == [name]
        assert len(spans) == 2, [span["name"] for span in spans]
        root = next(span for span in spans if span["parent_id"] is None)
        call = next(span for span in spans if span["parent_id"] is not None)
        assert (call["kind"], call["parent_id"]) == ("llm", root["span_id"])
        return root, call

    return look


def normal(messages):
    """Messages without what some write and others leave out: empty fields, finish reasons, how arguments are spaced."""
    assert isinstance(messages, list), messages
    return [
        {
            "role": message["role"],
            "content": message.get("content") or "",
            "tool_call_id": message.get("tool_call_id"),
            "tool_calls": [
                (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
                for call in message.get("tool_calls") or []
            ],
        }
        for message in messages
    ]


def check(call, *, model="gpt-4o-mini", input, output, cost=PLAIN_COST, cached=0):
    assert (call["status"], call["model"]) == ("ok", model)
    assert (call["input_tokens"], call["output_tokens"], call["cached_tokens"]) == (20, 7, cached)
    assert call["cost_picodollars"] == cost
    assert normal(call["input"]) == normal(input)
    assert normal(call["output"]) == normal(output)


def test_a_call(scene, dialect):
    _, call = scene("plain")
    check(call, input=[SYSTEM, QUESTION], output=[ANSWER])
    # Langfuse's client names no provider.
    assert call["provider"] == (None if dialect == "langfuse" else "openai")
    assert (call["parameters"]["temperature"], call["parameters"]["max_tokens"]) == (0.25, 64)


def test_cached_tokens_are_priced_apart(scene, dialect):
    _, call = scene("cached")
    told = not dialect.startswith("opentelemetry")
    cost, cached = (CACHED_COST, 16) if told else (CACHED_COST_UNTOLD, 0)
    check(call, model="gpt-4o", input=[SYSTEM, QUESTION], output=[ANSWER], cost=cost, cached=cached)


def test_a_streamed_call(scene, dialect):
    _, call = scene("streamed")
    check(call, input=[SYSTEM, QUESTION], output=[{**ANSWER, "content": "It is sunny in Paris. "}])
    if dialect.startswith(TELL_FIRST_TOKEN):
        assert 0 < call["ttft_ms"] <= call["latency_ms"]


def test_an_answer_that_calls_a_tool(scene):
    _, call = scene("asks_tool")
    check(call, input=[SYSTEM, QUESTION], output=[ASKED_TOOL])


def test_a_history_with_a_tool(scene):
    _, call = scene("after_tool")
    check(call, input=[SYSTEM, QUESTION, ASKED_TOOL, RESULT], output=[ANSWER])


def test_a_call_that_fails(scene):
    _, call = scene("fails")
    assert call["status"] == "error" and "429" in call["status_message"]
    assert (call["model"] or call["model_requested"]) == "stub-overloaded"
    assert normal(call["input"]) == normal([QUESTION])
    assert not call["output_tokens"] and not call["cost_picodollars"]


@pytest.mark.parametrize("dialect", ["langfuse", "quarterdeck"])
def test_session_user_and_tags(scene):
    for span in scene("plain"):
        assert (span["session_id"], span["user_id"], span["tags"]) == ("session-1", "user-1", ["weather"])


@pytest.mark.parametrize("dialect", ["quarterdeck"])
def test_environment_and_release(scene):
    for span in scene("plain"):
        assert (span["environment"], span["release"]) == ("staging", "1.4.0")


@pytest.mark.parametrize("dialect", ["langfuse", "quarterdeck"])
def test_the_root_is_an_agent(scene):
    root, _ = scene("plain")
    assert root["kind"] == "agent"


@pytest.mark.parametrize("dialect", ["traceloop, grpc"])
def test_what_no_field_has_is_an_attribute(scene):
    _, call = scene("plain")
    assert call["attributes"]["gen_ai.response.id"] == "chatcmpl-stub"
    assert call["attributes"]["openai.response.service_tier"] == "default"
