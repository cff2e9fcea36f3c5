"""For whom and for what work is done: told once, kept on every span that begins below."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import get_current_span
from opentelemetry.util.types import AttributeValue

from . import _names as names
from ._payload import payload
from ._quiet import quietly

_KEY = otel_context.create_key("quarterdeck-scope")
MAX_METADATA_CHARS = 20_000


@contextmanager
def scope(
    *,
    session: str | None = None,
    user: str | None = None,
    tags: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Iterator[None]:
    """Marks every span that begins inside, also those of other instrumentations, and the current one if it has no mark.

    It goes where OpenTelemetry's context goes: into tasks of asyncio, and into threads that were given the context.
    An inner scope adds to the outer one; its tags and metadata take the place of the outer ones.
    """
    told: dict[str, AttributeValue] = {}
    with quietly("reading a scope"):
        told = attributes(session, user, tags, metadata)
        span = get_current_span()
        known = getattr(span, "attributes", None) or {}
        span.set_attributes({name: value for name, value in told.items() if name not in known})
    token = otel_context.attach(otel_context.set_value(_KEY, {**current(), **told}))
    try:
        yield
    finally:
        otel_context.detach(token)


def current(context: Context | None = None) -> dict[str, AttributeValue]:
    """What the scopes around tell, as attributes."""
    told = otel_context.get_value(_KEY, context)
    return told if isinstance(told, dict) else {}


def attributes(
    session: str | None = None,
    user: str | None = None,
    tags: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, AttributeValue]:
    """The attributes that say so; nothing for what is not told."""
    told: dict[str, AttributeValue] = {}
    if session is not None:
        told[names.SESSION] = str(session)
    if user is not None:
        told[names.USER] = str(user)
    if tags is not None:
        told[names.TAGS] = [tags] if isinstance(tags, str) else [str(tag) for tag in tags]
    if metadata is not None:
        told[names.METADATA] = payload(dict(metadata), MAX_METADATA_CHARS).text
    return told


class ScopeProcessor(SpanProcessor):
    """Puts the scope, and what holds for the whole program, on each span as it begins."""

    def __init__(self, everywhere: Mapping[str, AttributeValue]) -> None:
        self._everywhere = dict(everywhere)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Called by OpenTelemetry."""
        with quietly("marking a span with its scope"):
            span.set_attributes({**self._everywhere, **current(parent_context)})

    def on_end(self, span: ReadableSpan) -> None:
        """Nothing is left to do."""
