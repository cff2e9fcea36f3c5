"""Prompts: the version that a name and a label mean now, kept in memory until it changes."""

import copy
import http.client
import json
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from ._client import DEFAULT_URL, KEY_VARIABLE, URL_VARIABLE

MAX_KEPT = 256
FRESH_S = 30.0


class PromptError(Exception):
    """The server has no such prompt, or did not answer; `status` is what it answered, if it did."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Prompt:
    """One version of a prompt."""

    name: str
    version: int
    content: dict[str, Any] = field(hash=False)
    """What it says: `messages` or `text`, `variables`, `model`, `parameters`, `tools`, `response_format`."""

    @property
    def model(self) -> str | None:
        """The model that the version names."""
        model: str | None = self.content.get("model")
        return model

    @property
    def parameters(self) -> dict[str, Any]:
        """`temperature` and the like."""
        return dict(self.content.get("parameters", {}))

    @property
    def headers(self) -> dict[str, str]:
        """What a call through the gateway sends to say the words of this version; the values go into `prompt_variables`."""
        return {"x-quarterdeck-prompt": f"{self.name}@{self.version}"}


@dataclass
class _Kept:
    tag: str
    prompt: Prompt
    asked: float


_kept: OrderedDict[tuple[str, str, str], _Kept] = OrderedDict()
_lock = threading.Lock()


def get_prompt(
    name: str,
    *,
    label: str | None = None,
    version: int | None = None,
    url: str | None = None,
    key: str | None = None,
    fresh_s: float = FRESH_S,
    timeout_s: float = 10.0,
) -> Prompt:
    """The version of a prompt: by label, by number, or what callers get who name neither (`production`, else the latest).

    What was asked less than `fresh_s` ago is answered from memory; after that the server is asked whether it has changed,
    and when it cannot be reached, what is known goes on being used.

    Args:
        name: The prompt.
        label: Such as `production`.
        version: Instead of a label: a number.
        url: The server; else `QUARTERDECK_URL`, else http://127.0.0.1:4100.
        key: An API key with the scope to read; else `QUARTERDECK_KEY`.
        fresh_s: For how many seconds an answer holds; 0 asks every time.
        timeout_s: How long asking may take.

    Raises:
        PromptError: When there is no such version, or the server did not answer and nothing is known.
        ValueError: When both a label and a version are given.
    """
    if label is not None and version is not None:
        raise ValueError("give either a label or a version")
    which = {"label": label} if label is not None else {"version": str(version)} if version is not None else {}
    base = (url or os.environ.get(URL_VARIABLE) or DEFAULT_URL).rstrip("/")
    secret = key or os.environ.get(KEY_VARIABLE) or ""
    address = f"{base}/api/v1/prompts/{urllib.parse.quote(name, safe='')}?{urllib.parse.urlencode(which)}"
    place = (address, secret, name)
    with _lock:
        known = _kept.get(place)
    if known is not None and time.monotonic() - known.asked < fresh_s:
        return _copy(known.prompt)
    try:
        tag, body = _fetch(address, secret, known.tag if known else None, timeout_s)
        prompt = known.prompt if body is None and known is not None else _read(body)
    except PromptError as failed:
        if known is None or not _passes(failed.status):
            raise
        # Asked again no sooner than after an answer, so that a server that is away holds up one call and not each.
        tag, prompt = known.tag, known.prompt
    _keep(place, _Kept(tag, prompt, time.monotonic()))
    return _copy(prompt)


def _passes(status: int | None) -> bool:
    """Whether a failure says nothing about the prompt: no answer, too many requests, or the server's own trouble."""
    return status is None or status >= 500 or status in (408, 429)


def _read(body: Any) -> Prompt:
    try:
        return Prompt(str(body["name"]), int(body["version"]), dict(body["content"]))
    except (KeyError, TypeError, ValueError) as odd:
        raise PromptError(f"the server's answer is no version of a prompt: {odd!r}") from odd


def _copy(prompt: Prompt) -> Prompt:
    """A prompt that its user may change without changing what others get."""
    return Prompt(prompt.name, prompt.version, copy.deepcopy(prompt.content))


def _keep(place: tuple[str, str, str], kept: _Kept) -> None:
    with _lock:
        _kept[place] = kept
        _kept.move_to_end(place)
        while len(_kept) > MAX_KEPT:
            _kept.popitem(last=False)


def _fetch(address: str, secret: str, tag: str | None, timeout_s: float) -> tuple[str, dict[str, Any] | None]:
    """The tag, and the version; no version when it is the one of the tag that was known."""
    headers = {"authorization": f"Bearer {secret}"}
    if tag:
        headers["if-none-match"] = tag
    request = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return answer.headers.get("etag", ""), json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        if refused.code == 304 and tag:
            return tag, None
        raise PromptError(_said(refused), refused.code) from None
    except (OSError, http.client.HTTPException) as unreachable:
        raise PromptError(f"the server cannot be reached: {unreachable}") from unreachable
    except ValueError as odd:
        raise PromptError(f"the server's answer is not JSON: {odd}") from odd


def _said(refused: urllib.error.HTTPError) -> str:
    """The server's own sentence."""
    try:
        return str(json.loads(refused.read(10_000))["error"]["message"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return f"the server answered {refused.code}"
