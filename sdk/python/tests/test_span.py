"""Blocks of work and what is told of them."""

import json

import pytest
from opentelemetry.trace import StatusCode

import quarterdeck

TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}


def test_what_is_told_has_the_conventions_names(recorded):
    with quarterdeck.span("ask", kind="llm", input={"question": 1}, session="s-1", user="u-1", tags=["a"]) as work:
        work.set_model("gpt-4o-mini", answered="gpt-4o-mini-2024-07-18", provider="openai")
        work.set_parameters(
            temperature=0.5, max_tokens=64, stop=["\n"], response_format={"type": "json_object"}, seed=None
        )
        work.set_usage(input_tokens=20, output_tokens=7, cached_tokens=16, reasoning_tokens=2)
        work.set_metadata(tenant="north")
        work.set_prompt("weather", 3)
        work.set_output([1, 2])
    attributes = dict(recorded["ask"].attributes)
    assert attributes == {
        "openinference.span.kind": "LLM",
        "gen_ai.operation.name": "chat",
        "input.value": '{"question": 1}',
        "input.mime_type": "application/json",
        "output.value": "[1, 2]",
        "output.mime_type": "application/json",
        "session.id": "s-1",
        "user.id": "u-1",
        "tag.tags": ("a",),
        "metadata": '{"tenant": "north"}',
        "gen_ai.prompt.name": "weather",
        "llm.prompt_template.version": 3,
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.stop_sequences": ("\n",),
        "gen_ai.request.response_format": '{"type": "json_object"}',
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read.input_tokens": 16,
        "gen_ai.usage.reasoning.output_tokens": 2,
    }


def messages(span, side):
    return json.loads(span.attributes[f"gen_ai.{side}.messages"])


def test_messages_of_openai_become_parts(recorded):
    with quarterdeck.span("ask", kind="llm") as work:
        work.set_messages(
            input=[
                {"role": "system", "content": "Be brief."},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                    ],
                },
                {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]},
                {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
            ],
            output={"role": "assistant", "content": "Sun.", "finish_reason": "stop"},
        )
    span = recorded["ask"]
    # The shapes of gen_ai.input.messages in the published JSON schema of the conventions.
    assert messages(span, "input") == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "What is this?"},
                {"type": "uri", "modality": "image", "uri": "https://example.org/a.png"},
            ],
        },
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "call_1", "name": "get_weather", "arguments": {"city": "Paris"}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "sunny"}]},
    ]
    assert messages(span, "output") == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Sun."}], "finish_reason": "stop"}
    ]


def test_messages_as_texts_and_in_parts(recorded):
    parts = [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]
    with quarterdeck.span("texts", kind="llm") as work:
        work.set_messages(input="Hi", output="Hello")
    with quarterdeck.span("parts", kind="llm") as work:
        work.set_messages(input=parts)
    assert messages(recorded["texts"], "input") == messages(recorded["parts"], "input") == parts
    assert messages(recorded["texts"], "output")[0]["role"] == "assistant"


def test_messages_that_are_none_break_nothing(recorded, caplog):
    with quarterdeck.span("ask") as work:
        work.set_messages(input=[42])
    assert "gen_ai.input.messages" not in recorded["ask"].attributes
    assert "telemetry failed while keeping messages" in caplog.text


def test_a_scope_marks_all_spans_inside(recorded):
    with quarterdeck.span("outside"):
        pass
    with quarterdeck.span("root"), quarterdeck.scope(session="s-1", user="u-1", tags=["a", "b"], metadata={"n": 1}):
        with quarterdeck.span("inside"):
            pass
        with quarterdeck.scope(session="s-2", tags=["c"]), quarterdeck.span("deeper"):
            pass
        with quarterdeck.span("again"):
            pass
    assert "session.id" not in recorded["outside"].attributes
    for name in ("root", "inside", "again"):
        attributes = recorded[name].attributes
        assert (attributes["session.id"], attributes["user.id"]) == ("s-1", "u-1"), name
        assert attributes["tag.tags"] == ("a", "b") and attributes["metadata"] == '{"n": 1}'
    deeper = recorded["deeper"].attributes
    assert (deeper["session.id"], deeper["user.id"], deeper["tag.tags"]) == ("s-2", "u-1", ("c",))


def test_headers_name_the_current_span_and_the_scope(connect):
    connect(environment="staging", release="7")
    assert quarterdeck.headers() == {"x-quarterdeck-environment": "staging", "x-quarterdeck-release": "7"}
    with quarterdeck.span("ask") as work, quarterdeck.scope(session="s-1", user="Ünal", tags=["a", "b"]):
        told = quarterdeck.headers()
    # W3C Trace Context: version, trace, parent, flags, of which the lowest says that it is sampled.
    version, trace_id, span_id, flags = told.pop("traceparent").split("-")
    assert (version, trace_id, span_id, int(flags, 16) & 1) == ("00", work.trace_id, work.span_id, 1)
    # A user that fits no header is left out.
    assert told == {
        "x-quarterdeck-session": "s-1",
        "x-quarterdeck-tags": "a,b",
        "x-quarterdeck-environment": "staging",
        "x-quarterdeck-release": "7",
    }


def test_fail_marks_a_span_without_an_exception(recorded):
    with quarterdeck.span("half") as work:
        work.fail("the index was empty")
    assert recorded["half"].status.status_code is StatusCode.ERROR
    assert recorded["half"].status.description == "the index was empty"


def test_an_unknown_kind_is_a_chain(recorded, caplog):
    with quarterdeck.span("odd", kind="lmm"):
        pass
    assert recorded["odd"].attributes["openinference.span.kind"] == "CHAIN" and "'lmm'" in caplog.text


def test_failing_telemetry_never_breaks_the_program(recorded, caplog):
    from quarterdeck import _client

    class Broken:
        def on_start(self, span, parent_context=None):
            raise RuntimeError("broken on start")

        def on_end(self, span):
            raise RuntimeError("broken on end")

        def shutdown(self):
            pass

        def force_flush(self, timeout_millis=0):
            return True

    with quarterdeck.span("outer"):
        _client._client.provider.add_span_processor(Broken())
        with quarterdeck.span("inner"):
            assert quarterdeck.current_span().otel.name == "outer"

    @quarterdeck.trace
    def answer():
        return 42

    assert answer() == 42
    with quarterdeck.span("block") as work:
        work.set_output(object())
    with pytest.raises(KeyError), quarterdeck.span("raises"):
        raise KeyError("the program's own")
    assert "broken on start" in caplog.text
