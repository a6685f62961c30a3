"""One connection at work on the event loop: moves its bytes and hands its events on.

It decides when bytes are written and how much work one read may cause. It does not know what
carries the bytes: that is given as `write` and `end`, and calls `receive`, `pause`, `resume` and
`lost`.
"""

import asyncio
import collections
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from weaver.errors import CodecError
from weaver.proclet import context
from weaver.proclet.dispatcher import Dispatcher
from weaver.proclet.outgoing import Outgoing
from weaver.rpc import events
from weaver.rpc.codec import encode_exception
from weaver.rpc.connection import Connection, State
from weaver.rpc.events import Outcome

Write = Callable[[Sequence[bytes | bytearray | memoryview]], None]

CHUNKS: Final = 2
"""Pieces of large bodies written in one turn: more would hold up small frames, fewer cost turns."""

TURN: Final = 0.001
"""Seconds of handling after which other connections and timers of the loop get their turn."""

HELD: Final = 0.0001
"""Seconds that an answer is held back, at most, to leave with those of later calls of a read."""


def _nothing() -> None: ...


def _ignore(_event: events.Event) -> None: ...


class Channel:
    """Drives one `Connection`; `calls` makes calls, `dispatcher` runs those of the peer.

    `end` closes what carries the bytes, after what was written. `watch` is told the events that are
    about the connection itself: opened, peer draining, drained, pong, closed. `heard` is when the
    last bytes came, in seconds of the monotonic clock.
    """

    def __init__(
        self,
        connection: Connection,
        write: Write,
        *,
        dispatcher: Dispatcher | None,
        timeout: float,
        end: Callable[[], None] = _nothing,
        watch: Callable[[events.Event], None] = _ignore,
    ) -> None:
        self.connection = connection
        self.heard = time.monotonic()
        self._write = write
        self._end = end
        self._watch = watch
        self._dispatcher = dispatcher
        self._loop = asyncio.get_running_loop()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._credit: dict[int, asyncio.Future[None]] = {}
        self._happened: collections.deque[events.Event] = collections.deque()
        self._behind = False
        self._corked = False
        self._flushing = False
        self._paused = False
        self.calls = Outgoing(connection, self.flush, timeout=timeout)
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            events.Reply: self.calls.replied,
            events.Request: self._begin,
            events.Item: self.calls.item,
            events.End: self.calls.ended,
            events.Failed: self.calls.failed,
            events.Cancelled: self._cancelled,
            events.Credit: self._credited,
            events.Closed: self._closed,
        }
        self._flush_soon()  # the hello

    @property
    def running(self) -> set[asyncio.Task[None]]:
        """The calls of the peer that run here."""
        return set(self._running.values())

    # --- bytes ---

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes from the peer; a violation ends the connection and every call on it."""
        self.heard = time.monotonic()
        self._handle(self.connection.receive(data))

    def pause(self) -> None:
        """Nothing can be written for now; callers wait once a certain amount is queued."""
        self._paused = True

    def resume(self) -> None:
        """Writing goes on."""
        self._paused = False
        self._flush()

    def lost(self, why: str) -> None:
        """The bytes have ended: fail every call in flight, cancel every call that runs here."""
        self._handle(self.connection.fail(why))

    def close(self, why: str = "this side closed the connection") -> None:
        """End the connection now; calls in flight fail."""
        self._handle(self.connection.close(why))

    def drain(self) -> None:
        """Take no new calls of the peer; `Drained` follows when the last one has ended."""
        self.connection.drain()
        self.flush()

    def ping(self) -> None:
        """Ask the peer for a sign of life, which moves `heard`."""
        self.connection.ping()
        self.flush()

    def flush(self) -> None:
        """Write what is queued: at once if nothing else is in flight, else once per turn."""
        if self._flushing or self._corked:
            return
        connection = self.connection
        if connection.outgoing + connection.incoming < 2:
            self._flush()
        else:
            self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush_later)

    def _flush_later(self) -> None:
        self._flushing = False
        self._flush()

    def _flush(self) -> None:
        connection = self.connection
        if connection.queued and not self._paused:
            self._write(connection.data_to_send(CHUNKS))
            if connection.queued:
                self._flush_soon()  # large bodies: a few chunks in every turn
        if connection.state is State.CLOSED:
            if not connection.queued:
                self._end()
        elif connection.writable:
            self.calls.make_room()

    # --- events ---

    def _handle(self, happened: Sequence[events.Event]) -> None:
        self._happened.extend(happened)
        if not self._behind and not self._corked:
            self._work()

    def _work(self) -> None:
        """Act on what happened, a turn's worth at most, and write the answers."""
        self._behind = False
        self._corked = True
        happened = self._happened
        flushed = began = self.heard
        try:
            while happened:
                event = happened.popleft()
                self._handlers.get(type(event), self._watch)(event)
                if happened and (now := time.monotonic()) - flushed > HELD:
                    if now - began > TURN:
                        self._behind = True
                        self._loop.call_soon(self._work)
                        break
                    self._flush()
                    flushed = now
        finally:
            self._corked = False
        self._flush()

    def _closed(self, event: events.Closed) -> None:
        self.calls.close()
        for task in self.running:
            task.cancel()
        self._watch(event)

    # --- calls of the peer ---

    def _begin(self, request: events.Request) -> None:
        call = request.call
        dispatcher = self._dispatcher
        if dispatcher is None or not dispatcher.has_room:
            outcome = Outcome.REFUSED if dispatcher is None else Outcome.OVERLOADED
            why = b"" if dispatcher else b"this process hosts no components"
            self.connection.send_error(call, outcome, why)
            return
        when = context.NEVER
        if request.deadline_ms:
            when = self.heard + request.deadline_ms / 1000
            if self._behind and when <= time.monotonic():
                self.connection.send_error(call, Outcome.EXPIRED)
                return
        task = dispatcher.begin(
            request.method, request.body, _Answers(self, call), when, request.metadata
        )
        if task is not None:
            self._running[call] = task

    def _cancelled(self, event: events.Cancelled) -> None:
        task = self._running.get(event.call)
        if task is not None:
            task.cancel()

    def _credited(self, event: events.Credit) -> None:
        future = self._credit.pop(event.call, None)
        if future is not None and not future.done():
            future.set_result(None)

    def answer(self, call: int, body: bytes) -> None:
        """Send a result; one that is too large is an error instead."""
        try:
            self.connection.send_reply(call, body)
        except CodecError as error:
            self.raised(call, error)
        self.flush()

    def raised(self, call: int, error: BaseException) -> None:
        """Send what was raised."""
        self.connection.send_error(call, Outcome.APPLICATION, encode_exception(error))
        self.flush()

    def refuse(self, call: int, outcome: Outcome, why: str) -> None:
        """Say that a call was not executed."""
        self.connection.send_error(call, outcome, why.encode())
        self.flush()

    async def answer_item(self, call: int, body: bytes) -> None:
        """Send an item; returns when another may follow."""
        more = self.connection.send_item(call, body)
        self.flush()
        if not more:
            future = self._credit[call] = self._loop.create_future()
            try:
                await future
            finally:
                self._credit.pop(call, None)

    def over(self, call: int) -> None:
        """A call of the peer runs no more."""
        self._running.pop(call, None)

    def answer_end(self, call: int) -> None:
        """Send the end of a stream."""
        self.connection.send_end(call)
        self.flush()


class _Answers:
    """The answers to one call of the peer."""

    __slots__ = ("_call", "_channel")

    def __init__(self, channel: Channel, call: int) -> None:
        self._channel = channel
        self._call = call

    def reply(self, body: bytes) -> None:
        self._channel.answer(self._call, body)

    def fail(self, error: BaseException) -> None:
        self._channel.raised(self._call, error)

    def refuse(self, outcome: Outcome, why: str) -> None:
        self._channel.refuse(self._call, outcome, why)

    def over(self) -> None:
        self._channel.over(self._call)

    async def item(self, body: bytes) -> None:
        await self._channel.answer_item(self._call, body)

    def end(self) -> None:
        self._channel.answer_end(self._call)
