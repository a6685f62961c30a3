"""One connection at work on the event loop: moves its bytes and hands its events on.

It decides when bytes are written and how much work one read may cause. It does not know what
carries the bytes: a `Carrier` does.
"""

import asyncio
import collections
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from weaver.errors import CodecError
from weaver.proclet import context
from weaver.proclet.answer import raised
from weaver.proclet.dispatcher import Dispatcher
from weaver.proclet.eager import current_task
from weaver.proclet.outgoing import Outgoing
from weaver.proclet.spinning import Spinner
from weaver.rpc import events
from weaver.rpc.codec import encode_exception
from weaver.rpc.connection import Connection
from weaver.rpc.events import Outcome
from weaver.rpc.listener import Listener

Buffer = bytes | bytearray | memoryview


class Carrier(Protocol):
    """What carries bytes to the peer; it calls `receive`, `pause`, `resume` and `lost`."""

    def write(self, buffer: Buffer) -> None:
        """Write a buffer, which nobody changes any more."""
        ...

    def write_all(self, buffers: Sequence[Buffer]) -> None:
        """Write some buffers, which nobody changes any more."""
        ...

    def fill(self) -> None:
        """A large body comes: ask `room` where the bytes belong, and say so with `filled`."""
        ...

    def close(self) -> None:
        """End the connection after what was written."""
        ...


CHUNKS: Final = 8
"""Pieces of a large body that leave as one frame, if its call is the only one in flight; else one.

A piece is written only if the kernel took all of the one before: small frames never wait for more
than the rest of one. Two at once take 40 % more CPU for 1 MiB there and back than eight; a call
that begins meanwhile waits for the rest of 1 MiB at most, the next one for that of 128 KiB."""

TURN: Final = 0.001
"""Seconds of handling after which other connections and timers of the loop get their turn."""

HELD: Final = 0.0001
"""Seconds that an answer is held back, at most, to leave with those of later calls of a read."""


# Bound once: the compiled core would look imported names up in a dict, 1 % of a small call.
_clock: Final = time.monotonic
_current_task: Final = current_task


def _ignore(_event: events.Event) -> None: ...


