"""The calls that this process makes on one connection: from sending to the answer.

It enforces their deadlines, and turns cancellation of the caller into that of the call. Bytes and
incoming calls are the business of `channel.py`.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Final

from weaver.errors import CodecError, DeadlineExceeded, RemoteCallError
from weaver.proclet import context, tracing
from weaver.proclet.answer import Answer
from weaver.proclet.deadlines import Deadlines
from weaver.proclet.item_stream import WINDOW, ItemStream
from weaver.proclet.patience import patiently
from weaver.rpc import events
from weaver.rpc.codec import decode_exception
from weaver.rpc.connection import Connection
from weaver.rpc.events import Outcome, call_error
from weaver.rpc.methods import MethodCodec

_clock: Final = time.monotonic
_deadline: Final = context.deadline.get
_starting: Final = context.starting.get
_trace: Final = context.trace.get
_propagated: Final = context.propagated


class Answered(Exception):
    """The method itself raised a RemoteCallError, in `error`: about calls of its own.

    To the runtime this call was executed, whatever its error says.
    """

    def __init__(self, error: RemoteCallError) -> None:
        super().__init__(error)
        self.error = error


class Outgoing:
    """Calls over one connection. `timeout` is the deadline of calls without one, in seconds.

    `flush` is called whenever there is something to write.
    """

    def __init__(
        self, connection: Connection, flush: Callable[[], None], *, timeout: float
    ) -> None:
        self._connection = connection
        self._flush = flush
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._caller = connection.caller
        self.waiting: dict[int, Answer[bytes]] = {}
        self._streams: dict[int, ItemStream] = {}
        self.room_wanted: list[tuple[int, asyncio.Future[None]]] = []
        self._deadlines = Deadlines(self._loop, self._expire)
        self._cancelled = self._cancel
        self._whole = context.whole_milliseconds(timeout)

    async def call(self, codec: MethodCodec, body: bytes) -> bytes:
        """The encoded result of a call.

        Raises what the method raised (a RemoteCallError of it within `Answered`), DeadlineExceeded,
        Overloaded or ConnectionLost. Cancelling it cancels the call at the callee.
        """
        return await (self.begin(codec, body) or await self.begin_later(codec, body))

    async def begin_later(self, codec: MethodCodec, body: bytes) -> Answer[bytes]:
        """As `begin`, as soon as the connection takes more. Raises DeadlineExceeded."""
        await self.room(codec, len(body))
        answer = self.begin(codec, body, crowded=True)
        assert answer is not None
        return answer

    def begin(
        self, codec: MethodCodec, body: bytes, *, crowded: bool = False
    ) -> Answer[bytes] | None:
        """Send a call; what will be its encoded result, for whoever is in a hurry.

        None: `begin_later`, which waits for `room` before, and says that it was `crowded`.
        """
        when = _deadline()
        now = _clock()
        latest = now + self._timeout
        if when > latest:
            when = latest
            remaining = self._whole
        else:
            remaining = self._remaining(codec, when, now)
        call = 0
        if not _propagated and not _starting() and not _trace():
            call = self._caller.send_ordinary(codec.index, body, remaining)
        if not call:
            if not crowded and not self._connection.has_room(len(body)):
                return None
            call = self._send(codec, body, remaining, 0)
        answer = self.waiting[call] = Answer(
            self._loop, self._cancelled, call, codec.label, now, when
        )
        if when < self._deadlines.next:
            self._deadlines.add(when)
        self._flush()
        return answer

    def _cancel(self, answer: Answer[bytes]) -> None:
        """Give up a call whose result nobody waits for."""
        if self.waiting.pop(answer.call, None) is not None:
            self._connection.send_cancel(answer.call)
            self._flush()

    async def room(self, codec: MethodCodec, size: int) -> None:
        """Wait until the connection takes a body of `size` bytes. Raises DeadlineExceeded."""
        when = context.deadline.get()
        if codec.method.kind != "stream":
            when = min(when, self._loop.time() + self._timeout)
        await self._wait_for_room(codec, size, when)

    async def begin_stream(self, codec: MethodCodec, body: bytes) -> ItemStream:
        """Send a streaming call; end it with `end_stream`.

        A stream has the deadline of its context, and no default one.
        """
        when = _deadline()
        if not self._connection.has_room(len(body)):
            await self.room(codec, len(body))
        call = self._send(codec, body, self._remaining(codec, when, _clock()), WINDOW)
        self._flush()
        stream = self._streams[call] = ItemStream(call, codec.label, when, self._loop)
        if when != context.NEVER:
            self._deadlines.add(when)
        return stream

    def taken(self, stream: ItemStream, count: int) -> None:
        """The reader of a stream has taken so many more items."""
        self._connection.send_credit(stream.call, count)
        self._flush()

    def end_stream(self, stream: ItemStream) -> None:
        """Nobody reads a stream any more: one that goes on is cancelled."""
        del self._streams[stream.call]
        if not stream.done:
            self._connection.send_cancel(stream.call)
            self._flush()

    def give_up(self, methods: Collection[str], why: str) -> None:
        """End the calls of these methods, by label, as lost; others may still be answered."""
        for answer in [a for a in self.waiting.values() if a.label in methods and not a.done]:
            self._cancel(answer)
            answer.fail(call_error(Outcome.LOST, why.encode(), where=answer.label))

    def close(self) -> None:
        """Forget deadlines; the connection has reported every call as failed before."""
        self._deadlines.close()
        self.make_room()

    # --- sending ---

    def _remaining(self, codec: MethodCodec, when: float, now: float) -> int:
        if when == context.NEVER:
            return 0
        seconds = when - now
        if seconds <= 0:
            raise DeadlineExceeded(
                f"{codec.label} was not called: the deadline had passed",
                executed="no",
                why="the caller's own deadline binds the calls it makes",
            )
        return context.whole_milliseconds(seconds)

    def _send(self, codec: MethodCodec, body: bytes, remaining: int, credit: int) -> int:
        trace = _trace()
        try:
            call = self._connection.send_request(
                codec.index,
                body,
                deadline_ms=remaining,
                trace=trace,
                metadata=context.metadata(),
                credit=credit,
            )
        except CodecError as error:
            raise _named(error, codec) from None
        if trace:
            tracing.sent()
        return call

    async def _wait_for_room(self, codec: MethodCodec, size: int, when: float) -> None:
        while not self._connection.has_room(size):
            future: asyncio.Future[None] = self._loop.create_future()
            self.room_wanted.append((size, future))
            timeout = None if when == context.NEVER else when - self._loop.time()
            waited = asyncio.wait((future,), timeout=timeout)
            done, _ = await patiently(waited, f"{codec.label}: room on a congested connection")
            if not done:
                raise DeadlineExceeded(
                    f"{codec.label} was not called within its deadline",
                    executed="no",
                    why="the connection to the callee is congested by large values",
                )

    def make_room(self) -> None:
        """Let callers go on that wait because too much was queued for their bodies."""
        waiting = self.room_wanted[:]
        self.room_wanted.clear()
        for size, future in waiting:
            if future.done():
                continue
            if self._connection.has_room(size):
                future.set_result(None)
            else:
                self.room_wanted.append((size, future))

    # --- what comes back ---

    def item(self, event: events.Item) -> None:
        """One item of a stream."""
        stream = self._streams.get(event.call)
        if stream is not None:
            stream.add(event.body)

    def ended(self, event: events.End) -> None:
        """The end of a stream."""
        stream = self._streams.get(event.call)
        if stream is not None:
            stream.end()

    def failed(self, event: events.Failed) -> None:
        """A call that ended without a result."""
        answer = self.waiting.pop(event.call, None)
        waiting = answer or self._streams.get(event.call)
        if waiting is None:
            return
        label = waiting.label
        if event.outcome is Outcome.APPLICATION:
            error: BaseException = decode_exception(event.body, where=label)
            if isinstance(error, RemoteCallError):
                error = Answered(error)
        else:
            error = call_error(event.outcome, event.body, where=label)
        waiting.fail(error)

    def _expire(self, now: float) -> float:
        """End calls whose deadline has passed; the earliest deadline of the others."""
        earliest = context.NEVER
        pending: list[tuple[int, Answer[bytes] | ItemStream]] = [*self.waiting.items()]
        for call, waiting in [*pending, *self._streams.items()]:
            if waiting.done:
                continue
            if waiting.when > now:
                earliest = min(earliest, waiting.when)
                continue
            self.waiting.pop(call, None)
            self._connection.send_cancel(call)
            self._flush()
            waiting.fail(
                DeadlineExceeded(
                    f"{waiting.label} did not answer within its deadline",
                    why="the callee is slow, waits for something itself, or is overloaded",
                    fix="allow more with weaver.options(reference, timeout=…) or `[app] timeout`",
                )
            )
        return earliest


def _named(error: CodecError, codec: MethodCodec) -> CodecError:
    return CodecError(f"{codec.label}: {error.what}", why=error.why, fix=error.fix)
