"""One connection at work on the event loop: moves its bytes and hands its events on.

It does not know what carries the bytes: that is given as `write`, and calls `receive` and `lost`.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from weaver.errors import CodecError, RemoteCallError
from weaver.proclet import context
from weaver.proclet.dispatcher import Dispatcher
from weaver.proclet.outgoing import Outgoing
from weaver.rpc import events
from weaver.rpc.codec import encode_exception
from weaver.rpc.connection import Connection
from weaver.rpc.events import Outcome

Write = Callable[[Sequence[bytes | bytearray | memoryview]], None]


class Channel:
    """Drives one `Connection`; `calls` makes calls, `dispatcher` runs those of the peer."""

    def __init__(
        self,
        connection: Connection,
        write: Write,
        *,
        dispatcher: Dispatcher | None,
        timeout: float,
    ) -> None:
        self._connection = connection
        self._write = write
        self._dispatcher = dispatcher
        self._loop = asyncio.get_running_loop()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._credit: dict[int, asyncio.Future[None]] = {}
        self._flushing = False
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
        self.flush()

    @property
    def running(self) -> set[asyncio.Task[None]]:
        """The calls of the peer that run here."""
        return set(self._running.values())

    # --- bytes ---

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes from the peer; a violation ends the connection and every call on it."""
        self._handle(self._connection.receive(data))
        if self._connection.queued:
            self.flush()

    def lost(self, why: str) -> None:
        """The bytes have ended: fail every call in flight, cancel every call that runs here."""
        self._handle(self._connection.fail(why))

    def close(self) -> None:
        """End the connection now; calls in flight fail."""
        self._handle(self._connection.close())

    def flush(self) -> None:
        """Write soon what is queued: one write per turn of the loop."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        data = self._connection.data_to_send()
        if data:
            self._write(data)
        if self._connection.queued:
            self.flush()  # large bodies: a chunk of each in every turn
        if self._connection.writable:
            self.calls.make_room()

    def _handle(self, happened: Sequence[events.Event]) -> None:
        for event in happened:
            handler = self._handlers.get(type(event))
            if handler is not None:  # the others are for whoever keeps connections
                handler(event)

    def _closed(self, _event: events.Closed) -> None:
        self.calls.close()
        for task in self.running:
            task.cancel()

    # --- calls of the peer ---

    def _begin(self, request: events.Request) -> None:
        answers = _Answers(self, request.call)
        if self._dispatcher is None:
            answers.fail(RemoteCallError("this process hosts no components", executed="no"))
            return
        when = context.NEVER
        if request.deadline_ms:
            when = self._loop.time() + request.deadline_ms / 1000
        call = request.call
        task = self._dispatcher.begin(
            request.method, request.body, answers, deadline=when, metadata=request.metadata
        )
        if not task.done():
            self._running[call] = task
            task.add_done_callback(lambda _: self._running.pop(call, None))

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
            self._connection.send_reply(call, body)
        except CodecError as error:
            self.refuse(call, error)
        self.flush()

    def refuse(self, call: int, error: BaseException) -> None:
        """Send what was raised."""
        self._connection.send_error(call, Outcome.APPLICATION, encode_exception(error))
        self.flush()

    async def answer_item(self, call: int, body: bytes) -> None:
        """Send an item; returns when another may follow."""
        more = self._connection.send_item(call, body)
        self.flush()
        if not more:
            future = self._credit[call] = self._loop.create_future()
            try:
                await future
            finally:
                self._credit.pop(call, None)

    def answer_end(self, call: int) -> None:
        """Send the end of a stream."""
        self._connection.send_end(call)
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
        self._channel.refuse(self._call, error)

    async def item(self, body: bytes) -> None:
        await self._channel.answer_item(self._call, body)

    def end(self) -> None:
        self._channel.answer_end(self._call)
