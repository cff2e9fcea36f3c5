"""Programs with real instrumentations and exporters, and what of them can be read back."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"


class Telemetry:
    """Runs programs against the server; each runs once, however many tests look at it."""

    def __init__(self, server, stub):
        self.server, self.stub = server, stub
        self.play = functools.cache(self._play)

    def _play(self, program, settings=()):
        """What a program printed as JSON; `settings` are pairs of environment variables."""
        outside = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "LANGFUSE_", "QUARTERDECK_"))}
        environment = {**outside, **self.connection(dict(settings)), **dict(settings)}
        done = subprocess.run(
            [sys.executable, PROGRAMS / program], env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        # Exporters tell a refusal on standard error and go on.
        assert "export" not in done.stderr.lower(), done.stderr
        return json.loads(done.stdout)

    def connection(self, settings):
        """The variables that each package reads to find its server: nothing in the programs names ours."""
        grpc = settings.get("OTEL_EXPORTER_OTLP_PROTOCOL") == "grpc"
        return {
            "UPSTREAM": f"{self.stub.url}/v1",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.server.grpc_url if grpc else self.server.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{self.server.key}",
            "LANGFUSE_BASE_URL": self.server.url,
            "LANGFUSE_PUBLIC_KEY": "pk-lf-weather",
            "LANGFUSE_SECRET_KEY": self.server.key,
            "QUARTERDECK_URL": self.server.url,
            "QUARTERDECK_KEY": self.server.key,
        }

    def spans(self, trace_id):
        """A trace as the API gives it. No waiting: what an exporter was told is there, is there."""
        status, _, text = self.server.raw("GET", f"/api/v1/traces/{trace_id}")
        assert status == 200, text
        return json.loads(text)["spans"]


@pytest.fixture(scope="session")
def telemetry(server, stub):
    return Telemetry(server, stub)
