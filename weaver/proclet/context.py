"""What travels with a call besides its arguments: deadline, trace, and propagated variables.

A deadline is a time of the monotonic clock of this process; on the wire it is remaining time.
"""

import asyncio
import functools
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import msgspec

from weaver.errors import CodecError, UsageError

NEVER: Final = float("inf")

deadline: ContextVar[float] = ContextVar("weaver.deadline", default=NEVER)
trace: ContextVar[bytes] = ContextVar("weaver.trace", default=b"")
starting: ContextVar[str] = ContextVar("weaver.starting", default="")
"""Full name of the component whose `start` this code belongs to, or ""."""

component: ContextVar[str] = ContextVar("weaver.component", default="")
"""Full name of the component that a call from another process reached, or that starts; or ""."""

_STARTING: Final = starting.name  # travels too, so that a deadlock of starts is found
propagated: Final[dict[str, ContextVar[Any]]] = {}
"""The variables that travel, by name; `propagate` adds to them."""


def propagate(variable: ContextVar[Any]) -> None:
    """Let a context variable travel with calls to other processes.

    Its values must be None, bool, int, float, str, bytes, or lists and dicts of those; another
    value fails the call with CodecError. Raises UsageError for two variables of one name.
    """
    known = propagated.setdefault(variable.name, variable)
    if known is not variable:
        raise UsageError(
            f'two context variables called "{variable.name}" are to be propagated',
            why="they are told apart by name when they travel",
            fix="give one of them another name",
        )


def metadata() -> bytes:
    """The propagated variables that are set here, encoded; b"" when there are none."""
    values: dict[str, Any] = {}
    component = starting.get()
    if component:
        values[_STARTING] = component
    elif not propagated:
        return b""
    for name, variable in propagated.items():
        value = variable.get(_MISSING)
        if value is not _MISSING:
            values[name] = value
    if not values:
        return b""
    try:
        return msgspec.msgpack.encode(values, enc_hook=_refuse)
    except CodecError:
        raise
    except (TypeError, OverflowError, ValueError, RecursionError) as error:
        raise CodecError(f"a propagated context variable cannot travel: {error}") from error


def adopt(encoded: bytes) -> None:
    """Set the propagated variables that came with a call; names unknown here are ignored."""
    if encoded:
        for name, value in msgspec.msgpack.decode(encoded, type=dict[str, Any]).items():
            variable = starting if name == _STARTING else propagated.get(name)
            if variable is not None:
                variable.set(value)


def _refuse(value: Any) -> Any:
    names = [name for name, variable in propagated.items() if variable.get(None) is value]
    raise CodecError(
        f"the context variable {', '.join(names) or 'propagated with this call'} holds "
        f"{type(value).__name__}, which cannot travel",
        fix="propagate plain values: str, int, float, bytes, lists and dicts of them",
    )


_MISSING: Final = object()


def whole_milliseconds(seconds: float) -> int:
    """Remaining time as it travels: rounded down, for a deadline is never extended; at least 1."""
    return max(1, min(int(seconds * 1000), 0xFFFFFFFF))


@contextmanager
def limited_to(when: float) -> Generator[None]:
    """Tighten the deadline of everything called inside; it is never extended."""
    token = deadline.set(min(when, deadline.get()))
    try:
        yield
    finally:
        deadline.reset(token)


@functools.cache
def observe_asyncio_timeouts() -> None:
    """Make `asyncio.timeout()` set the deadline that travels, as cancelling alone would not.

    asyncio offers no way to ask for the enclosing timeout, so entering one records its time in a
    context variable. Behaviour of the timeout itself is unchanged; done once per process.
    """
    timeout = asyncio.Timeout
    enter, leave = timeout.__aenter__, timeout.__aexit__
    tokens: dict[int, Any] = {}

    async def entered(self: asyncio.Timeout) -> asyncio.Timeout:
        result = await enter(self)
        when = self.when()
        if when is not None and when < deadline.get():
            tokens[id(self)] = deadline.set(when)
        return result

    async def left(self: asyncio.Timeout, *error: Any) -> None:
        token = tokens.pop(id(self), None)
        if token is not None:
            deadline.reset(token)
        await leave(self, *error)

    timeout.__aenter__ = entered  # type: ignore[method-assign]
    timeout.__aexit__ = left  # type: ignore[method-assign, assignment]
