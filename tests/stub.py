"""An OpenAI-compatible upstream that says what it was asked, for tests of what is forwarded."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOOL_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
}
USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 7,
    "total_tokens": 27,
    "prompt_tokens_details": {"cached_tokens": 16},
}
# Not every instrumentation tells cached tokens, so what all of them tell alike has none.
UNCACHED = {**USAGE, "prompt_tokens_details": {"cached_tokens": 0}}


class Stub:
    """Answers on a free port; `seen` holds each request's path, headers and body."""

    def __init__(self):
        self.seen = []
        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.httpd.server_port}"

    def __enter__(self):
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.httpd.shutdown()

    def _handler(stub):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                models = [{"id": "stub-large", "object": "model", "created": 1, "owned_by": "stub"}]
                self.answer(200, {"object": "list", "data": models})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                stub.seen.append({"path": self.path, "headers": dict(self.headers), "body": body})
                if body["model"] == "stub-overloaded":
                    refusal = {"message": "Slow down.", "type": "rate_limit_error", "param": None, "code": "busy"}
                    self.answer(429, {"error": refusal}, {"retry-after": "60"})
                elif body.get("stream"):
                    self.stream(body)
                else:
                    self.answer(200, completion(body, message(body)))

            def answer(self, status, value, headers=None):
                text = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def stream(self, body):
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                for chunk in chunks(body):
                    self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                self.wfile.write(b"data: [DONE]\n\n")
                self.close_connection = True

        return Handler


def message(body: dict) -> dict:
    if body.get("tools") and body["messages"][-1]["role"] != "tool":
        return {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}
    return {"role": "assistant", "content": "It is sunny in Paris.", "a_field_of_its_own": {"kept": True}}


def completion(body: dict, message: dict) -> dict:
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    return {
        "id": "chatcmpl-stub", "object": "chat.completion", "created": 1, "model": body["model"],
        "choices": [choice], "usage": usage(body), "service_tier": "default",
    }


def chunks(body: dict):
    """The message in pieces, as OpenAI streams it: a tool call's arguments come in several."""
    whole = message(body)
    if "tool_calls" in whole:
        call = TOOL_CALL["function"]
        head = {**TOOL_CALL, "index": 0, "function": {"name": call["name"], "arguments": ""}}
        deltas = [{"role": "assistant", "content": None, "tool_calls": [head]}]
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in ('{"city": ', '"Paris"}')]
        reason = "tool_calls"
    else:
        deltas = [{"role": "assistant", "content": ""}] + [{"content": word + " "} for word in whole["content"].split()]
        reason = "stop"
    for delta in deltas:
        yield piece(body, [{"index": 0, "delta": delta, "finish_reason": None}])
    yield piece(body, [{"index": 0, "delta": {}, "finish_reason": reason}])
    if (body.get("stream_options") or {}).get("include_usage"):
        yield {**piece(body, []), "usage": usage(body)}


def usage(body: dict) -> dict:
    return UNCACHED if body["model"] == "gpt-4o-mini" else USAGE


def piece(body: dict, choices: list) -> dict:
    return {
        "id": "chatcmpl-stub", "object": "chat.completion.chunk", "created": 1,
        "model": body["model"], "choices": choices,
    }
