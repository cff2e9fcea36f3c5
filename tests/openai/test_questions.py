"""Real questions through the embedded model: all answered, all traced, counted and priced right."""

import asyncio
import csv
import json
import math

import openai
import pytest

import tokens
from server import CHAT, ROOT

DATA = ROOT.parent / "shared/data"
MAX_TOKENS = 48
IN_FLIGHT = 8
SESSION = "eighty-questions"
PERCENTILES = (
    "SELECT model, count(*) AS calls, approx_percentile_cont(latency_ms, 0.5) AS p50, "
    "approx_percentile_cont(latency_ms, 0.99) AS p99 FROM spans WHERE session_id = '" + SESSION + "' GROUP BY 1"
)
ROWS = (
    "SELECT trace_id, latency_ms, input_tokens, output_tokens, cached_tokens, cost_picodollars, status, model "
    "FROM spans WHERE session_id = '" + SESSION + "'"
)
# Dollars per million tokens; the embedded model costs nothing, so the tests give it a price.
PRICE = {"input": 0.10, "cached": 0.05, "output": 0.40}


def questions() -> list[str]:
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not there: the real questions are not part of the repository")
    with (DATA / "gsm8k/test.jsonl").open() as file:
        gsm8k = [json.loads(line)["question"] for _, line in zip(range(40), file)]
    with (DATA / "truthfulqa/TruthfulQA.csv").open(newline="") as file:
        truthfulqa = [row["Question"] for _, row in zip(range(40), csv.DictReader(file))]
    return gsm8k + truthfulqa


async def ask_all(server, asked: list[str]) -> dict:
    """Every question's answer by its trace id, 8 in flight."""
    places = asyncio.Semaphore(IN_FLIGHT)
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.key, timeout=600, max_retries=0) as client:

        async def ask(at: int, question: str):
            trace = f"{at + 1:032x}"
            headers = {"traceparent": f"00-{trace}-00000000000000ff-01", "x-quarterdeck-session": SESSION}
            async with places:
                answer = await client.chat.completions.create(
                    model=CHAT, messages=[{"role": "user", "content": question}],
                    max_tokens=MAX_TOKENS, temperature=0, extra_headers=headers,
                )
            return trace, answer

        return dict(await asyncio.gather(*(ask(at, question) for at, question in enumerate(asked))))


@pytest.fixture(scope="module")
def asked():
    return questions()


@pytest.fixture(scope="module")
def answers(server, asked):
    rows = [{"provider": "local", "model": CHAT, **PRICE}]
    status, _, text = server.raw("PUT", "/api/v1/prices", {"rows": rows})
    assert status == 200, text
    return asyncio.run(ask_all(server, asked))


@pytest.fixture(scope="module")
def rows(server, answers):
    for _ in range(100):
        found = json.loads(server.command("sql", ROWS, "--output", "json"))
        if len(found) >= len(answers):
            return {row["trace_id"]: row for row in found}
    pytest.fail(f"{len(found)} of {len(answers)} calls were traced")


def test_all_are_answered(answers, asked, test_models):
    tokenizer = tokens.smollm2(test_models / "smollm2-135m-instruct-q4_1.gguf")
    assert len(answers) == len(asked) == 80
    for at, question in enumerate(asked):
        answer = answers[f"{at + 1:032x}"]
        choice, usage = answer.choices[0], answer.usage
        assert choice.message.content.strip()
        prompt = tokens.chatml([{"role": "user", "content": question}])
        assert usage.prompt_tokens == len(tokenizer.encode(prompt).ids)
        counted = len(tokenizer.encode(choice.message.content).ids)
        if choice.finish_reason == "length":
            assert usage.completion_tokens == MAX_TOKENS
        # Sampled tokens need not be the shortest way to write their text, and the end token is not in the text.
        assert abs(usage.completion_tokens - counted) <= 2


def test_all_are_traced(answers, rows):
    assert set(rows) == set(answers)
    for trace, answer in answers.items():
        row, usage = rows[trace], answer.usage
        assert (row["status"], row["model"]) == ("ok", CHAT)
        assert (row["input_tokens"], row["output_tokens"]) == (usage.prompt_tokens, usage.completion_tokens)
        cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else 0
        assert row["cached_tokens"] == cached
        # A price of one dollar per million tokens is a million picodollars per token.
        fresh = (usage.prompt_tokens - cached) * PRICE["input"] + cached * PRICE["cached"]
        assert row["cost_picodollars"] == round((fresh + usage.completion_tokens * PRICE["output"]) * 1_000_000)


def test_percentiles(server, rows):
    (found,) = json.loads(server.command("sql", PERCENTILES, "--output", "json"))
    latencies = sorted(row["latency_ms"] for row in rows.values())
    assert found["calls"] == len(latencies) == 80
    # The sketch (a t-digest) is exact to within the neighbouring order statistics at this size.
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        rank = share * (len(latencies) - 1)
        low, high = latencies[max(math.floor(rank) - 1, 0)], latencies[min(math.ceil(rank) + 1, 79)]
        assert low <= found[name] <= high
