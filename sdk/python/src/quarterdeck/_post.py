"""Sends scores in the background, in batches, again when the server was busy."""

import json
import os
import queue
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from typing import Any

from opentelemetry import context as otel_context

from ._quiet import log, quietly

MAX_WAITING = 10_000
MAX_BATCH = 100
MAX_ATTEMPTS = 4
MAX_WAIT_S = 30.0
RETRYABLE = frozenset({408, 429, 500, 502, 503, 504})


class Poster:
    """A bounded queue and one thread that empties it; the thread begins with the first score."""

    def __init__(self, url: str, key: str, timeout_s: float) -> None:
        self._url, self._key, self._timeout_s = url + "/api/v1/scores", key, timeout_s
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue(MAX_WAITING)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._process = 0

    def put(self, score: dict[str, Any]) -> bool:
        """Whether there was room for it."""
        self._begin()
        try:
            self._waiting.put_nowait(score)
            return True
        except queue.Full:
            return False

    def flush(self, timeout_s: float) -> bool:
        """Whether all that was put has been sent, or given up, in time."""
        waiting = self._waiting
        with waiting.all_tasks_done:
            return waiting.all_tasks_done.wait_for(lambda: waiting.unfinished_tasks == 0, timeout_s)

    def close(self) -> None:
        """Waits no longer between attempts, and ends the thread when the queue is empty."""
        self._closing.set()

    def _begin(self) -> None:
        # A process that was forked has the queue but not the thread.
        if self._process == os.getpid():
            return
        with self._lock:
            if self._process != os.getpid():
                self._process = os.getpid()
                self._waiting = queue.Queue(MAX_WAITING)
                threading.Thread(target=self._run, name="quarterdeck-scores", daemon=True).start()

    def _run(self) -> None:
        # Instrumentations of HTTP clients would else record our own requests as traces of their own.
        otel_context.attach(otel_context.set_value(otel_context._SUPPRESS_INSTRUMENTATION_KEY, True))
        while not (self._closing.is_set() and self._waiting.empty()):
            batch = self._batch()
            with quietly("sending scores"):
                self._send(batch)
            for _ in batch:
                self._waiting.task_done()

    def _batch(self) -> list[dict[str, Any]]:
        """What waits, up to a batch; nothing when nothing came for a second."""
        batch: list[dict[str, Any]] = []
        with suppress(queue.Empty):
            batch.append(self._waiting.get(timeout=1.0))
            while len(batch) < MAX_BATCH:
                batch.append(self._waiting.get_nowait())
        return batch

    def _send(self, batch: list[dict[str, Any]]) -> None:
        if not batch:
            return
        for attempt in range(MAX_ATTEMPTS):
            refusal, wait_s = self._post(batch)
            if refusal is None:
                return
            if wait_s is None or self._closing.is_set():
                break
            self._closing.wait(min(wait_s or 0.25 * 2**attempt, MAX_WAIT_S))
        if len(batch) > 1 and wait_s is None:
            # One that the server does not take must not cost the others.
            for score in batch:
                self._send([score])
            return
        log.warning("%d scores were not taken: %s", len(batch), refusal)

    def _post(self, batch: list[dict[str, Any]]) -> tuple[str | None, float | None]:
        """Why it was refused, and after how many seconds it may be tried again; 0 when the server did not say."""
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        body = json.dumps({"scores": batch}).encode()
        request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as answer:
                answer.read()
            return None, None
        except urllib.error.HTTPError as refused:
            why = f"{refused.code} {refused.read(2000).decode(errors='replace')}"
            if refused.code not in RETRYABLE:
                return why, None
            return why, _seconds(refused.headers.get("retry-after"))
        except OSError as unreachable:
            return str(unreachable), 0.0


def _seconds(text: str | None) -> float:
    try:
        return max(0.0, float(text or 0))
    except ValueError:
        return 0.0
