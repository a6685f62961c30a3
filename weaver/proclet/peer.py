"""Another replica: the connection to it, made when it is needed and made again when it breaks.

It decides when to dial and how long to pause after a failure. Who is called is decided elsewhere.
"""

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Callable, Collection
from typing import Final

from weaver.errors import ConnectionLost, ProtocolError, WeaverError
from weaver.proclet.balancing import Load
from weaver.proclet.channel import Channel
from weaver.proclet.leases import WITHIN, Leases, Terms
from weaver.proclet.outgoing import Outgoing
from weaver.proclet.peer_statistics import PeerStatistics
from weaver.routing import Endpoint
from weaver.rpc import events
from weaver.rpc.connection import Connection
from weaver.transport.dialing import dial
from weaver.transport.stream import Stream

log = logging.getLogger("weaver")

FIRST_PAUSE: Final = 0.01
MOST_PAUSE: Final = 1.0

SILENT: Final = 0.8
"""Seconds without a byte, while calls are in flight, after which a replica is asked for a sign."""

QUIET: Final = 0.5
"""Seconds without that sign after which calls go elsewhere where they can: it is stopped, or busy
with something that does not let its loop turn."""

DEAD: Final = 30.0
"""Seconds without that sign after which the connection is given up."""

STABLE: Final = 1.0
"""Seconds after which a connection that breaks counts as one that had worked."""


