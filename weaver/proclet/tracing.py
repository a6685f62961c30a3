"""Traces of requests: which are sampled, and what took how long in them.

A trace begins with a request of a user: one that its sender samples (`traceparent` of W3C Trace
Context), or, of those that do not say, a share. Calls carry it to other processes, and only then
have its 24 bytes: without one, a call pays a look at one context variable.
"""

import collections
import os
import random
import re
import time
from collections.abc import Iterable
from typing import Any, Final

from weaver.control.spans import Span, encode_span
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

    __slots__ = ("_began", "_component", "_name", "_parent", "_start", "own")

    def __init__(self, trace: bytes, parent: bytes, name: str, component: str) -> None:
        self.own = trace + os.urandom(8)
        self._parent = parent
        self._name = name
        self._component = component
        self._start = time.time()
        self._began = time.perf_counter()

    def end(self, error: str = "") -> None:
        """Finish it, once; `error` says what became of it if not what was wanted."""
        seconds = time.perf_counter() - self._began
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
                **_origin,
            )
        )


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
                return Open(trace, parent, name, component) if sampled else None
    if _share[0] and random.random() < _share[0]:  # noqa: S311 - which ones is no secret
        return Open(os.urandom(_TRACE), b"", name, component)
    return None


def of_call(trace: bytes, name: str, component: str) -> Open:
    """The span of a call that came with a trace."""
    return Open(trace[:_TRACE], trace[_TRACE:], name, component)


def enter(span: Open) -> None:
    """Let calls made in this context belong to a span."""
    context.trace.set(span.own)


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
