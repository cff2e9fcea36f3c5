"""The decorator on every kind of function."""

import asyncio
import dataclasses
import json
import threading

import pytest
from opentelemetry import context, trace
from opentelemetry.trace import StatusCode

import quarterdeck


def inputs(span):
    return json.loads(span.attributes["input.value"])


def output(span):
    return json.loads(span.attributes["output.value"])


def test_a_function_with_its_arguments_and_result(recorded):
    @quarterdeck.trace
    def add(left, right=2, *rest, **named):
        """Adds."""
        return {"sum": left + right}

    assert add(1, named=True) == {"sum": 3}
    assert (add.__name__, add.__doc__) == ("add", "Adds.")
    span = recorded.all()[0]
    assert span.name.endswith("add") and "<locals>" not in span.name
    assert inputs(span) == {"left": 1, "named": {"named": True}}
    assert output(span) == {"sum": 3} and span.attributes["output.mime_type"] == "application/json"
    assert span.attributes["openinference.span.kind"] == "CHAIN" and span.status.status_code is StatusCode.UNSET


def test_a_text_is_kept_as_it_is(recorded):
    @quarterdeck.trace(name="greet")
    def greet(name):
        return f"Hello {name}"

    greet("Ada")
    attributes = recorded["greet"].attributes
    assert attributes["output.value"] == "Hello Ada" and "output.mime_type" not in attributes


def test_kinds_have_the_conventions_operation(recorded):
    @quarterdeck.trace(name="get_weather", kind="tool")
    def tool():
        pass

    @quarterdeck.trace(name="ask", kind="llm")
    def llm():
        tool()

    llm()
    asked, used = recorded["ask"], recorded["get_weather"]
    assert (asked.attributes["gen_ai.operation.name"], asked.kind.name) == ("chat", "CLIENT")
    assert used.attributes["gen_ai.operation.name"] == "execute_tool"
    assert used.attributes["gen_ai.tool.name"] == "get_weather"
    assert used.parent.span_id == asked.context.span_id


def test_methods_are_recorded_without_their_object(recorded):
    class Desk:
        @quarterdeck.trace(name="method")
        def answer(self, question):
            return question

        @classmethod
        @quarterdeck.trace(name="class method")
        def open(cls, where):
            return where

    Desk().answer("why")
    Desk.open("Paris")
    assert inputs(recorded["method"]) == {"question": "why"}
    assert inputs(recorded["class method"]) == {"where": "Paris"}


def test_an_error_is_recorded_and_goes_on(recorded):
    @quarterdeck.trace(name="divide")
    def divide(a, b):
        return a / b

    with pytest.raises(ZeroDivisionError):
        divide(1, 0)
    span = recorded["divide"]
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "ZeroDivisionError: division by zero"
    assert span.attributes["error.type"] == "ZeroDivisionError" and span.events[0].name == "exception"


def test_wrong_arguments_fail_as_python_says(recorded):
    @quarterdeck.trace
    def one(argument):
        pass

    with pytest.raises(TypeError, match="argument"):
        one()


def test_coroutines_nest_and_tasks_keep_their_parents(recorded):
    @quarterdeck.trace(name="inner")
    async def inner(number):
        await asyncio.sleep(0)
        return number

    @quarterdeck.trace(name="outer")
    async def outer():
        return await asyncio.gather(*(inner(number) for number in range(3)))

    async def two():
        return await asyncio.gather(outer(), outer())

    assert asyncio.run(two()) == [[0, 1, 2], [0, 1, 2]]
    outers = {span.context.span_id: span for span in recorded.all() if span.name == "outer"}
    inners = [span for span in recorded.all() if span.name == "inner"]
    assert len(outers) == 2 and len(inners) == 6
    parents = [span.parent.span_id for span in inners]
    assert sorted(parents) == sorted([*outers] * 3)
    for span in inners:
        assert span.context.trace_id == outers[span.parent.span_id].context.trace_id


def test_a_cancelled_coroutine(recorded):
    @quarterdeck.trace(name="waits")
    async def waits():
        await asyncio.sleep(60)

    async def cancel():
        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert recorded["waits"].status.description == "cancelled"


def test_a_generators_span_is_current_only_while_it_runs(recorded):
    @quarterdeck.trace(name="stream", kind="llm")
    def stream():
        for word in ("It ", "is ", "sunny"):
            with quarterdeck.span(f"inside {word}"):
                pass
            yield word

    seen = []
    with quarterdeck.span("consumer") as consumer:
        for word in stream():
            seen.append(word)
            assert quarterdeck.current_span().span_id == consumer.span_id
    span = recorded["stream"]
    assert seen == ["It ", "is ", "sunny"] and span.attributes["output.value"] == "It is sunny"
    assert recorded["inside sunny"].parent.span_id == span.context.span_id
    assert span.parent.span_id == recorded["consumer"].context.span_id
    assert [event.name for event in span.events] == ["First Token Stream Event"]


