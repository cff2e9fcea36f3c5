"""What comes beside spans, log records and metrics, is there to be asked about in SQL."""

import json

import pytest

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@pytest.fixture(scope="module")
def traces(telemetry):
    return telemetry.play("official_openai.py", ((CAPTURE, "true"),))


@pytest.fixture(scope="module")
def sql(server):
    def ask(query):
        return json.loads(server.command("sql", query, "--output", "json"))

    return ask


def test_events_of_a_call_are_log_records(sql, traces):
    rows = sql(f"SELECT event_name, body, service FROM logs WHERE trace_id = '{traces['after_tool']}' ORDER BY time")
    assert [row["event_name"] for row in rows] == [
        "gen_ai.system.message",
        "gen_ai.user.message",
        "gen_ai.assistant.message",
        "gen_ai.tool.message",
        "gen_ai.choice",
    ]
    assert json.loads(rows[1]["body"]) == {"content": "What is the weather in Paris?"}
    assert {row["service"] for row in rows} == {"weather-desk"}


def test_token_usage_is_a_metric(sql, traces):
    # The stub's usage: 20 tokens in and 7 out for each answer, and one scene asks gpt-4o. Each program that plays the
    # scenes counts for itself, and tells the same.
    rows = sql(
        "SELECT sum, count, attributes FROM metrics WHERE name = 'gen_ai.client.token.usage' AND service = 'weather-desk'"
    )
    told = {}
    for row in rows:
        attributes = json.loads(row["attributes"])
        key = (attributes["gen_ai.token.type"], attributes["gen_ai.request.model"])
        told.setdefault(key, set()).add((row["sum"], row["count"]))
    assert told[("input", "gpt-4o")] == {(20.0, 1)} and told[("output", "gpt-4o")] == {(7.0, 1)}
    # Three scenes get a whole answer from gpt-4o-mini.
    assert (60.0, 3) in told[("input", "gpt-4o-mini")]
