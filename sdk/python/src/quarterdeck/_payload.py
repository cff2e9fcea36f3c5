"""What went in and came out, as bounded text."""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

JSON = "application/json"
TEXT = "text/plain"


class Payload(NamedTuple):
    """A value as text, and what kind of text that is."""

    text: str
    mime_type: str


def payload(value: object, max_chars: int) -> Payload:
    """`value` as JSON, or itself when it is text; what is longer than `max_chars` becomes its beginning, as text.

    No more is encoded than is kept, so that a huge value costs no more than a large one.
    """
    if isinstance(value, str):
        return Payload(_cut(value, max_chars), TEXT)
    try:
        kept, whole = _take(_encoder.iterencode(value), max_chars)
    except (TypeError, ValueError, RecursionError):
        return Payload(_cut(_describe(value), max_chars), TEXT)
    return Payload(kept, JSON) if whole else Payload(_cut(kept, max_chars), TEXT)


def _take(pieces: Iterable[str], max_chars: int) -> tuple[str, bool]:
    """The first pieces until they are more than `max_chars`, and whether those were all."""
    taken: list[str] = []
    size_chars = 0
    for piece in pieces:
        taken.append(piece)
        size_chars += len(piece)
        if size_chars > max_chars:
            return "".join(taken), False
    return "".join(taken), True


def _cut(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else text[:max_chars] + "…"


def _plain(value: object) -> Any:
    """What json does not know, as something that it does."""
    if hasattr(value, "model_dump"):  # pydantic, and so the objects of the openai package
        return value.model_dump()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    return _describe(value)


def _describe(value: object) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"


_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_plain)
