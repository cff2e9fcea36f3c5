"""A piece of work: begun, described, ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace as otel
from opentelemetry.trace import SpanKind, Status, StatusCode

from . import _names as names
from . import _scope, _score
from ._client import settings, tracer
from ._messages import conventional as conventional_messages
from ._names import Kind
from ._payload import JSON, payload
from ._quiet import log, quietly


class Span:
    """What is known of a piece of work. Every method may be called at any time; nothing here raises."""

    def __init__(self, span: otel.Span) -> None:
        self.otel = span
        """OpenTelemetry's span, for what has no method here."""

    @property
    def trace_id(self) -> str:
        """The trace, in hexadecimal; as Quarterdeck's routes and console want it."""
        return otel.format_trace_id(self.otel.get_span_context().trace_id)

    @property
    def span_id(self) -> str:
        """The span, in hexadecimal."""
        return otel.format_span_id(self.otel.get_span_context().span_id)

    def set_input(self, value: object) -> None:
        """What went in: any value, kept as JSON, or as it is when it is a text."""
        self._payload(names.INPUT, names.INPUT_TYPE, value)

    def set_output(self, value: object) -> None:
        """What came out."""
        self._payload(names.OUTPUT, names.OUTPUT_TYPE, value)

    def set_messages(
        self, input: str | Iterable[Any] | None = None, output: str | Iterable[Any] | Mapping[str, Any] | None = None
    ) -> None:
        """The messages of a model call, in OpenAI's form or that of the GenAI conventions; texts are taken too."""
        with quietly("keeping messages"):
            for name, messages, role in (
                (names.INPUT_MESSAGES, input, "user"),
                (names.OUTPUT_MESSAGES, output, "assistant"),
            ):
                if messages is not None and self._captures():
                    self.otel.set_attribute(
                        name, payload(conventional_messages(messages, role), settings().max_chars).text
                    )

    def set_model(self, requested: str, *, answered: str | None = None, provider: str | None = None) -> None:
        """The model that was asked for, the one that answered, and who ran it: `openai`, `anthropic`, …"""
        self._set({names.MODEL_REQUESTED: requested, names.MODEL: answered, names.PROVIDER: provider})

    def set_parameters(self, **parameters: Any) -> None:
        """Sampling parameters: `temperature`, `max_tokens`, `top_p`, `seed`, …"""
        with quietly("keeping parameters"):
            conventional = {names.PARAMETERS.get(name, name): value for name, value in parameters.items()}
            self._set({names.PARAMETER + name: _attribute(value) for name, value in conventional.items()})

    def set_prompt(self, name: str, version: int | None = None) -> None:
        """The prompt that was used, by its name and version in Quarterdeck."""
        self._set({names.PROMPT: name, names.PROMPT_VERSION: version})

    def set_usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_tokens: int | None = None,
        reasoning_tokens: int | None = None,
    ) -> None:
        """Tokens. Those of the input include cached ones, those of the output include hidden reasoning."""
        self._set(
            {
                names.INPUT_TOKENS: input_tokens,
                names.OUTPUT_TOKENS: output_tokens,
                names.CACHED_TOKENS: cached_tokens,
                names.REASONING_TOKENS: reasoning_tokens,
            }
        )

    def set_session(self, session: str) -> None:
        """The conversation that this span belongs to; `scope` tells it to all spans below."""
        self._set(_scope.attributes(session=session))

    def set_user(self, user: str) -> None:
        """The end user on whose behalf it is done; `scope` tells it to all spans below."""
        self._set(_scope.attributes(user=user))

    def set_tags(self, *tags: str) -> None:
        """Free labels, in place of those told before."""
        self._set(_scope.attributes(tags=tags))

    def set_metadata(self, **metadata: Any) -> None:
        """Whatever else is known, in place of what was told before."""
        with quietly("keeping metadata"):
            self._set(_scope.attributes(metadata=metadata))

    def set_attribute(self, name: str, value: Any) -> None:
        """An attribute of OpenTelemetry."""
        self._set({name: value})

    def first_token(self) -> None:
        """The first piece of a streamed answer came now."""
        with quietly("marking the first token"):
            self.otel.add_event(names.FIRST_TOKEN_EVENT)

    def fail(self, why: BaseException | str) -> None:
        """The work failed, though no exception leaves the block."""
        with quietly("marking a span as failed"):
            if isinstance(why, BaseException):
                self.otel.record_exception(why)
                self.otel.set_attribute(names.ERROR_TYPE, type(why).__qualname__)
                gone = isinstance(why, (asyncio.CancelledError, GeneratorExit))
                why = "cancelled" if gone else f"{type(why).__name__}: {why}"
            self.otel.set_status(Status(StatusCode.ERROR, why[:1000]))

    def score(
        self,
        name: str,
        value: _score.ScoreValue,
        *,
        comment: str | None = None,
        source: _score.Source = "code",
        user: str | None = None,
    ) -> str | None:
        """What is thought of this span; see `quarterdeck.score`."""
        return _score.score(
            name,
            value,
            trace_id=self.trace_id,
            span_id=self.span_id,
            comment=comment,
            source=source,
            user=user,
        )

    def _set(self, attributes: Mapping[str, Any]) -> None:
        with quietly("setting attributes"):
            self.otel.set_attributes({name: value for name, value in attributes.items() if value is not None})

    def _captures(self) -> bool:
        return settings().capture and self.otel.is_recording()

    def _payload(self, name: str, type_name: str, value: object) -> None:
        if not self._captures():
            return
        with quietly(f"keeping {name}"):
            kept = payload(value, settings().max_chars)
            self.otel.set_attribute(name, kept.text)
            if kept.mime_type == JSON:
                self.otel.set_attribute(type_name, JSON)


