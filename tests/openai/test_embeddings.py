"""Embeddings on the embedded model."""

import math

import openai
import pytest
from tokenizers import Tokenizer

from server import EMBED

TEXTS = ["A cat sits on the mat.", "A kitten is sitting on a rug.", "Interest rates rose by a quarter point."]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def test_batch(client, test_models):
    answer = client.embeddings.create(model=EMBED, input=TEXTS, encoding_format="float")
    vectors = [item.embedding for item in answer.data]
    assert [item.index for item in answer.data] == [0, 1, 2]
    for vector in vectors:
        assert len(vector) == 384 and math.isclose(math.hypot(*vector), 1, abs_tol=1e-4)
    assert cosine(vectors[0], vectors[1]) > 0.5 > 0.2 > cosine(vectors[0], vectors[2])
    tokenizer = Tokenizer.from_file(str(test_models / "all-minilm-l6-v2/tokenizer.json"))
    tokenizer.no_padding()
    assert answer.usage.prompt_tokens == sum(len(tokenizer.encode(text).ids) for text in TEXTS)


def test_base64_is_the_same(client):
    # Without a format the package asks for base64 and decodes it.
    packed = client.embeddings.create(model=EMBED, input=TEXTS[0]).data[0].embedding
    plain = client.embeddings.create(model=EMBED, input=TEXTS[0], encoding_format="float").data[0].embedding
    assert len(packed) == 384 and all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(packed, plain))


def test_order_does_not_matter(client):
    def embed(texts):
        answer = client.embeddings.create(model=EMBED, input=texts, encoding_format="float")
        return [item.embedding for item in answer.data]

    for forward, backward in zip(embed(TEXTS), reversed(embed(TEXTS[::-1]))):
        assert cosine(forward, backward) > 0.9999


def test_empty_input_is_refused(client):
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model=EMBED, input=[])
