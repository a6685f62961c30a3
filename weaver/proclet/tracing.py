"""Traces of requests: which are sampled, and what took how long in them.

A trace begins with a request of a user: one that its sender samples (`traceparent` of W3C Trace
Context), or, of those that do not say, a share. Calls carry it to other processes, and only then
have its 24 bytes. Calls look for a trace only while any span is open in this process: `watch` tells
those who make calls, so that without one they pay nothing.
"""

import collections
import os
import random
import re
import threading
import time
import weakref
from collections.abc import Iterable
from contextvars import ContextVar, Token
from typing import Any, Final, NamedTuple, Protocol, Self

from weaver.control.spans import Kind, Span, encode_span
from weaver.proclet import context

KEPT: Final = 2000
"""Spans that wait to be sent; older ones are lost."""

_PARENT: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_TRACE: Final = 16
_SAMPLED: Final = 1


class Open:
    """A span that has begun: `own` is what goes on with calls that belong to it."""

    __slots__ = ("_began", "_component", "_name", "_parent", "_start", "attempts", "kind", "own")

    def __init__(
        self, trace: bytes, parent: bytes, name: str, component: str, kind: Kind = "served"
    ) -> None:
        self.own = trace + os.urandom(8)
        self.kind: Kind = kind
        self.attempts = 0
        self._parent = parent
        self._name = name
        self._component = component
        _opened(1)
        self._start = time.time()
        self._began = time.perf_counter()

    @property
    def caller(self) -> str:
        """Full name of the component that calls, where this is the caller's side of a call."""
        return ""

    def end(self, error: str = "") -> None:
        """Finish it, once; `error` says what became of it if not what was wanted."""
        seconds = time.perf_counter() - self._began
        _opened(-1)
        _finished.append(
            Span(
                self.own[:_TRACE].hex(),
                self.own[_TRACE:].hex(),
                self._name,
                self._start,
                seconds,
                parent=self._parent.hex(),
                component=self._component,
                error=error,
                kind=self.kind,
                caller=self.caller,
                attempts=self.attempts,
                **_origin,
            )
        )


class Called(NamedTuple):
    """What a caller's references call: a method, and its component, `remote` if not hosted here."""

    name: str
    component: str
    caller: str
    remote: bool


class Call(Open):
    """The span of one call at its caller: what is called from `enter` to `leave` belongs to it.

    As a context manager it is entered, left and ended once, with the error that was raised.
    """

    __slots__ = ("_called", "_tokens")

    def __init__(self, parent: bytes, called: Called) -> None:
        super().__init__(
            parent[:_TRACE],
            parent[_TRACE:],
            called.name,
            called.component,
            "remote" if called.remote else "local",
        )
        self._called = called

    @property
    def caller(self) -> str:
        """Full name of the calling component, or "" for other code."""
        return self._called.caller

    def enter(self) -> None:
        """Go on with it, in the present context."""
        self._tokens: tuple[Token[bytes], Token[Call | None]] = (
            context.trace.set(self.own),
            _call.set(self),
        )

    def leave(self) -> None:
        """Go on with what was there before; the context may have gone, with a coroutine's end."""
        trace, call = self._tokens
        try:
            context.trace.reset(trace)
            _call.reset(call)
        except ValueError:
            pass

    def __enter__(self) -> Self:
        self.enter()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        self.leave()
        self.end("" if kind is None else kind.__name__)

    def sent(self) -> None:
        """Its request has been queued for another process, or for one that stands for it."""
        self.kind = "remote"
        self.attempts += 1


class Watcher(Protocol):
    """Makes calls, and has to look for a trace in each while `tracing` is on."""

    def trace(self, *, on: bool) -> None:
        """The first span has been opened in this process, or the last one has ended."""
        ...


class Replies:
    """Answers to a call that is traced, as `dispatcher.Replies`: its span ends with the last."""

    def __init__(self, replies: Any, span: Open) -> None:
        self._replies = replies
        self._span = span
        self.item = replies.item

    def reply(self, call: int, body: bytes) -> None:
        """The result."""
        self._span.end()
        self._replies.reply(call, body)

    def fail(self, call: int, error: BaseException) -> None:
        """What was raised."""
        self._span.end(type(error).__name__)
        self._replies.fail(call, error)

    def refuse(self, call: int, outcome: Any, why: str) -> None:
        """Why nothing was run."""
        self._span.end(outcome.name.lower())
        self._replies.refuse(call, outcome, why)

    def end(self, call: int) -> None:
        """The end of a stream."""
        self._span.end()
        self._replies.end(call)


_finished: Final[collections.deque[Span]] = collections.deque(maxlen=KEPT)
_origin: Final[dict[str, str]] = {}
_share: Final = [0.0]
_call: Final[ContextVar[Call | None]] = ContextVar("weaver.traced_call", default=None)
_watchers: Final[weakref.WeakSet[Watcher]] = weakref.WeakSet()
_open: Final = [0]
_lock: Final = threading.RLock()  # garbage collection may end a span at any time


def configure(share: float, *, replica: str = "", version: str = "") -> None:
    """Sample this share of requests that come without a decision; where spans are from."""
    _share[0] = share
    _origin.update(replica=replica, version=version)


def of_request(headers: Iterable[tuple[bytes, bytes]], name: str, component: str) -> Open | None:
    """The span of a request that is sampled, which begins now; else None."""
    for key, value in headers:
        if key == b"traceparent":
            found = _read(value)
            if found is not None:
                trace, parent, sampled = found
                return Open(trace, parent, name, component, "request") if sampled else None
    if _share[0] and random.random() < _share[0]:  # noqa: S311 - which ones is no secret
        return Open(os.urandom(_TRACE), b"", name, component, "request")
    return None


def of_call(trace: bytes, name: str, component: str) -> Open:
    """The span of a call that came with a trace."""
    return Open(trace[:_TRACE], trace[_TRACE:], name, component)


def enter(span: Open) -> None:
    """Let calls made in this context belong to a span."""
    context.trace.set(span.own)


def sent() -> None:
    """A request of the traced call of this context has been queued on a connection."""
    call = _call.get()
    if call is not None:
        call.sent()


def watch(watcher: Watcher) -> None:
    """Tell whoever makes calls, as long as it exists, when to look for a trace."""
    with _lock:
        _watchers.add(watcher)
        if _open[0]:
            watcher.trace(on=True)


def _opened(spans: int) -> None:
    with _lock:
        before = bool(_open[0])
        _open[0] += spans
        on = bool(_open[0])
        if on is not before:
            for watcher in tuple(_watchers):
                watcher.trace(on=on)


def take() -> tuple[bytes, ...]:
    """The spans that have finished since the last time."""
    taken: list[bytes] = []
    while _finished:
        taken.append(encode_span(_finished.popleft()))
    return tuple(taken)


def _read(header: bytes) -> tuple[bytes, bytes, bool] | None:
    """Trace, parent and whether it is sampled; None for a header that must be ignored."""
    match = _PARENT.fullmatch(header.strip())
    if match is None or (match[1] == b"00" and match[5]):
        return None
    trace, parent = bytes.fromhex(match[2].decode()), bytes.fromhex(match[3].decode())
    if not any(trace) or not any(parent):
        return None
    return trace, parent, bool(int(match[4], 16) & _SAMPLED)
