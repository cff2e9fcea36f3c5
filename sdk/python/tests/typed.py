"""What a type checker makes of the package; `make sdk` checks this file, and nothing runs it."""

from collections.abc import AsyncIterator, Iterator

from typing_extensions import assert_type

import quarterdeck


@quarterdeck.trace
def plain(number: int) -> str:
    return str(number)


@quarterdeck.trace(name="named", kind="tool", capture_output=False)
async def coroutine(number: int, *, times: int = 1) -> list[int]:
    return [number] * times


@quarterdeck.trace(kind="llm")
def stream() -> Iterator[str]:
    yield "word"


@quarterdeck.trace
async def async_stream() -> AsyncIterator[bytes]:
    yield b"word"


async def use() -> None:
    assert_type(plain(1), str)
    assert_type(await coroutine(1, times=2), list[int])
    assert_type(next(iter(stream())), str)
    async for piece in async_stream():
        assert_type(piece, bytes)
    with quarterdeck.span("block", kind="retriever") as work:
        assert_type(work, quarterdeck.Span)
        assert_type(work.score("helpful", True), str | None)
    async with quarterdeck.span("block") as later:
        assert_type(later.trace_id, str)
    plain("not a number")  # type: ignore[arg-type]
    quarterdeck.span("block", kind="lmm")  # type: ignore[arg-type]
    quarterdeck.score("helpful", object())  # type: ignore[arg-type]


def prompts() -> None:
    prompt = quarterdeck.get_prompt("greeting", label="production")
    assert_type(prompt, quarterdeck.Prompt)
    assert_type(prompt.headers, dict[str, str])
    assert_type(prompt.model, str | None)