def _attribute(value: object) -> Any:
    """OpenTelemetry takes plain values and lists of texts; the rest is told as JSON."""
    plain = value is None or isinstance(value, (str, bool, int, float))
    texts = isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
    return value if plain or texts else payload(value, _scope.MAX_METADATA_CHARS).text


_NONE = Span(otel.INVALID_SPAN)


def current_span() -> Span:
    """The innermost span that is under way, whoever began it; one that ignores everything when there is none."""
    return Span(otel.get_current_span())


class span:
    """A block of work: `with span("search", kind="retriever") as work:`, or `async with`.

    An exception that leaves the block marks the span as failed and goes on.
    """

    def __init__(
        self,
        name: str,
        *,
        kind: Kind = "chain",
        input: object = None,
        session: str | None = None,
        user: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self._name, self._kind, self._input = name, kind, input
        self._scope = (session, user, tags, metadata)
        self._span = _NONE
        self._token: object = None

    def __enter__(self) -> Span:
        self._span = begin(self._name, self._kind)
        if self._input is not None:
            self._span.set_input(self._input)
        with quietly("describing a span"):
            self._span.otel.set_attributes(_scope.attributes(*self._scope))
        self._token = enter(self._span)
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        leave(self._token)
        end(self._span, error)

    async def __aenter__(self) -> Span:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)


def begin(name: str, kind: str) -> Span:
    """A span that has begun and is nobody's current one yet."""
    with quietly(f"beginning the span {name!r}"):
        if kind not in names.KINDS:
            log.warning("%r is not a kind of span; %r is recorded as a chain", kind, name)
            kind = "chain"
        attributes = {names.SPAN_KIND: kind.upper()}
        if operation := names.OPERATIONS.get(kind):
            attributes[names.OPERATION] = operation
        if naming := {"tool": names.TOOL, "agent": names.AGENT}.get(kind):
            attributes[naming] = name
        calls_out = kind in ("llm", "embedding")
        return Span(
            tracer().start_span(name, kind=SpanKind.CLIENT if calls_out else SpanKind.INTERNAL, attributes=attributes)
        )
    return _NONE


def end(span: Span, error: BaseException | None = None) -> None:
    """Ends a span, as failed when there was an error."""
    if error is not None:
        span.fail(error)
    with quietly("ending a span"):
        span.otel.end()


def enter(span: Span) -> object:
    """Makes a span the current one; the token is for `leave`."""
    with quietly("entering a span"):
        # One that could not begin must not hide the one that did.
        if not span.otel.get_span_context().is_valid:
            return None
        return otel_context.attach(otel.set_span_in_context(span.otel))
    return None


def leave(token: object) -> None:
    """Makes that span the current one which was so before."""
    with quietly("leaving a span"):
        if token is not None:
            otel_context.detach(token)  # type: ignore[arg-type]
