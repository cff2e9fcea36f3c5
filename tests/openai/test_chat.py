"""Chat and completions on the embedded model, through the `openai` package as it is."""

import json
import math

import openai
import pytest
from pydantic import BaseModel

import tokens
from server import CHAT

# The model is sure of every token of its answer to this, so that rounding does not decide between two.
PROMPT = [{"role": "user", "content": "List the months of the year."}]


@pytest.fixture(scope="module")
def tokenizer(test_models):
    return tokens.smollm2(test_models / "smollm2-135m-instruct-q4_1.gguf")


@pytest.fixture(scope="module")
def greedy(client):
    """What the model says when it always takes the likeliest token; other tests compare with it."""
    return client.chat.completions.create(model=CHAT, messages=PROMPT, max_tokens=40, temperature=0)


def test_answer_and_usage(greedy, tokenizer):
    choice, usage = greedy.choices[0], greedy.usage
    assert greedy.object == "chat.completion" and greedy.model == CHAT
    assert choice.message.role == "assistant" and choice.message.content.strip()
    assert usage.prompt_tokens == len(tokenizer.encode(tokens.chatml(PROMPT)).ids)
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    if choice.finish_reason == "length":
        assert usage.completion_tokens == 40


def test_greedy_is_repeatable(client, greedy):
    again = client.chat.completions.create(model=CHAT, messages=PROMPT, max_tokens=40, temperature=0)
    assert again.choices[0].message.content == greedy.choices[0].message.content


def test_seed_makes_sampling_repeatable(client, greedy):
    def sample(seed):
        answer = client.chat.completions.create(
            model=CHAT, messages=PROMPT, max_tokens=24, temperature=1.0, top_p=0.95, seed=seed
        )
        return answer.choices[0].message.content

    assert sample(7) == sample(7)
    assert len({sample(seed) for seed in range(4)}) > 1


def test_n_choices(client):
    answer = client.chat.completions.create(model=CHAT, messages=PROMPT, max_tokens=16, temperature=1.2, seed=1, n=3)
    assert sorted(choice.index for choice in answer.choices) == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) > 1
    assert answer.usage.completion_tokens <= 3 * 16


def test_stop(client, greedy):
    text = greedy.choices[0].message.content
    stop = text.split()[8]
    answer = client.chat.completions.create(model=CHAT, messages=PROMPT, max_tokens=40, temperature=0, stop=[stop])
    assert answer.choices[0].message.content == text[: text.index(stop)]
    assert answer.choices[0].finish_reason == "stop"


def test_max_completion_tokens(client):
    answer = client.chat.completions.create(model=CHAT, messages=PROMPT, max_completion_tokens=5, temperature=0)
    assert (answer.usage.completion_tokens, answer.choices[0].finish_reason) == (5, "length")


def test_logit_bias_bans_a_token(client, greedy, tokenizer):
    first = tokenizer.encode(greedy.choices[0].message.content).ids[0]
    answer = client.chat.completions.create(
        model=CHAT, messages=PROMPT, max_tokens=4, temperature=0, logit_bias={str(first): -100}
    )
    assert tokenizer.encode(answer.choices[0].message.content).ids[0] != first


def test_penalties_reduce_repetition(client):
    def repeated(penalty):
        """How often the most frequent word of each answer occurs, added up."""
        most = 0
        for text in ("Write the word yes many times: yes yes yes yes yes yes", "Repeat: la la la la la la la la la la la la"):
            answer = client.chat.completions.create(
                model=CHAT, messages=[{"role": "user", "content": text}],
                max_tokens=60, temperature=0, frequency_penalty=penalty, presence_penalty=penalty,
            )
            words = answer.choices[0].message.content.lower().split()
            most += max(words.count(word) for word in words)
        return most

    assert repeated(2.0) < repeated(0.0)


