"""What README.md shows is run as it stands there."""

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

README = (Path(__file__).parents[1] / "README.md").read_text()
EXAMPLES = re.findall(r"## ([^\n]+)\n(?:(?!\n## ).)*?```python\n(.*?)```", README, re.DOTALL)
SPANS = {
    "Record work": {"get_weather", "answer", "recall"},
    "Describe a model call": {"ask"},
    "Score": {"chat", "answer"},
    "Instrumentations": set(),
}


def test_every_example_is_run():
    assert README.count("```python") == len(EXAMPLES) == len(SPANS)


@pytest.mark.parametrize(("title", "program"), EXAMPLES)
def test_an_example(title, program, receiver):
    connection = {
        "QUARTERDECK_URL": receiver.url,
        "QUARTERDECK_KEY": "qd-test",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run([sys.executable, "-c", program], env=connection, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "telemetry failed" not in done.stderr, done.stderr
    bodies = [ExportTraceServiceRequest.FromString(gzip.decompress(body)) for _, body in receiver.of("/v1/traces")]
    sent = {
        span.name
        for body in bodies
        for group in body.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    }
    assert sent == SPANS[title]
    assert {score["name"] for score in receiver.scores()} == (
        {"grounded", "helpful", "tone"} if title == "Score" else set()
    )
