"""The calls that every program makes, each in a trace of its own; what differs is who watches."""

import json
import os

import openai

MODEL = "gpt-4o-mini"
CACHES = "gpt-4o"
SYSTEM = {"role": "system", "content": "You are a weather desk."}
QUESTION = {"role": "user", "content": "What is the weather in Paris?"}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}


def client(package=openai):
    """The upstream itself, past Quarterdeck: what arrives there is what the instrumentation sends."""
    return package.OpenAI(base_url=os.environ["UPSTREAM"], api_key="sk-upstream", max_retries=0)


def plain(client):
    client.chat.completions.create(model=MODEL, messages=[SYSTEM, QUESTION], temperature=0.25, max_tokens=64)


def cached(client):
    client.chat.completions.create(model=CACHES, messages=[SYSTEM, QUESTION])


def streamed(client):
    stream = client.chat.completions.create(
        model=MODEL, messages=[SYSTEM, QUESTION], stream=True, stream_options={"include_usage": True}
    )
    for _ in stream:
        pass


def asks_tool(client):
    client.chat.completions.create(model=MODEL, messages=[SYSTEM, QUESTION], tools=[TOOL])


def after_tool(client):
    asked = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    client.chat.completions.create(model=MODEL, messages=[SYSTEM, QUESTION, asked, RESULT], tools=[TOOL])


def fails(client):
    try:
        client.chat.completions.create(model="stub-overloaded", messages=[QUESTION])
    except openai.RateLimitError:
        pass


SCENES = {
    "plain": plain,
    "cached": cached,
    "streamed": streamed,
    "asks_tool": asks_tool,
    "after_tool": after_tool,
    "fails": fails,
}


def play(tracer, client):
    """Plays each scene below a span of its own and prints which trace each became."""
    traces = {}
    for name, scene in SCENES.items():
        with tracer.start_as_current_span(name) as root:
            traces[name] = format(root.get_span_context().trace_id, "032x")
            scene(client)
    print(json.dumps(traces))