class Peer:
    """One replica. `channel` is the open connection that takes calls, or None.

    `quiet`: it has owed a sign of life or a connection for too long. `changed` is called when
    `channel` changes and when dialing fails.
    """

    def __init__(self, endpoint: Endpoint, terms: Terms, changed: Callable[[], None]) -> None:
        self.endpoint = endpoint
        self.load = Load()
        self.channel: Channel | None = None
        self.failure = ""
        self.leaving = False
        self.quiet = False
        self.leases = Leases(terms)
        self._terms = terms
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._dialing: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[None] | None = None
        self._pause = FIRST_PAUSE
        self._since = self._asked = self._dialed = 0.0
        self._channels: set[Channel] = set()

    @property
    def replica(self) -> str:
        """The name of the replica."""
        return self.endpoint.replica

    @property
    def calls(self) -> Outgoing:
        """How calls are made. Raises ConnectionLost where there is no connection just now."""
        if self.channel is None:
            raise ConnectionLost(f"there is no connection to {self.replica}", executed="no")
        return self.channel.calls

    @property
    def connected(self) -> bool:
        """Whether there is any connection, also one that only lets calls in flight finish."""
        return bool(self._channels)

    @property
    def failing(self) -> bool:
        """Whether the last attempt to connect has failed."""
        return bool(self.failure) and self.channel is None

    def statistics(self) -> PeerStatistics:
        """What is known of this replica."""
        return PeerStatistics(
            replica=self.replica,
            address=self.endpoint.address,
            connected=self.channel is not None,
            ejected=bool(self.load.ejected),
            in_flight=self.load.in_flight,
            latency=self.load.latency,
            made=sum(c.connection.statistics().made for c in self._channels),
        )

    def dial(self) -> None:
        """Connect, and try until it works; nothing if that is under way or done."""
        if self.channel is None and self._dialing is None and not self.leaving:
            self._dialed = time.monotonic()
            name = f"connect to {self.replica}"
            self._dialing = self._loop.create_task(self._connect(), name=name)

    def move(self, endpoint: Endpoint) -> None:
        """The replica is known under another address now: it is another process."""
        if endpoint == self.endpoint:
            return
        self.endpoint = endpoint
        self.failure = ""
        self._pause = FIRST_PAUSE
        channel, self.channel = self.channel, None
        self.leases.close_idle()
        if self._dialing is not None:
            self._dialing.cancel()
            self._dialing = None
            self.dial()
        if channel is not None:
            self._let_end(channel)

    def leave(self) -> None:
        """No route leads here any more: calls in flight finish, then the connection ends."""
        self.leaving = True
        self.channel = None
        self.leases.close_idle()
        if self._dialing is not None:
            self._dialing.cancel()
            self._dialing = None
        for channel in list(self._channels):
            self._let_end(channel)

    def _let_end(self, channel: Channel) -> None:
        if channel.connection.outgoing == 0:
            channel.close("no route leads to the replica any more")
        else:
            self._loop.call_later(0.05, self._let_end, channel)

    async def aclose(self) -> None:
        """End the connection now."""
        dialing = self._dialing
        self.leave()
        if dialing is not None:
            await asyncio.wait((dialing,))
        for channel in list(self._channels):
            channel.close()

    def listen(self, now: float) -> None:
        """Set `quiet`; one that owes answers and is not heard is asked for a sign of life.

        To be called about twice a second. After a long time the connection is given up.
        """
        channel = self.channel
        quiet = False
        if channel is None:
            self._asked = 0.0
            quiet = self._dialing is not None and now - self._dialed > QUIET
        elif self._asked and channel.heard > self._asked:
            self._asked = 0.0
        elif self._asked:
            quiet = now - self._asked > QUIET
            if now - self._asked > DEAD:
                channel.close(f"the replica has been silent for {now - channel.heard:.0f} s")
        elif channel.connection.outgoing and now - channel.heard > SILENT:
            self._asked = now
            channel.ping()
        if quiet and not self.quiet and not self.failing:
            log.warning("%s gives no sign of life: calls go elsewhere if they can", self.replica)
        self.quiet = quiet

    def take_back(self, methods: Collection[str]) -> None:
        """End calls of these methods as lost: they may be made elsewhere."""
        if self.channel is not None:
            self.channel.calls.give_up(methods, f"{self.replica} gives no sign of life")

    # --- connecting ---

    async def _connect(self) -> None:
        while True:
            try:
                await self._try()
            except (OSError, ssl.SSLError, WeaverError) as error:
                self.failure = _reason(error)
                self._changed()
                await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311 # no secret
                self._pause = min(self._pause * 2, MOST_PAUSE)
            else:
                self._dialing = None
                return

    async def _try(self) -> None:
        opened = self._opened = self._loop.create_future()
        stream = await dial(
            self.endpoint.address,
            self._make_channel,
            identity=self._terms.identity,
            within=WITHIN,
        )
        try:
            async with asyncio.timeout(WITHIN):
                await opened
        except BaseException as error:
            stream.abort()
            if isinstance(error, TimeoutError):
                raise TimeoutError(f"did not introduce itself within {WITHIN:g} s") from None
            raise

    def _make_channel(self, stream: Stream) -> Channel:
        terms = self._terms
        opened = self._opened

        def watch(event: events.Event) -> None:
            self._watch(event, channel, opened)

        channel = Channel(
            Connection(terms.hello, terms.limits),
            stream,
            dispatcher=None,
            timeout=terms.timeout,
            watch=watch,
            spinner=terms.spinner,
        )
        self._channels.add(channel)
        return channel

    def _watch(
        self, event: events.Event, channel: Channel, opened: asyncio.Future[None] | None
    ) -> None:
        match event:
            case events.Opened():
                if opened is not None and not opened.done():
                    opened.set_result(None)
                    self._take(channel)
            case events.PeerDraining():
                self._drop(channel, "the replica is draining")
            case events.Closed(why=why, error=error):
                self._channels.discard(channel)
                if opened is not None and not opened.done():
                    opened.set_exception(error or ProtocolError(why))
                self._drop(channel, why)
            case _:
                pass

    def _take(self, channel: Channel) -> None:
        self.channel = channel
        self.quiet = False
        self.failure = ""
        self.load.reset()
        self._since = time.monotonic()
        self._changed()

    def _drop(self, channel: Channel, why: str) -> None:
        if self.channel is not channel:
            return
        self.channel = None
        self.leases.close_idle()
        self.failure = why
        stable = time.monotonic() - self._since > STABLE
        self._pause = FIRST_PAUSE if stable else min(self._pause * 2, MOST_PAUSE)
        self._changed()
        self._loop.call_later(self._pause * random.random(), self.dial)  # noqa: S311 # no secret


def _reason(error: Exception) -> str:
    if isinstance(error, WeaverError):
        return error.what
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