class Channel(Listener):
    """Drives one `Connection`; `calls` makes calls, `dispatcher` runs those of the peer.

    `watch` is told the events that are about the connection itself: opened, peer draining, drained,
    pong, closed. `heard` is when the last bytes came, in seconds of the monotonic clock. A
    `spinner` is told of every read.
    """

    def __init__(
        self,
        connection: Connection,
        stream: Carrier,
        *,
        dispatcher: Dispatcher | None,
        timeout: float,
        watch: Callable[[events.Event], None] = _ignore,
        spinner: Spinner | None = None,
    ) -> None:
        self.connection = connection
        self.heard = self._flushed = self._turn = self._since = _clock()
        self._callee = connection.callee
        self._write = stream.write
        self._write_all = stream.write_all
        self._end = stream.close
        self._fill = stream.fill
        self._partials = connection.partials
        self.room = connection.room
        self._watch = watch
        self._spinner = spinner
        self._dispatcher = dispatcher
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._credit: dict[int, asyncio.Future[None]] = {}
        self._happened: collections.deque[events.Event] = collections.deque()
        self._behind = False
        self._acted = 0
        self._done = self._loop.create_future()
        self._done.set_result(None)
        self._at_once: asyncio.Future[None] | None = None
        self._corked = self._flushing = self._paused = False
        self._lanes = connection.lanes
        self.calls = Outgoing(connection, self.flush, timeout=timeout)
        self._room_wanted = self.calls.room_wanted
        self._waiting = self.calls.waiting
        self._handlers = self._make_handlers()
        connection.tell(self)
        self._flush_soon()  # the hello

    def _make_handlers(self) -> dict[type[Any], Callable[[Any], None]]:
        return {
            events.Reply: self._replied,
            events.Request: self._begin,
            events.Item: self.calls.item,
            events.End: self.calls.ended,
            events.Failed: self.calls.failed,
            events.Cancelled: self._cancelled,
            events.Credit: self._credited,
            events.Closed: self._ended,
        }

    @property
    def running(self) -> set[asyncio.Task[None]]:
        """The calls of the peer that run here."""
        return set(self._running.values())

    # --- bytes ---

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes from the peer; a violation ends the connection and every call on it."""
        self.heard = self._flushed = _clock()
        # Within a read no task runs; a connection in memory may be read by one.
        self._at_once = self._done if _current_task(self._loop) is None else None
        self._corked = True
        try:
            happened = self.connection.receive(data)
        finally:
            self._corked = False
        if happened or self._happened:
            self._handle(happened)
        else:
            self._flush()
        if self._spinner is not None:
            self._tell_spinner(self._spinner, len(happened))
        if self._partials:
            self._fill()

    def filled(self, count: int) -> None:
        """Take so many bytes of the peer, which have been put into `room`."""
        behind = self.connection.filled(count)
        if behind is None:
            self.heard = _clock()
        else:
            self.receive(behind)

    def _tell_spinner(self, spinner: Spinner, happened: int) -> None:
        before, self._acted = self._acted, self.connection.acted
        spinner.heard(_clock(), happened + self._acted - before)

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
        if len(connection.ours) + len(connection.theirs) < 2:
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
        if not self._paused:
            if self._lanes:
                self._write_large()
            elif small := self.connection.small_to_send():
                self._write(small)
        if self._closed:
            if not self.connection.queued:
                self._end()
        elif self._room_wanted:
            self.calls.make_room()

    def _write_large(self) -> None:
        connection = self.connection
        self._write_all(connection.data_to_send(CHUNKS if connection.one_large else 1))
        if self._paused:
            return
        if connection.queued:
            self._flush_soon()

    # --- events ---

    def _handle(self, happened: Sequence[events.Event]) -> None:
        if not self._happened:
            self._since = self.heard
        self._happened.extend(happened)
        if self._corked:
            return
        if self._behind:
            self._flush()
        else:
            self._work()

    def _put_off(self, event: events.Event) -> None:
        """Leave something for a later turn, or behind what has been left for it."""
        if not self._happened:
            self._since = self.heard
        self._happened.append(event)

    def _catch_up(self) -> None:
        self._behind = False
        self._turn = self._flushed = _clock()
        self._work()

    def _work(self) -> None:
        """Act on what happened, a turn's worth at most, and write the answers."""
        self._corked = True
        happened = self._happened
        handlers = self._handlers
        try:
            while happened:
                event = happened.popleft()
                handlers.get(event.__class__, self._watch)(event)
                if happened and (now := _clock()) - self._flushed > HELD and self._late(now):
                    break
        finally:
            self._corked = False
        self._flush()

    def _late(self, now: float) -> bool:
        """Enough has been handled to write what there is; whether even the turn is over."""
        if now - max(self._turn, self.heard) > TURN:
            self._behind = True
            self._loop.call_soon(self._catch_up)
            return True
        self._flush()
        self._flushed = now
        return False

    def _ended(self, event: events.Closed) -> None:
        self._closed = True
        self.calls.close()
        for task in self.running:
            task.cancel()
        self._watch(event)

    def replied(self, call: int, body: bytes) -> None:
        """The result of a call: wake its caller, unless the turn is over."""
        now = _clock()
        if self._happened or (now - self._flushed > HELD and self._late(now)):
            self._put_off(events.Reply(call, body))
            return
        answer = self._waiting.pop(call, None)
        if answer is not None:
            answer.wake(body, now, self._at_once)

    def _replied(self, reply: events.Reply) -> None:
        answer = self._waiting.pop(reply.call, None)
        if answer is not None:
            at_once = self._done if _current_task(self._loop) is None else None
            answer.wake(reply.body, _clock(), at_once)

    # --- calls of the peer ---

    def requested(self, call: int, method: int, body: bytes, deadline_ms: int) -> None:
        """A call: run it, unless the turn is over."""
        now = _clock()
        if self._happened or (now - self._flushed > HELD and self._late(now)):
            self._put_off(events.Request(call, method, body, deadline_ms))
            return
        dispatcher = self._dispatcher
        when = self.heard + deadline_ms / 1000
        try:
            if dispatcher is None or when <= now:
                self._start(events.Request(call, method, body, deadline_ms), self.heard, now)
                return
            task = dispatcher.begin(method, body, self, call, when)
            if task is not None:
                self._running[call] = task
        except BaseException as error:  # noqa: BLE001 # an exit: it is the loop's, not the connection's
            self._loop.call_soon(raised, error)

    def _begin(self, request: events.Request) -> None:
        self._start(request, self._since, max(self._turn, self.heard))

    def _start(self, request: events.Request, since: float, now: float) -> None:
        """Run a call that came at `since`."""
        dispatcher, call = self._dispatcher, request.call
        if dispatcher is None:
            self.refuse(call, Outcome.REFUSED, "this process hosts no components")
            return
        when = context.NEVER
        if request.deadline_ms:
            when = since + request.deadline_ms / 1000
            if when <= now:
                self.connection.send_error(call, Outcome.EXPIRED)
                return
        task = dispatcher.begin(
            request.method, request.body, self, call, when, request.metadata, trace=request.trace
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

    def reply(self, call: int, body: bytes) -> None:
        """Send a result; one that is too large is an error instead."""
        if self._running:
            self._running.pop(call, None)
        try:
            self._callee.send_reply(call, body)
        except CodecError as error:
            self.fail(call, error)
        if not self._corked:
            self.flush()

    def fail(self, call: int, error: BaseException) -> None:
        """Send what was raised."""
        self._running.pop(call, None)
        self.connection.send_error(call, Outcome.APPLICATION, encode_exception(error))
        self.flush()

    def refuse(self, call: int, outcome: Outcome, why: str) -> None:
        """Say that a call was not executed."""
        self._running.pop(call, None)
        self.connection.send_error(call, outcome, why.encode())
        self.flush()

    async def item(self, call: int, body: bytes) -> None:
        """Send an item; returns when another may follow."""
        more = self.connection.send_item(call, body)
        self.flush()
        if not more:
            future = self._credit[call] = self._loop.create_future()
            try:
                await future
            finally:
                self._credit.pop(call, None)

    def end(self, call: int) -> None:
        """Send the end of a stream."""
        self._running.pop(call, None)
        self.connection.send_end(call)
        self.flush()
