"""Streamed chats over HTTP, timed at the client."""

import concurrent.futures
import dataclasses
import http.client
import json
import random
import time

WORDS = (
    "harbour lantern copper river orchard winter signal meadow captain thunder velvet granite compass island ember "
    "willow canyon falcon marble sailor garden silver forest bridge candle desert engine feather glacier hollow"
).split()
REQUEST_LIMIT_S = 600


@dataclasses.dataclass
class Answer:
    """When the pieces of one answer came, in seconds after the request. Both servers send a chunk a token."""

    arrivals: list
    ended_s: float

    @property
    def first_s(self):
        """The first token; when that one ends the answer it has no text, and the end is when it came."""
        return self.arrivals[0] if self.arrivals else self.ended_s

    @property
    def tokens(self):
        return len(self.arrivals)

    def tokens_per_s(self):
        """The rate after the first token, which waits for the prompt."""
        return (self.tokens - 1) / (self.arrivals[-1] - self.arrivals[0])


def words(count, seed):
    """Text that no earlier request had: the seed stands first."""
    draw = random.Random(seed)
    return f"Note {seed}: " + " ".join(draw.choice(WORDS) for _ in range(count))


def ask(server, model, content, max_tokens):
    """One greedy streamed chat."""
    body = {
        "model": model, "messages": [{"role": "user", "content": content}], "max_tokens": max_tokens,
        "temperature": 0, "stream": True,
    }
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=REQUEST_LIMIT_S)
    started = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json", **server.headers})
    response = connection.getresponse()
    if response.status != 200:
        raise RuntimeError(f"{server.name} answered {response.status}: {response.read()[:500]}")
    arrivals = [time.perf_counter() - started for line in response if says_something(line)]
    ended_s = time.perf_counter() - started
    connection.close()
    if len(arrivals) < 2 and max_tokens > 1:
        raise RuntimeError(f"{server.name} said nothing to {content[:60]!r}")
    return Answer(arrivals, ended_s)


def says_something(line):
    """Whether a line of the event stream carries text."""
    if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
        return False
    event = json.loads(line[6:])
    if "error" in event:
        raise RuntimeError(str(event["error"]))
    return any(choice["delta"].get("content") for choice in event["choices"])


def count_tokens(server, model, content):
    """The prompt's tokens, as the server counts them in an answer that is not streamed."""
    body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 1}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=REQUEST_LIMIT_S)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json", **server.headers})
    usage = json.load(connection.getresponse())["usage"]
    connection.close()
    return usage["prompt_tokens"]


def together(server, model, requests):
    """Sends all requests at once; generated tokens and seconds until the last is answered."""
    with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
        started = time.perf_counter()
        answers = list(pool.map(lambda request: ask(server, model, *request), requests))
        return sum(answer.tokens for answer in answers), time.perf_counter() - started
