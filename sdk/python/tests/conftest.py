"""Spans are looked at in memory; a small server stands for Quarterdeck where something is sent."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import quarterdeck


class Receiver:
    """Takes what is posted; `answers` are the statuses to give first, each with its headers."""

    def __init__(self):
        self.posts, self.answers = [], []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.posts.append((self.path, dict(self.headers.items()), body))
                status, headers = receiver.answers.pop(0) if receiver.answers else (200, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_port}"
        threading.Thread(target=self.httpd.serve_forever, args=(0.01,), daemon=True).start()

    def of(self, path):
        """The requests to a path: headers in lower case, and bodies."""
        return [({k.lower(): v for k, v in headers.items()}, body) for at, headers, body in self.posts if at == path]

    def scores(self):
        return [score for _, body in self.of("/api/v1/scores") for score in json.loads(body)["scores"]]


@pytest.fixture
def receiver():
    running = Receiver()
    yield running
    running.httpd.shutdown()
    running.httpd.server_close()


class Recorded:
    """The ended spans, by name."""

    def __init__(self, exporter):
        self.exporter = exporter

    def all(self):
        return list(self.exporter.get_finished_spans())

    def __getitem__(self, name):
        found = [span for span in self.all() if span.name == name]
        assert len(found) == 1, [span.name for span in self.all()]
        return found[0]


@pytest.fixture
def connect(receiver):
    """Calls init with a provider whose spans can be looked at; returns those."""

    def call(**settings):
        exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        assert quarterdeck.init(receiver.url, "qd-test", provider=provider, **settings)
        return Recorded(exporter)

    yield call
    quarterdeck.shutdown(5.0)


@pytest.fixture
def recorded(connect):
    return connect()
