"""What is thought of an answer."""

import uuid
from typing import Literal

from opentelemetry import trace as otel

from ._client import poster
from ._quiet import log, quietly

ScoreValue = bool | int | float | str
"""A number, a word, or yes and no."""

Source = Literal["human", "code", "model"]
"""Who gave a score."""


def score(
    name: str,
    value: ScoreValue,
    *,
    trace_id: str | None = None,
    span_id: str | None = None,
    comment: str | None = None,
    source: Source = "code",
    user: str | None = None,
    id: str | None = None,
) -> str | None:
    """Scores a trace, one of its spans, or the span that is current; sent in the background.

    Args:
        name: What was looked at, for instance `helpful`.
        value: A number, a word, or yes and no.
        trace_id: The trace, in hexadecimal; without it the current span is scored.
        span_id: One of its spans.
        comment: Why.
        source: `human`, `code` or `model`.
        user: The end user whose trace it is; the score is erased with them.
        id: A UUID; a score with the identifier of an earlier one takes its place.

    Returns:
        The score's identifier, or nothing when it cannot be sent; the log says why.
    """
    with quietly("scoring"):
        if trace_id is None:
            current = otel.get_current_span().get_span_context()
            if not current.is_valid:
                log.warning("the score %r is of nothing: no span is current and no trace was named", name)
                return None
            trace_id, span_id = otel.format_trace_id(current.trace_id), otel.format_span_id(current.span_id)
        sender = poster()
        if sender is None:
            log.warning("the score %r is not sent: call init first", name)
            return None
        identifier = id or str(uuid.uuid4())
        told = {"span_id": span_id, "comment": comment, "source": source, "user_id": user}
        body = {"id": identifier, "trace_id": trace_id, "name": name, "value": value}
        if sender.put({**body, **{field: value for field, value in told.items() if value is not None}}):
            return identifier
        log.warning("the score %r is not sent: too many wait", name)
    return None
