"""Setting up, sending, scoring, ending."""

import gzip
import logging
import subprocess
import sys
import textwrap
import threading
import uuid

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import quarterdeck
from quarterdeck import _post


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("QUARTERDECK_URL", "QUARTERDECK_KEY", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)


def test_spans_go_to_the_server_with_the_key(recorded, receiver):
    with quarterdeck.span("sent"):
        pass
    assert quarterdeck.flush()
    headers, body = receiver.of("/v1/traces")[0]
    assert headers["authorization"] == "Bearer qd-test" and headers["content-type"] == "application/x-protobuf"
    sent = ExportTraceServiceRequest.FromString(gzip.decompress(body))
    assert sent.resource_spans[0].scope_spans[0].spans[0].name == "sent"


def test_a_provider_that_was_there_gets_environment_and_release_on_its_spans(connect):
    recorded = connect(environment="staging", release="1.2.3")
    with quarterdeck.span("work"):
        pass
    attributes = recorded["work"].attributes
    assert (attributes["deployment.environment.name"], attributes["service.version"]) == ("staging", "1.2.3")


def run(program, receiver=None, **variables):
    """Runs a program of its own, where nothing is set up yet."""
    environment = {"QUARTERDECK_URL": receiver.url, "QUARTERDECK_KEY": "qd-test"} if receiver else {}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={"PYTHONPATH": ":".join(sys.path), **environment, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_program_that_only_ends_has_sent_everything(receiver):
    run(
        """
        import quarterdeck
        assert quarterdeck.init(service="desk", environment="production", release="7")
        with quarterdeck.span("work") as work:
            work.score("helpful", True)
        """,
        receiver,
    )
    sent = ExportTraceServiceRequest.FromString(gzip.decompress(receiver.of("/v1/traces")[0][1])).resource_spans[0]
    resource = {pair.key: pair.value.string_value for pair in sent.resource.attributes}
    assert (resource["service.name"], resource["deployment.environment.name"], resource["service.version"]) == (
        "desk",
        "production",
        "7",
    )
    assert [score["value"] for score in receiver.scores()] == [True]


def test_a_provider_of_the_programs_own_is_joined(receiver):
    run(
        """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        own = TracerProvider()
        trace.set_tracer_provider(own)
        import quarterdeck
        assert quarterdeck.init()
        assert trace.get_tracer_provider() is own
        with trace.get_tracer("theirs").start_as_current_span("theirs"), quarterdeck.span("ours"):
            pass
        """,
        receiver,
    )
    sent = ExportTraceServiceRequest.FromString(gzip.decompress(receiver.of("/v1/traces")[0][1]))
    spans = {span.name: span for scope in sent.resource_spans[0].scope_spans for span in scope.spans}
    assert spans["ours"].parent_span_id == spans["theirs"].span_id


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({}, "there is no key in QUARTERDECK_KEY"),
        ({"QUARTERDECK_KEY": "qd-x", "QUARTERDECK_URL": "localhost:4100"}, "is not the URL of a server"),
        ({"QUARTERDECK_KEY": "qd-x", "OTEL_SDK_DISABLED": "true"}, ""),
    ],
)
def test_without_a_connection_the_program_runs_as_before(variables, why):
    done = run(
        """
        import quarterdeck
        assert quarterdeck.init() is False
        @quarterdeck.trace
        def answer():
            assert quarterdeck.score("helpful", 1, trace_id="0" * 31 + "1") is None
            return 42
        assert answer() == 42 and quarterdeck.flush() and quarterdeck.shutdown()
        """,
        **variables,
    )
    assert why in done.stderr and "qd-x" not in done.stderr


def test_a_server_that_is_away_breaks_nothing():
    done = run(
        """
        import quarterdeck
        assert quarterdeck.init("http://127.0.0.1:9", "qd-test", timeout_s=0.2)
        with quarterdeck.span("work") as work:
            assert work.score("helpful", 1)
        assert quarterdeck.flush(0.5) is False
        """
    )
    assert "qd-test" not in done.stderr


