"""What a caller awaits: a future whose waiter goes on in the very read that brings the result.

A future of asyncio wakes its task in the next turn of the loop, through a handle: 0.6 us of CPU for
a small call, and a turn (bench/calls.py). It must not know what is answered, nor by whom.
"""

import asyncio
import contextvars
import time
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Answer(Generic[T]):
    """For one task of `loop`, which may await it once; a task takes it for a future.

    It belongs to the call with the number `call`, to `label`, which was made at `began` and is due
    at `when`, times of the monotonic clock; `took` are the seconds until it ended. `wake` and
    `fail` end it; what ends it twice is ignored. With `at_once`, a future that is done, the waiter
    runs inside: then no task may be running. Cancelling the task ends it with CancelledError, and
    calls `given_up`.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_context",
        "_error",
        "_given_up",
        "_loop",
        "_result",
        "_wake",
        "began",
        "call",
        "done",
        "label",
        "took",
        "when",
    )  # fmt: skip

    _context: contextvars.Context
    _result: T
    took: float

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        given_up: "Callable[[Answer[T]], None]",
        call: int,
        label: str,
        began: float,
        when: float,
    ) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._wake: Callable[[Any], object] | None = None
        self._error: BaseException | None = None
        self._given_up = given_up
        self.began = began
        self.call = call
        self.label = label
        self.when = when
        self.done = False

    def wake(self, result: T, now: float, at_once: asyncio.Future[None] | None) -> None:
        """The result is here."""
        if self.done:
            return
        self.done = True
        self.took = now - self.began
        self._result = result
        wake = self._wake
        if wake is None:
            return
        if at_once is None:
            self._loop.call_soon(wake, self, context=self._context)
            return
        try:
            # The task only asks what it is given for an error: one of asyncio's own costs it less.
            self._context.run(wake, at_once)
        except BaseException as error:  # noqa: BLE001 # an exit: it is the loop's, not the connection's
            self._loop.call_soon(raised, error)

    def fail(self, error: BaseException) -> None:
        """There is no result; the waiter goes on in the next turn."""
        if self.done:
            return
        self.done = True
        self.took = time.monotonic() - self.began
        self._error = error
        if self._wake is not None:
            self._loop.call_soon(self._wake, self, context=self._context)

    # --- what a task needs of a future ---

    def __await__(self) -> Generator[Any, None, T]:
        """Wait."""
        if not self.done:
            self._asyncio_future_blocking = True
            yield self
        if self._error is not None:
            raise self._error
        return self._result

    def add_done_callback(
        self, wake: Callable[[Any], object], *, context: contextvars.Context
    ) -> None:
        """How the task is woken."""
        self._wake = wake
        self._context = context
        if self.done:
            self._loop.call_soon(wake, self, context=context)

    def cancel(self, msg: Any = None) -> bool:
        """The waiting task is cancelled; whether it learns so from here."""
        if self.done:
            return False
        self._given_up(self)
        self.fail(asyncio.CancelledError(*(() if msg is None else (msg,))))
        return True

    def result(self) -> T | None:
        """What the task asks for as it wakes; what it does with the value, `__await__` does."""
        if self._error is not None:
            raise self._error
        return None


def raised(error: BaseException) -> None:
    """Raise it, for the loop to see."""
    raise error