def test_logprobs(client, greedy):
    answer = client.chat.completions.create(
        model=CHAT, messages=PROMPT, max_tokens=8, temperature=0, logprobs=True, top_logprobs=5
    )
    said = answer.choices[0].logprobs.content
    assert len(said) == answer.usage.completion_tokens == 8
    assert b"".join(bytes(token.bytes) for token in said).decode() == answer.choices[0].message.content
    assert greedy.choices[0].message.content.startswith(answer.choices[0].message.content)
    for token in said:
        tops = [top.logprob for top in token.top_logprobs]
        assert len(tops) == 5 and tops == sorted(tops, reverse=True)
        # Greedy: the token that was taken is the likeliest one, and probabilities add up to at most 1.
        assert token.token == token.top_logprobs[0].token and math.isclose(token.logprob, tops[0], abs_tol=1e-4)
        assert sum(map(math.exp, tops)) <= 1 + 1e-4


def test_stream_says_the_same(client, greedy):
    stream = client.chat.completions.create(
        model=CHAT, messages=PROMPT, max_tokens=40, temperature=0, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    *pieces, last = chunks
    assert pieces[0].choices[0].delta.role == "assistant"
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces)
    assert text == greedy.choices[0].message.content
    assert [piece.choices[0].finish_reason for piece in pieces if piece.choices[0].finish_reason] == [
        greedy.choices[0].finish_reason
    ]
    assert last.choices == [] and last.usage.completion_tokens == greedy.usage.completion_tokens
    assert len({chunk.id for chunk in chunks}) == 1


def test_stream_ends_with_done(server):
    body = {"model": CHAT, "messages": PROMPT, "max_tokens": 3, "stream": True}
    status, headers, text = server.raw("POST", "/v1/chat/completions", body)
    assert status == 200 and headers["content-type"].startswith("text/event-stream")
    assert text.rstrip().endswith("data: [DONE]")


def test_a_client_that_leaves_frees_its_place(client):
    for _ in range(3):
        stream = client.chat.completions.create(model=CHAT, messages=PROMPT, max_tokens=4000, stream=True)
        next(iter(stream))
        stream.close()
    answer = client.chat.completions.create(model=CHAT, messages=PROMPT, max_tokens=4, timeout=20)
    assert answer.usage.completion_tokens == 4


class Person(BaseModel):
    name: str
    age: int
    likes: list[str]


def test_json_schema_is_enforced(client):
    answer = client.chat.completions.parse(
        model=CHAT,
        messages=[{"role": "user", "content": "Describe a person named Ada who is 36 and likes two things."}],
        response_format=Person, temperature=0, max_tokens=200,
    )
    person = answer.choices[0].message.parsed
    assert isinstance(person, Person) and answer.choices[0].finish_reason == "stop"


def test_json_schema_with_enum_and_bounds(client):
    schema = {
        "type": "object",
        "properties": {"verdict": {"enum": ["yes", "no"]}, "items": {"type": "array", "items": {"type": "integer"}, "maxItems": 3}},
        "required": ["verdict", "items"],
        "additionalProperties": False,
    }
    for seed in range(3):
        answer = client.chat.completions.create(
            model=CHAT, messages=[{"role": "user", "content": "Tell me about whales."}], temperature=1.0, seed=seed,
            max_tokens=200, response_format={"type": "json_schema", "json_schema": {"name": "v", "schema": schema}},
        )
        value = json.loads(answer.choices[0].message.content)
        assert set(value) == {"verdict", "items"} and value["verdict"] in ("yes", "no")
        assert len(value["items"]) <= 3 and all(isinstance(item, int) for item in value["items"])


def test_json_object(client):
    answer = client.chat.completions.create(
        model=CHAT, messages=[{"role": "user", "content": "Give me a JSON object with one key, colour."}],
        response_format={"type": "json_object"}, temperature=0, max_tokens=200,
    )
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content), dict)
    assert answer.choices[0].message.content.lstrip().startswith("{")


def test_completions(client):
    answer = client.completions.create(model=CHAT, prompt="The capital of France is", max_tokens=8, temperature=0)
    assert answer.object == "text_completion" and "Paris" in answer.choices[0].text
    stream = client.completions.create(
        model=CHAT, prompt="The capital of France is", max_tokens=8, temperature=0, stream=True
    )
    assert "".join(chunk.choices[0].text for chunk in stream if chunk.choices) == answer.choices[0].text


def test_models(client):
    assert {CHAT, "all-minilm-l6-v2"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve(CHAT).id == CHAT
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")
