"""Calls of a sampled trace: each has a span of its own at the caller, be it local or remote.

References call these functions only while a span is open in this process (`tracing.watch`); a call
that belongs to no trace then pays a look at one context variable.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

from weaver.component.model import Method
from weaver.proclet import context, paths, tracing


def traced(method: Method, called: tracing.Called, target: paths.Target) -> paths.Target:
    """`target` with a span for each call that belongs to a trace."""
    trace = context.trace.get
    spanned = _WITH_SPAN[method.kind](called, target)

    def call(*args: Any, **kwargs: Any) -> Any:
        parent = trace()
        return spanned(parent, *args, **kwargs) if parent else target(*args, **kwargs)

    return call


class Aim:
    """What a lasting function calls: its target, or one that has spans for calls of a trace."""

    __slots__ = ("_made", "_plain", "_set", "_wrap")

    def __init__(
        self,
        set_targets: Callable[..., None],
        plain: tuple[Callable[..., Any], Callable[..., Any]],
        wrap: Callable[[Callable[..., Any]], Callable[..., Any]],
    ) -> None:
        self._set = set_targets
        self._plain = plain
        self._wrap = wrap
        self._made: tuple[Callable[..., Any], Callable[..., Any]] | None = None

    def __call__(self, *, on: bool) -> None:
        """Call the one or the other from now on."""
        if not on:
            self._set(*self._plain)
            return
        if self._made is None:
            target, timed = self._plain
            self._made = self._wrap(target), self._wrap(timed)
        self._set(*self._made)


def _async(called: tracing.Called, target: paths.Target) -> paths.Target:
    async def call(parent: bytes, /, *args: Any, **kwargs: Any) -> Any:
        with tracing.Call(parent, called):
            return await target(*args, **kwargs)

    return call


def _plain(called: tracing.Called, target: paths.Target) -> paths.Target:
    def call(parent: bytes, /, *args: Any, **kwargs: Any) -> Any:
        with tracing.Call(parent, called):
            return target(*args, **kwargs)

    return call


def _stream(called: tracing.Called, target: paths.Target) -> paths.Target:
    """The span ends with the stream, and is entered for each step: between two, the reader runs."""

    async def stream(parent: bytes, /, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        span = tracing.Call(parent, called)
        error = ""
        try:
            async with paths.Closing(target(*args, **kwargs)) as items:
                while True:
                    span.enter()
                    try:
                        item = await anext(items, _END)
                    finally:
                        span.leave()
                    if item is _END:
                        return
                    yield item
        except GeneratorExit:  # its reader has enough
            raise
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            span.end(error)

    return stream


_END = object()
_WITH_SPAN: dict[str, Callable[[tracing.Called, paths.Target], paths.Target]] = {
    "async": _async,
    "plain": _plain,
    "stream": _stream,
}
