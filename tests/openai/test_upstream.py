"""Calls that an upstream answers: what is forwarded, and what comes back untouched."""

import json

import openai
import pytest

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
QUESTION = [{"role": "user", "content": "What is the weather in Paris?"}]


def test_tools_round_trip(client, stub):
    answer = client.chat.completions.create(
        model="stub/stub-large", messages=QUESTION, tools=TOOLS, tool_choice="auto", parallel_tool_calls=False
    )
    call = answer.choices[0].message.tool_calls[0]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"})
    sent = stub.seen[-1]["body"]
    assert (sent["model"], sent["tools"], sent["tool_choice"]) == ("stub-large", TOOLS, "auto")
    assert sent["parallel_tool_calls"] is False

    turn = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    history = [*QUESTION, answer.choices[0].message.model_dump(exclude_none=True), turn]
    final = client.chat.completions.create(model="stub/stub-large", messages=history, tools=TOOLS)
    assert final.choices[0].message.content == "It is sunny in Paris."
    assert stub.seen[-1]["body"]["messages"][1]["tool_calls"][0]["id"] == "call_1"


def test_streamed_tools(client):
    stream = client.chat.completions.create(model="stub/stub-large", messages=QUESTION, tools=TOOLS, stream=True)
    name, arguments, reasons = "", "", []
    for chunk in stream:
        for call in chunk.choices[0].delta.tool_calls or []:
            name += call.function.name or ""
            arguments += call.function.arguments or ""
        reasons.append(chunk.choices[0].finish_reason)
    assert (name, json.loads(arguments), reasons[-1]) == ("get_weather", {"city": "Paris"}, "tool_calls")


def test_unknown_fields_go_both_ways(client, stub):
    answer = client.chat.completions.create(
        model="routed", messages=QUESTION, extra_body={"a_new_field": {"deep": [1, 2]}}, metadata={"ours": "yes"}
    )
    sent = stub.seen[-1]
    assert sent["body"]["a_new_field"] == {"deep": [1, 2]} and sent["body"]["metadata"] == {"ours": "yes"}
    assert sent["body"]["model"] == "stub-large"
    assert answer.choices[0].message.a_field_of_its_own == {"kept": True}
    assert answer.usage.prompt_tokens_details.cached_tokens == 16


def test_the_upstream_gets_its_own_key(client, stub, server):
    client.chat.completions.create(model="routed", messages=QUESTION)
    headers = {name.lower(): value for name, value in stub.seen[-1]["headers"].items()}
    assert headers["authorization"] == "Bearer sk-upstream"
    assert server.key not in json.dumps(stub.seen[-1])


def test_trace_context_is_passed_on(client, stub, server):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    client.chat.completions.create(
        model="routed", messages=QUESTION, extra_headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    )
    headers = {name.lower(): value for name, value in stub.seen[-1]["headers"].items()}
    assert headers["traceparent"].split("-")[1] == trace and "00f067aa0ba902b7" not in headers["traceparent"]
    spans = wait_for(lambda: json.loads(server.command("trace", "show", trace, "--output", "json")))
    assert spans[0]["parent_id"] == "00f067aa0ba902b7"


def test_streamed_usage_is_traced(client, server):
    stream = client.chat.completions.create(
        model="routed", messages=QUESTION, stream=True, stream_options={"include_usage": True},
        extra_headers={"traceparent": "00-aaaabbbbccccddddeeeeffff00001111-00f067aa0ba902b7-01"},
    )
    assert [chunk.usage for chunk in stream][-1].total_tokens == 27
    show = ("trace", "show", "aaaabbbbccccddddeeeeffff00001111", "--output", "json")
    span = wait_for(lambda: json.loads(server.command(*show)))[0]
    assert (span["input_tokens"], span["output_tokens"]) == (20, 7)


def test_an_upstreams_refusal_is_passed_on(client):
    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(model="stub/stub-overloaded", messages=QUESTION)
    assert refused.value.body["code"] == "busy"


def wait_for(look, attempts=100):
    """What `look` finds, once it finds something: traces are written beside the answer."""
    for _ in range(attempts):
        try:
            if found := look():
                return found
        except AssertionError:
            pass
    pytest.fail("it never appeared")
