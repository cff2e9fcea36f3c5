"""The connection to a server: set up once, flushed and shut down."""

import atexit
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from opentelemetry import trace as otel
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.util.types import AttributeValue

from . import _names as names
from ._post import Poster
from ._quiet import log, quietly
from ._scope import ScopeProcessor

DEFAULT_URL = "http://127.0.0.1:4100"
URL_VARIABLE = "QUARTERDECK_URL"
KEY_VARIABLE = "QUARTERDECK_KEY"
FLUSH_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Settings:
    """What is kept of payloads, and what holds for the whole program."""

    capture: bool = True
    max_chars: int = 1_000_000
    environment: str | None = None
    release: str | None = None


class _Client:
    def __init__(self, provider: TracerProvider, processor: SpanProcessor, poster: Poster, settings: Settings) -> None:
        self.provider, self.processor, self.poster, self.settings = provider, processor, poster, settings
        self.tracer = provider.get_tracer("quarterdeck")


_client: _Client | None = None
_lock = threading.Lock()


def init(
    url: str | None = None,
    key: str | None = None,
    *,
    service: str | None = None,
    environment: str | None = None,
    release: str | None = None,
    capture: bool = True,
    max_chars: int = 1_000_000,
    timeout_s: float = 10.0,
    provider: TracerProvider | None = None,
) -> bool:
    """Sends this program's spans to a Quarterdeck server, and says whether it does.

    Without a key nothing is recorded and the program runs as it would without this package; the log says why. The
    project is the key's. A second call changes nothing until `shutdown`.

    Args:
        url: The server; else `QUARTERDECK_URL`, else http://127.0.0.1:4100.
        key: An API key with the scope to write; else `QUARTERDECK_KEY`.
        service: The name of the program (`service.name`); else what `OTEL_SERVICE_NAME` says.
        environment: For instance `production`.
        release: The program's own version.
        capture: Whether inputs, outputs and messages are kept at all.
        max_chars: Characters of one input, output or list of messages that are kept at most.
        timeout_s: How long sending one batch may take.
        provider: The tracer provider to use; else the global one when the program has set it, else a new one for all.
    """
    global _client
    with _lock, quietly("setting up"):
        if _client is not None:
            log.warning("init was called before; shutdown first to change what it set up")
            return True
        connection = _connection(url, key)
        if connection is None:
            return False
        endpoint, secret = connection
        told = _told(environment, release)
        headers = {"authorization": f"Bearer {secret}"}
        exporter = OTLPSpanExporter(
            endpoint=endpoint + "/v1/traces", headers=headers, timeout=timeout_s, compression=Compression.Gzip
        )
        found = provider or _global_provider()
        used = found or _new_provider(service, told)
        processor = BatchSpanProcessor(exporter)
        # A provider that was there before has its resource already, so what is told here goes onto its spans.
        used.add_span_processor(ScopeProcessor(told if found else {}))
        used.add_span_processor(processor)
        settings = Settings(capture, max(0, max_chars), environment, release)
        _client = _Client(used, processor, Poster(endpoint, secret, timeout_s), settings)
        return True
    return False


def flush(timeout_s: float = FLUSH_TIMEOUT_S) -> bool:
    """Sends what is recorded and waits for that; whether everything was taken over in time."""
    client = _client
    if client is None:
        return True
    deadline = time.monotonic() + timeout_s
    with quietly("flushing"):
        spans = client.processor.force_flush(int(timeout_s * 1000))
        return client.poster.flush(max(0.0, deadline - time.monotonic())) and spans
    return False


def shutdown(timeout_s: float = FLUSH_TIMEOUT_S) -> bool:
    """Flushes and stops; `init` may be called again. A program that ends does this by itself."""
    global _client
    flushed = flush(timeout_s)
    with _lock, quietly("shutting down"):
        client, _client = _client, None
        if client is not None:
            client.processor.shutdown()
            client.poster.close()
    return flushed


atexit.register(shutdown, 5.0)


def settings() -> Settings:
    """What is in force; the defaults before `init`."""
    client = _client
    return client.settings if client else Settings()


def tracer() -> otel.Tracer:
    """The tracer of the provider in use; before `init` whatever the program has set up."""
    client = _client
    return client.tracer if client else otel.get_tracer("quarterdeck")


def poster() -> Poster | None:
    """What sends scores; nothing before `init`."""
    client = _client
    return client.poster if client else None


def _connection(url: str | None, key: str | None) -> tuple[str, str] | None:
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        log.info("nothing is sent: OTEL_SDK_DISABLED is true")
        return None
    endpoint = (url or os.environ.get(URL_VARIABLE) or DEFAULT_URL).strip().rstrip("/")
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        log.error("nothing is sent: %r is not the URL of a server", endpoint)
        return None
    secret = (key or os.environ.get(KEY_VARIABLE) or "").strip()
    if not secret:
        log.warning("nothing is sent: there is no key in %s; `quarterdeck key create` makes one", KEY_VARIABLE)
        return None
    return endpoint, secret


def _told(environment: str | None, release: str | None) -> dict[str, AttributeValue]:
    told = {names.ENVIRONMENT: environment, names.RELEASE: release}
    return {name: value for name, value in told.items() if value is not None}


def _global_provider() -> TracerProvider | None:
    found = otel.get_tracer_provider()
    return found if isinstance(found, TracerProvider) else None


def _new_provider(service: str | None, told: Mapping[str, AttributeValue]) -> TracerProvider:
    named = {"service.name": service} if service else {}
    made = TracerProvider(resource=Resource.create({**named, **told}))
    otel.set_tracer_provider(made)
    return made