def test_a_generator_takes_what_is_sent_and_thrown_and_returns(recorded):
    @quarterdeck.trace(name="talk")
    def talk():
        received = [(yield 1)]
        try:
            yield 2
        except KeyError as error:
            received.append(error.args[0])
        yield 3
        return received

    running = talk()
    assert next(running) == 1 and running.send("sent") == 2 and running.throw(KeyError("thrown")) == 3
    with pytest.raises(StopIteration) as stop:
        next(running)
    assert stop.value.value == ["sent", "thrown"]
    assert output(recorded["talk"]) == [1, 2, 3]


def test_a_generator_that_is_left_ends_well_and_one_that_fails_does_not(recorded):
    closed = []

    @quarterdeck.trace(name="left")
    def left():
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    @quarterdeck.trace(name="fails")
    def fails():
        yield 1
        raise ValueError("no more")

    running = left()
    next(running)
    running.close()
    with pytest.raises(ValueError, match="no more"):
        list(fails())
    assert closed and recorded["left"].status.status_code is StatusCode.UNSET and output(recorded["left"]) == [1]
    assert recorded["fails"].status.description == "ValueError: no more"


def test_a_generator_that_is_not_begun_has_no_span(recorded):
    @quarterdeck.trace
    def never():
        yield 1

    never()
    assert recorded.all() == []


def test_asynchronous_generators(recorded):
    closed = []

    @quarterdeck.trace(name="stream", kind="llm")
    async def stream(words):
        try:
            for word in words:
                async with quarterdeck.span(f"inside {word}"):
                    await asyncio.sleep(0)
                yield word
        finally:
            closed.append(True)

    async def consume():
        async with quarterdeck.span("consumer") as consumer:
            async for _ in stream(["a", "b"]):
                assert quarterdeck.current_span().span_id == consumer.span_id
        async with quarterdeck.span("half") as half:
            running = stream(["c", "d"])
            assert await anext(running) == "c"
            await running.aclose()
            assert quarterdeck.current_span().span_id == half.span_id

    asyncio.run(consume())
    whole, half = (span for span in recorded.all() if span.name == "stream")
    assert whole.attributes["output.value"] == "ab" and half.attributes["output.value"] == "c"
    assert recorded["inside b"].parent.span_id == whole.context.span_id
    assert half.status.status_code is StatusCode.UNSET and closed == [True, True]


def test_an_asynchronous_generator_that_fails(recorded):
    @quarterdeck.trace(name="fails")
    async def fails():
        yield 1
        raise ValueError("no more")

    async def consume():
        with pytest.raises(ValueError, match="no more"):
            async for _ in fails():
                pass

    asyncio.run(consume())
    assert recorded["fails"].status.description == "ValueError: no more"


def test_threads_nest_when_they_are_given_the_context(recorded):
    @quarterdeck.trace(name="work")
    def work():
        pass

    def given(outer):
        token = context.attach(outer)
        work()
        context.detach(token)

    with quarterdeck.span("main") as main:
        thread = threading.Thread(target=given, args=(context.get_current(),))
        thread.start()
        thread.join()
        alone = threading.Thread(target=quarterdeck.trace(name="alone")(lambda: None))
        alone.start()
        alone.join()
    assert format(recorded["work"].parent.span_id, "016x") == main.span_id
    assert recorded["alone"].parent is None


def test_what_is_not_to_be_kept_is_not(connect):
    recorded = connect()

    @quarterdeck.trace(name="secret", capture_input=False, capture_output=False)
    def secret(password):
        return password

    secret("hunter2")
    assert not {"input.value", "output.value"} & set(recorded["secret"].attributes)


def test_capture_can_be_off_for_all(connect):
    recorded = connect(capture=False)

    @quarterdeck.trace(name="secret")
    def secret(password):
        quarterdeck.current_span().set_messages(input=password, output=password)
        quarterdeck.current_span().set_usage(input_tokens=3)
        return password

    secret("hunter2")
    attributes = recorded["secret"].attributes
    assert "hunter2" not in str(dict(attributes)) and attributes["gen_ai.usage.input_tokens"] == 3


def test_long_values_are_cut(connect):
    recorded = connect(max_chars=100)

    @quarterdeck.trace(name="long")
    def long(numbers):
        return "x" * 101

    long(list(range(1_000_000)))
    attributes = recorded["long"].attributes
    assert attributes["input.value"].startswith('{"numbers": [0, 1, 2') and len(attributes["input.value"]) == 101
    assert "input.mime_type" not in attributes and attributes["output.value"] == "x" * 100 + "…"


@dataclasses.dataclass
class Point:
    x: int
    inside: object


class Unprintable:
    def __str__(self):
        raise RuntimeError("no")


def test_values_that_json_does_not_know(recorded):
    loop = []
    loop.append(loop)

    @quarterdeck.trace(name="odd")
    def odd(**values):
        return None

    odd(point=Point(1, {2}), raw=b"abc", bad=Unprintable())
    odd(loop=loop)
    odd(number=float("nan"))
    first, second, third = recorded.all()
    assert inputs(first)["values"] == {"point": {"x": 1, "inside": [2]}, "raw": "<3 bytes>", "bad": "<Unprintable>"}
    assert "[[...]]" in second.attributes["input.value"] and "nan" in third.attributes["input.value"]
    assert trace.get_current_span() is trace.INVALID_SPAN
