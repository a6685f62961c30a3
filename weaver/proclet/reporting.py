"""What a replica reports by itself: that its loop turns, and what it has measured.

Decides when statistics are sent: with each heartbeat if calls were made, otherwise now and then,
for the manager judges by them how busy a replica is, and an idle one has to show it.
"""

import asyncio
import resource
import sys
from collections.abc import Callable
from typing import Final

from weaver.control.messages import Heartbeat, Message, MethodStatistics, Spans, Statistics
from weaver.proclet import tracing
from weaver.proclet.host import Host
from weaver.proclet.network import Network

IDLE_EVERY: Final = 5.0
"""Seconds between two statistics of a replica that makes no calls."""


class Reporting:
    """Sends heartbeats every `every` seconds, on the running loop, and statistics with them."""

    def __init__(self, send: Callable[[Message], None], every: float) -> None:
        self._send = send
        self._every = every
        self._loop = asyncio.get_running_loop()
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._host: Host | None = None
        self._network: Network | None = None
        self._sent: tuple[MethodStatistics, ...] = ()
        self._sent_at = -IDLE_EVERY

    def begin(self) -> None:
        """Send the first heartbeat."""
        self._beat()

    def observe(self, host: Host, network: Network) -> None:
        """Report what these measure from now on."""
        self._host, self._network = host, network

    def end(self) -> None:
        """Send the last statistics, and nothing more."""
        if self._timer is not None:
            self._timer.cancel()
        self._tell()

    def _beat(self) -> None:
        now = self._loop.time()
        lag = max(0.0, now - self._due) if self._due else 0.0
        self._due = now + self._every
        self._timer = self._loop.call_at(self._due, self._beat)
        incoming = self._network.incoming if self._network is not None else 0
        self._send(Heartbeat(lag, incoming))
        self._tell()

    def _tell(self) -> None:
        spans = tracing.take()
        if spans:
            self._send(Spans(spans))
        if self._host is None or self._network is None:
            return
        now = self._loop.time()
        methods = tuple(edge.statistics() for edge in self._host.edges.values() if edge.calls)
        if methods == self._sent and now < self._sent_at + IDLE_EVERY:
            return
        self._sent, self._sent_at = methods, now
        usage = resource.getrusage(resource.RUSAGE_SELF)
        memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        cpu = usage.ru_utime + usage.ru_stime
        self._send(Statistics(methods, cpu, memory, self._network.incoming))
