"""Blocking connections to one replica, lent to threads for one call each.

It decides how many are kept for later, and turns what ends a call into its result or error.
"""

import ssl
import threading
import time
from typing import Final

import msgspec

from weaver.errors import (
    CodecError,
    ConnectionLost,
    DeadlineExceeded,
    RemoteCallError,
    WeaverError,
)
from weaver.proclet import context, tracing
from weaver.proclet.outgoing import Answered
from weaver.proclet.spinning import Spinner
from weaver.proclet.threads import waiting
from weaver.rpc import events
from weaver.rpc.codec import decode_exception
from weaver.rpc.events import Outcome, call_error
from weaver.rpc.handshake import Hello
from weaver.rpc.limits import Limits
from weaver.rpc.methods import MethodCodec
from weaver.transport.blocking import BlockingConnection
from weaver.transport.tls import Identity

MOST_IDLE: Final = 32
"""Connections kept for later calls; more are made when more threads call at once."""

WITHIN: Final = 5.0
"""Seconds that connecting may take."""


class Terms(msgspec.Struct, frozen=True):
    """What all connections of this process have in common; `timeout` in seconds."""

    hello: Hello
    limits: Limits
    timeout: float
    identity: Identity | None = None
    spinner: Spinner | None = None


class Leases:
    """Connections for threads. All methods may be called from any thread."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._lock = threading.Lock()
        self._idle: list[BlockingConnection] = []
        self._all: set[BlockingConnection] = set()
        self._age = 0

    def call(self, address: str, codec: MethodCodec, body: bytes) -> bytes:
        """The encoded result of a call, as `Outgoing.call` would give it."""
        now = time.monotonic()
        when = min(context.deadline.get(), now + self._terms.timeout)
        if when <= now:
            raise DeadlineExceeded(
                f"{codec.label} was not called: the deadline had passed",
                executed="no",
                why="the caller's own deadline binds the calls it makes",
            )
        with waiting():
            connection, age = self._take(address, when - now)
            if trace := context.trace.get():
                tracing.sent()
            try:
                ended = connection.call(
                    codec.index,
                    body,
                    deadline_ms=context.whole_milliseconds(when - now),
                    trace=trace,
                    metadata=context.metadata(),
                    within=when - time.monotonic(),
                )
            except TimeoutError:
                raise DeadlineExceeded(
                    f"{codec.label} did not answer within its deadline",
                    why="the callee is slow, waits for something itself, or is overloaded",
                    fix="allow more with weaver.options(reference, timeout=…) or `[app] timeout`",
                ) from None
            except CodecError as error:
                what = f"{codec.label}: {error.what}"
                raise CodecError(what, why=error.why, fix=error.fix) from None
            finally:
                self._give_back(connection, age)
        return _result(ended, codec)

    def close_idle(self) -> None:
        """Keep none of the connections there are; those in use end after their call."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._all.difference_update(idle)
            self._age += 1
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """End all connections now; calls on them fail."""
        self.close_idle()
        with self._lock:
            everyone = list(self._all)
            self._all.clear()
        for connection in everyone:
            connection.close()

    def _take(self, address: str, within: float) -> tuple[BlockingConnection, int]:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
                age = self._age
            if connection is None:
                break
            if connection.usable:
                return connection, age
            self._forget(connection)
        terms = self._terms
        try:
            connection = BlockingConnection(
                address,
                terms.hello,
                terms.limits,
                identity=terms.identity,
                within=min(within, WITHIN),
            )
        except (OSError, ssl.SSLError, WeaverError) as error:
            why = error.what if isinstance(error, WeaverError) else str(error)
            raise ConnectionLost(f"{address} cannot be reached: {why}", executed="no") from error
        with self._lock:
            self._all.add(connection)
        return connection, age

    def _give_back(self, connection: BlockingConnection, age: int) -> None:
        if connection.usable:
            with self._lock:
                if len(self._idle) < MOST_IDLE and age == self._age:
                    self._idle.append(connection)
                    return
        self._forget(connection)

    def _forget(self, connection: BlockingConnection) -> None:
        with self._lock:
            self._all.discard(connection)
        connection.close()


def _result(ended: events.Reply | events.Failed, codec: MethodCodec) -> bytes:
    if isinstance(ended, events.Reply):
        return ended.body
    if ended.outcome is not Outcome.APPLICATION:
        raise call_error(ended.outcome, ended.body, where=codec.label)
    error = decode_exception(ended.body, where=codec.label)
    if isinstance(error, RemoteCallError):
        raise Answered(error)
    raise error
