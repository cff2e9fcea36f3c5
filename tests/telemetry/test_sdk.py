"""The Python package against the running server: what docs/sdk.md shows is run as it stands there."""

import functools
import json
import os
import re
import subprocess
import sys

import pytest

from server import ROOT

GUIDE = (ROOT / "docs/sdk.md").read_text()
EXAMPLES = dict(re.findall(r"## ([^\n]+)\n(?:(?!\n## ).)*?```python\n(.*?)```", GUIDE, re.DOTALL))


@pytest.fixture(scope="module")
def run(telemetry):
    """Runs an example and gives the spans and scores of the one trace that it made."""

    @functools.cache
    def example(title):
        connection = {**os.environ, **telemetry.connection({})}
        before = recent(telemetry.server)
        done = subprocess.run([sys.executable, "-c", EXAMPLES[title]], env=connection, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "telemetry failed" not in done.stderr, done.stderr
        (made,) = recent(telemetry.server) - before
        _, _, scores = telemetry.server.raw("GET", f"/api/v1/scores?trace={made}")
        return telemetry.spans(made), json.loads(scores)["data"], done.stdout

    return example


def recent(server):
    _, _, text = server.raw("GET", "/api/v1/traces?limit=100")
    return {found["trace_id"] for found in json.loads(text)["data"]}


def tree(spans):
    names = {span["span_id"]: span["name"] for span in spans}
    return {(span["name"], span["kind"], names.get(span["parent_id"])) for span in spans}


def test_the_gateways_call_stands_in_the_programs_trace(run):
    spans, scores, printed = run("Begin")
    assert printed == "It is sunny in Paris.\n"
    assert tree(spans) == {
        ("answer", "agent", None),
        ("recall", "retriever", "answer"),
        ("get_weather", "tool", "recall"),
        ("chat", "llm", "answer"),
    }
    for span in spans:
        assert (span["session_id"], span["user_id"], span["tags"]) == ("chat-17", "ada", ["beta"]), span["name"]
        assert (span["environment"], span["release"]) == ("production", "1.4.0"), span["name"]
    by_name = {span["name"]: span for span in spans}
    assert by_name["answer"]["input"] == {"question": "What is the weather in Paris?"}
    assert by_name["answer"]["output"] == "It is sunny in Paris."
    assert by_name["recall"]["input"] == "What is the weather in Paris?"
    assert by_name["recall"]["output"] == ["Paris lies on the Seine.", "The weather is sunny."]
    assert by_name["get_weather"]["input"] == {"city": "Paris"}
    (score,) = scores
    assert (score["name"], score["value"], score["span_id"]) == ("grounded", 1.0, by_name["answer"]["span_id"])
    assert (score["comment"], score["source"]) == ("the almanac says so", "code")


def test_a_call_that_is_told_by_hand(run):
    (call,), scores, _ = run("A model that goes past the gateway")
    assert (call["kind"], call["provider"], call["model_requested"]) == ("llm", "openai", "gpt-4o-mini")
    # 20 × $0.15 and 7 × $0.60 for a million tokens.
    assert (call["input_tokens"], call["output_tokens"], call["cost_picodollars"]) == (20, 7, 7_200_000)
    assert call["input"] == [{"role": "user", "content": "What is the weather in Paris?"}]
    assert call["output"] == [{"role": "assistant", "content": "It is sunny in Paris."}]
    assert call["parameters"] == {"temperature": 0.2}
    (score,) = scores
    assert (score["name"], score["value"], score["source"], score["user_id"]) == ("helpful", 0.9, "human", "ada")


def test_langchain_below_a_function(run):
    spans, _, _ = run("LangChain, LlamaIndex and others")
    assert tree(spans) == {
        ("desk", "agent", None),
        ("RunnableSequence", "chain", "desk"),
        ("ask", "chain", "RunnableSequence"),
        ("len", "chain", "RunnableSequence"),
    }


def test_every_example_is_run():
    assert GUIDE.count("```python") == len(EXAMPLES) == 3


KINDS = "llm embedding retriever reranker tool chain agent guardrail evaluator prompt rollout".split()


def test_every_kind_arrives_as_what_it_is(telemetry):
    program = f"""
import quarterdeck
quarterdeck.init()
with quarterdeck.span("all", kind="chain") as root:
    for kind in {KINDS}:
        with quarterdeck.span("of " + kind, kind=kind) as work:
            work.set_prompt("weather", 3)
            work.set_metadata(tenant="north")
            work.fail("on purpose")
print(root.trace_id)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=telemetry.connection({}), capture_output=True, text=True, timeout=60, check=True
    )
    spans = [span for span in telemetry.spans(done.stdout.strip()) if span["parent_id"]]
    assert {span["name"]: span["kind"] for span in spans} == {f"of {kind}": kind for kind in KINDS}
    for span in spans:
        assert (span["status"], span["status_message"]) == ("error", "on purpose"), span["name"]
        assert (span["prompt_name"], span["prompt_version"]) == ("weather", 3), span["name"]
        assert "north" in json.dumps(span["attributes"]), span["name"]
