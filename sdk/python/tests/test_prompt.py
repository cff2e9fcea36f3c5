"""Prompts are fetched by name and label, kept, and asked about again by their tag."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import quarterdeck
from quarterdeck import _prompt


class Server:
    """Answers one version with an ETag; `version` may change, `status` may be a refusal."""

    def __init__(self):
        self.asked, self.version, self.status = [], 1, 200
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                tag = f'"v{server.version}"'
                server.asked.append((self.path, self.headers["authorization"], self.headers["if-none-match"]))
                known = self.headers["if-none-match"] == tag
                status = server.status if server.status != 200 else 304 if known else 200
                body = {"name": "team/greeting", "version": server.version, "content": {"model": "m", "parameters": {"temperature": 0.2}}}
                body = body if status == 200 else {"error": {"message": "there is no prompt team/greeting@x"}}
                text = b"" if status == 304 else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("etag", tag)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_port}"
        threading.Thread(target=self.httpd.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.httpd.shutdown()
        self.httpd.server_close()


@pytest.fixture
def server():
    _prompt._kept.clear()
    running = Server()
    yield running
    running.close()


def ask(server, **more):
    return quarterdeck.get_prompt("team/greeting", url=server.url, key="qd-k", **more)


def test_a_version_is_fetched_and_kept(server):
    prompt = ask(server, label="production")
    assert (prompt.version, prompt.model, prompt.parameters) == (1, "m", {"temperature": 0.2})
    assert prompt.headers == {"x-quarterdeck-prompt": "team/greeting@1"}
    assert ask(server, label="production") == prompt
    assert server.asked == [("/api/v1/prompts/team%2Fgreeting?label=production", "Bearer qd-k", None)]


def test_an_old_answer_is_asked_about_by_its_tag(server):
    first = ask(server, fresh_s=0)
    assert ask(server, fresh_s=0) == first
    server.version = 2
    assert ask(server, fresh_s=0).version == 2
    assert [tag for _, _, tag in server.asked] == [None, '"v1"', '"v1"']


def test_what_is_known_is_used_while_the_server_is_away(server):
    first = ask(server, fresh_s=0)
    server.status = 503
    assert ask(server, fresh_s=0) == first
    server.close()
    assert ask(server, fresh_s=0) == first


def test_a_failure_holds_as_long_as_an_answer(server):
    first = ask(server, fresh_s=0)
    for status in (429, 408, 503):
        server.status = status
        assert ask(server, fresh_s=0) == first
        asked = len(server.asked)
        assert ask(server) == first
        assert len(server.asked) == asked


def test_a_prompt_is_its_users_own(server):
    ask(server).content["parameters"]["temperature"] = 9
    assert ask(server).parameters == {"temperature": 0.2}


def test_an_answer_that_is_none_is_told(monkeypatch):
    _prompt._kept.clear()
    monkeypatch.setattr(_prompt, "_fetch", lambda *_: ("", ["no version"]))
    with pytest.raises(quarterdeck.PromptError, match="no version of a prompt"):
        quarterdeck.get_prompt("a")


def test_refusals_are_told(server):
    server.status = 404
    with pytest.raises(quarterdeck.PromptError, match="there is no prompt") as refused:
        ask(server, label="x")
    assert refused.value.status == 404
    with pytest.raises(ValueError, match="either"):
        ask(server, label="x", version=1)
    server.close()
    with pytest.raises(quarterdeck.PromptError, match="cannot be reached") as unreachable:
        ask(server, version=1)
    assert unreachable.value.status is None
