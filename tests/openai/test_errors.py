"""Errors have OpenAI's shape, type and status, so the package raises what its users catch."""

import json

import openai
import pytest

from server import CHAT

HELLO = [{"role": "user", "content": "Hello"}]


def refused(client, kind, **request):
    with pytest.raises(kind) as raised:
        client.chat.completions.create(**{"model": CHAT, "messages": HELLO, **request})
    assert set(raised.value.body) >= {"message", "type", "param", "code"}
    return raised.value


def test_wrong_key(server):
    stranger = openai.OpenAI(base_url=f"{server.url}/v1", api_key="qd-wrong", max_retries=0)
    error = refused(stranger, openai.AuthenticationError)
    assert (error.status_code, error.code) == (401, "invalid_api_key")


def test_unknown_model(client):
    error = refused(client, openai.NotFoundError, model="no-such-model")
    assert error.code == "model_not_found" and "no-such-model" in error.message


def test_context_overflow(client):
    error = refused(client, openai.BadRequestError, messages=[{"role": "user", "content": "word " * 20_000}])
    assert error.code == "context_length_exceeded" and error.param == "messages"


@pytest.mark.parametrize(
    ("field", "value"),
    [("temperature", 3.5), ("top_p", 1.5), ("n", 0), ("max_tokens", 0), ("presence_penalty", -3), ("top_logprobs", 99)],
)
def test_out_of_range(client, field, value):
    extra = {"logprobs": True} if field == "top_logprobs" else {}
    error = refused(client, openai.BadRequestError, **{field: value}, **extra)
    assert error.param == field and error.type == "invalid_request_error"


def test_wrong_type(client):
    error = refused(client, openai.BadRequestError, extra_body={"temperature": "warm"})
    assert error.param == "temperature"


def test_no_messages(client):
    assert refused(client, openai.BadRequestError, messages=[]).param == "messages"


def test_not_json(server):
    status, _, text = server.raw("POST", "/v1/chat/completions", b"{")
    assert status == 400 and json.loads(text)["error"]["type"] == "invalid_request_error"


def test_embedding_model_does_not_chat(client):
    refused(client, openai.BadRequestError, model="all-minilm-l6-v2")


def test_foreign_host_is_refused(server):
    status, _, text = server.raw("GET", "/v1/models", headers={"host": "evil.example"})
    assert 400 <= status < 500 and "evil.example" in text
