"""Chat messages in OpenAI's form as the GenAI conventions write them: a role and parts.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-input-messages.json
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any


def conventional(messages: str | Iterable[Any], role: str) -> list[dict[str, Any]]:
    """Messages for `gen_ai.input.messages` or `gen_ai.output.messages`.

    A text is one message of `role`. Objects of client packages (with `model_dump`) are read as what they hold, and
    messages that have parts already are taken as they are.
    """
    if isinstance(messages, str):
        return [{"role": role, "parts": [_text(messages)]}]
    if isinstance(messages, Mapping) or hasattr(messages, "model_dump"):
        messages = [messages]
    return [_message(_mapping(message), role) for message in messages]


def _mapping(message: Any) -> Mapping[str, Any]:
    if isinstance(message, str):
        return {"content": message}
    read = message.model_dump() if hasattr(message, "model_dump") else message
    if not isinstance(read, Mapping):
        raise TypeError(f"a message is a mapping or a text, not {type(message).__name__}")
    return read


def _message(message: Mapping[str, Any], role: str) -> dict[str, Any]:
    if "parts" in message:
        return dict(message)
    if message.get("role") == "tool":
        result = {"type": "tool_call_response", "id": message.get("tool_call_id"), "response": message.get("content")}
        return {"role": "tool", "parts": [result]}
    parts = [*_content(message.get("content")), *map(_tool_call, message.get("tool_calls") or ())]
    named = {"name": message["name"]} if message.get("name") else {}
    reason = {"finish_reason": message["finish_reason"]} if message.get("finish_reason") else {}
    return {"role": message.get("role") or role, "parts": parts, **named, **reason}


def _content(content: Any) -> list[dict[str, Any]]:
    if content is None:
        return []
    if isinstance(content, str):
        return [_text(content)]
    return [_part(part) for part in content]


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part.get("type") == "text" and "text" in part:
        return _text(part["text"])
    if part.get("type") == "image_url":
        return {"type": "uri", "modality": "image", "uri": part["image_url"]["url"]}
    return dict(part)


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "content": text}


def _tool_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function") or {}
    return {
        "type": "tool_call",
        "id": call.get("id"),
        "name": function.get("name"),
        "arguments": _arguments(function.get("arguments")),
    }


def _arguments(arguments: Any) -> Any:
    """Models write arguments as JSON in a text, and not always well."""
    try:
        return json.loads(arguments)
    except (TypeError, ValueError):
        return arguments