def test_a_second_init_changes_nothing(recorded, receiver, caplog):
    assert quarterdeck.init("http://127.0.0.1:1", "other")
    assert "init was called before" in caplog.text
    with quarterdeck.span("sent"):
        pass
    assert quarterdeck.flush() and len(receiver.of("/v1/traces")) == 1


def test_after_shutdown_nothing_is_sent_and_init_works_again(connect, receiver):
    first = connect()
    quarterdeck.shutdown()
    with quarterdeck.span("between"):
        pass
    second = connect()
    with quarterdeck.span("after"):
        pass
    assert quarterdeck.flush()
    assert first.all() == [] and [span.name for span in second.all()] == ["after"]
    assert len(receiver.of("/v1/traces")) == 1


def test_scores_by_trace_by_span_and_of_the_current_one(recorded, receiver):
    trace_id, span_id = "a" * 32, "b" * 16
    identifier = str(uuid.uuid4())
    assert quarterdeck.score("relevance", 0.5, trace_id=trace_id, id=identifier) == identifier
    quarterdeck.score("tone", "kind", trace_id=trace_id, span_id=span_id, comment="polite", source="human", user="u-1")
    with quarterdeck.span("work") as work:
        quarterdeck.score("helpful", True)
    assert quarterdeck.flush()
    first, second, third = receiver.scores()
    assert first == {"id": identifier, "trace_id": trace_id, "name": "relevance", "value": 0.5, "source": "code"}
    assert {k: second[k] for k in ("span_id", "value", "comment", "source", "user_id")} == {
        "span_id": span_id,
        "value": "kind",
        "comment": "polite",
        "source": "human",
        "user_id": "u-1",
    }
    assert (third["trace_id"], third["span_id"], third["value"]) == (work.trace_id, work.span_id, True)
    headers, _ = receiver.of("/api/v1/scores")[0]
    assert headers["authorization"] == "Bearer qd-test"


def test_a_score_of_nothing_is_told(recorded, receiver, caplog):
    assert quarterdeck.score("helpful", 1) is None
    assert "no span is current" in caplog.text and quarterdeck.flush() and receiver.scores() == []


def test_a_busy_server_is_asked_again(recorded, receiver):
    receiver.answers = [(503, {}), (429, {"retry-after": "0.01"})]
    identifier = quarterdeck.score("helpful", 1, trace_id="a" * 32)
    assert quarterdeck.flush()
    # Each attempt carries the same identifier, so that the server keeps one score.
    assert [score["id"] for score in receiver.scores()] == [identifier] * 3


def test_a_score_that_is_refused_costs_no_other(recorded, receiver, caplog):
    receiver.answers = [(400, {}), (200, {}), (400, {})]
    poster = _post.Poster(receiver.url, "qd-test", 5.0)
    batch = [{"id": str(at), "trace_id": "a" * 32, "name": "n", "value": at} for at in range(3)]
    with caplog.at_level(logging.WARNING):
        poster._send(batch)
    assert [score["id"] for score in receiver.scores()] == ["0", "1", "2", "0", "1", "2"]
    assert "1 scores were not taken: 400" in caplog.text


def test_a_full_queue_is_told_and_does_not_wait(recorded, receiver, monkeypatch, caplog):
    gate = threading.Event()
    monkeypatch.setattr(_post, "MAX_WAITING", 2)
    monkeypatch.setattr(_post.Poster, "_post", lambda self, batch: (gate.wait(10) and None, None))
    given = [quarterdeck.score("n", 1, trace_id="a" * 32) for _ in range(200)]
    gate.set()
    assert given[0] and None in given and "too many wait" in caplog.text
    assert quarterdeck.flush() and trace.get_current_span() is trace.INVALID_SPAN
