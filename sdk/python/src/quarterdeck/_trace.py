"""The decorator: a span for each call of a function, whatever kind of function it is."""

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, ParamSpec, TypeVar, cast, overload

from ._names import Kind
from ._quiet import quietly
from ._span import Span, begin, end, enter, leave, span

P = ParamSpec("P")
R = TypeVar("R")

MAX_PIECES = 10_000
"""Pieces of a generator that are kept for its span's output at most; further ones pass and are not kept."""


@overload
def trace(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def trace(
    *, name: str | None = None, kind: Kind = "chain", capture_input: bool = True, capture_output: bool = True
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def trace(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    kind: Kind = "chain",
    capture_input: bool = True,
    capture_output: bool = True,
) -> Any:
    """Records each call of a function, coroutine function, generator or asynchronous generator as a span.

    Arguments and the result are kept, unless told otherwise here or in `init`. The span of a generator lasts from its
    first step to its end, and is current only while the generator runs, not while its consumer does.
    """
    if function is None:
        return functools.partial(
            _decorate, name=name, kind=kind, capture_input=capture_input, capture_output=capture_output
        )
    return _decorate(function, name=name, kind=kind, capture_input=capture_input, capture_output=capture_output)


def _decorate(
    function: Callable[..., Any], *, name: str | None, kind: Kind, capture_input: bool, capture_output: bool
) -> Callable[..., Any]:
    recipe = _Recipe(
        function, name or function.__qualname__.replace("<locals>.", ""), kind, capture_input, capture_output
    )
    if inspect.isasyncgenfunction(function):
        wrapper = _async_generator(recipe)
    elif inspect.isgeneratorfunction(function):
        wrapper = _generator(recipe)
    elif inspect.iscoroutinefunction(function):
        wrapper = _coroutine(recipe)
    else:
        wrapper = _plain(recipe)
    return functools.wraps(function)(wrapper)


class _Recipe:
    """How the calls of one function are recorded."""

    def __init__(
        self, function: Callable[..., Any], name: str, kind: Kind, capture_input: bool, capture_output: bool
    ) -> None:
        self.function, self.name, self.kind = function, name, kind
        self.capture_input, self.capture_output = capture_input, capture_output
        self.signature: inspect.Signature | None = None
        with quietly(f"reading the signature of {name}"):
            self.signature = inspect.signature(function)

    def describe(self, work: Span, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Keeps the arguments by their names, without the object or class that a method belongs to."""
        if not (self.capture_input and self.signature and work.otel.is_recording()):
            return
        # A call with wrong arguments fails by itself, with Python's own message, when the function is called.
        try:
            bound = self.signature.bind(*args, **kwargs).arguments
        except TypeError:
            return
        work.set_input({name: value for at, (name, value) in enumerate(bound.items()) if not _is_own(at, name)})

    def conclude(self, work: Span, result: object) -> None:
        """Keeps the result, unless the function has told its span an output of its own."""
        if self.capture_output and result is not None and not _has_output(work):
            work.set_output(result)


def _is_own(at: int, name: str) -> bool:
    return at == 0 and name in ("self", "cls")


def _has_output(work: Span) -> bool:
    attributes = getattr(work.otel, "attributes", None) or {}
    return "output.value" in attributes or "gen_ai.output.messages" in attributes


def _plain(recipe: _Recipe) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with span(recipe.name, kind=recipe.kind) as work:
            recipe.describe(work, args, kwargs)
            result = recipe.function(*args, **kwargs)
            recipe.conclude(work, result)
            return result

    return call


def _coroutine(recipe: _Recipe) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        with span(recipe.name, kind=recipe.kind) as work:
            recipe.describe(work, args, kwargs)
            result = await cast(Awaitable[Any], recipe.function(*args, **kwargs))
            recipe.conclude(work, result)
            return result

    return call


class _Stepped:
    """The span of a generator, and what it has given so far."""

    def __init__(self, recipe: _Recipe, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.recipe, self.work = recipe, begin(recipe.name, recipe.kind)
        self.pieces: list[Any] = []
        self.count = 0
        recipe.describe(self.work, args, kwargs)

    def gave(self, piece: object) -> None:
        self.count += 1
        if self.count == 1 and self.recipe.kind == "llm":
            self.work.first_token()
        if self.recipe.capture_output and len(self.pieces) < MAX_PIECES:
            self.pieces.append(piece)

    def end(self, error: BaseException | None = None) -> None:
        with quietly("keeping what a generator gave"):
            texts = bool(self.pieces) and all(isinstance(piece, str) for piece in self.pieces)
            self.recipe.conclude(self.work, "".join(self.pieces) if texts else self.pieces or None)
        end(self.work, error)


def _generator(recipe: _Recipe) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        stepped = _Stepped(recipe, args, kwargs)
        inner: Generator[Any, Any, Any] = recipe.function(*args, **kwargs)

        def step(run: Callable[..., Any], *given: Any) -> Any:
            token = enter(stepped.work)
            try:
                return run(*given)
            finally:
                leave(token)

        try:
            piece = step(next, inner)
            while True:
                stepped.gave(piece)
                try:
                    sent = yield piece
                except GeneratorExit:
                    step(inner.close)
                    raise
                except BaseException as thrown:
                    piece = step(inner.throw, thrown)
                else:
                    piece = step(inner.send, sent)
        except StopIteration as stop:
            stepped.end()
            return stop.value
        except GeneratorExit:
            # A consumer that has enough is no failure.
            stepped.end()
            raise
        except BaseException as error:
            stepped.end(error)
            raise

    return call


def _async_generator(recipe: _Recipe) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        stepped = _Stepped(recipe, args, kwargs)
        inner: AsyncGenerator[Any, Any] = recipe.function(*args, **kwargs)

        async def step(run: Callable[..., Awaitable[Any]], *given: Any) -> Any:
            token = enter(stepped.work)
            try:
                return await run(*given)
            finally:
                leave(token)

        try:
            piece = await step(inner.asend, None)
            while True:
                stepped.gave(piece)
                try:
                    sent = yield piece
                except GeneratorExit:
                    await step(inner.aclose)
                    raise
                except BaseException as thrown:
                    piece = await step(inner.athrow, thrown)
                else:
                    piece = await step(inner.asend, sent)
        except StopAsyncIteration:
            stepped.end()
        except GeneratorExit:
            stepped.end()
            raise
        except BaseException as error:
            stepped.end(error)
            raise

    return call
