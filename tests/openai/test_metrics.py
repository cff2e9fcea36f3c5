"""`/metrics`, read by the parsers of Prometheus' own Python client."""

import json

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text_format

ACCEPT = {
    "text/plain; version=0.0.4; charset=utf-8": ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", text_format),
    # What Prometheus 3 sends.
    "application/openmetrics-text; version=1.0.0; charset=utf-8": (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.2",
        openmetrics,
    ),
}
# As the conventions publish them: https://github.com/open-telemetry/semantic-conventions/blob/v1.37.0/docs/gen-ai/gen-ai-metrics.md
DURATION = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
TOKENS = [4.0**power for power in range(14)]
FIRST_TOKEN = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0]
PER_TOKEN = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5]
BOUNDS = {
    "gen_ai_client_operation_duration_seconds": DURATION,
    "gen_ai_server_request_duration_seconds": DURATION,
    "gen_ai_client_token_usage": TOKENS,
    "gen_ai_server_time_to_first_token_seconds": FIRST_TOKEN,
    "gen_ai_server_time_per_output_token_seconds": PER_TOKEN,
}


@pytest.fixture(scope="module")
def called(client, server):
    """A whole answer of the upstream, and a streamed one of the local engine."""
    question = [{"role": "user", "content": "Count to five."}]
    client.chat.completions.create(model="stub/stub-large", messages=question)
    list(client.chat.completions.create(model="smollm2-135m-instruct", messages=question, stream=True, max_tokens=16))
    return server


def scrape(server, content_type, key=None):
    accept, parse = ACCEPT[content_type]
    headers = {"accept": accept, **({"authorization": f"Bearer {key}"} if key else {})}
    status, answered, text = server.raw("GET", "/metrics", headers=headers)
    assert (status, answered["content-type"]) == (200, content_type), text[:500]
    families = list(parse(text))
    assert len({family.name for family in families}) == len(families), "each family is written once"
    return {family.name: family for family in families}


def settled(server, content_type):
    """A call is counted when its row is durable, moments after it was answered."""
    for _ in range(200):
        families = scrape(server, content_type)
        if families["gen_ai_server_time_to_first_token_seconds"].samples:
            return families
    pytest.fail("the calls were not counted")


@pytest.mark.parametrize("content_type", ACCEPT)
def test_both_formats_parse_and_have_the_published_bounds(called, content_type):
    families = settled(called, content_type)
    for name, expected in BOUNDS.items():
        family = families[name]
        assert family.type == "histogram"
        buckets = [sample for sample in family.samples if sample.name.endswith("_bucket")]
        assert buckets, f"{name} has no calls"
        found = sorted({float(sample.labels["le"]) for sample in buckets})
        assert found == [*expected, float("inf")], name
        counts = {}
        for sample in buckets:
            counts.setdefault(frozenset((sample.labels | {"le": ""}).items()), []).append(sample.value)
        assert all(values == sorted(values) for values in counts.values()), "buckets add up"


@pytest.mark.parametrize("content_type", ACCEPT)
def test_a_call_is_counted_with_its_labels(called, content_type):
    durations = settled(called, content_type)["gen_ai_client_operation_duration_seconds"].samples
    labels = [sample.labels for sample in durations if sample.name.endswith("_count") and sample.value >= 1]
    ours = [label for label in labels if label.get("gen_ai_provider_name") == "stub" and "error_type" not in label]
    assert ours and ours[0]["gen_ai_operation_name"] == "chat" and ours[0]["project"] == "default"


def test_the_process_and_the_recorder_are_told(called):
    families = scrape(called, "text/plain; version=0.0.4; charset=utf-8")
    assert families["process_resident_memory_bytes"].samples[0].value > 10_000_000
    assert families["process_cpu_seconds"].type == "counter"
    outcomes = {sample.labels["outcome"]: sample.value for sample in families["quarterdeck_recorder_spans"].samples}
    assert outcomes["durable"] >= 2 and outcomes["dropped"] == 0
    loaded = [sample.labels["model"] for sample in families["quarterdeck_engine_slots"].samples]
    assert any(model.startswith("smollm2") for model in loaded)


def test_a_key_that_may_only_infer_may_not_scrape(called):
    key = called.command("key", "create", "weak", "--scope", "infer", "--output", "json")
    key = json.loads(key)["key"]
    status, _, text = called.raw("GET", "/metrics", headers={"authorization": f"Bearer {key}"})
    assert status == 403 and "read" in text
