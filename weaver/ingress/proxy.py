"""The reverse proxy of one listening socket: joins clients, versions and replicas.

Decides which replica a request gets and in which order a drain ends connections. It must not know
how messages look, nor who decides the weights.
"""

import asyncio
import contextlib
import itertools
import math
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Final

from weaver.control.ingress import Counts, FailedRequest, Identities, Pinning, Table
from weaver.ingress import pinning
from weaver.ingress.client import ClientConnection
from weaver.ingress.exchange import Exchange
from weaver.ingress.fleet import Fleet
from weaver.ingress.http import forwarding
from weaver.ingress.http.limits import Limits
from weaver.ingress.http.refusal import Refusal
from weaver.ingress.http.request import RequestHead
from weaver.ingress.probing import Prober
from weaver.ingress.replica import Lane
from weaver.ingress.routing import Router
from weaver.transport.acceptor import Acceptor
from weaver.transport.handover import Pair

_DEFAULT: Final = Limits()
_LOOK: Final = 0.02
"""Seconds between two looks at which connections a drain can end."""


class Proxy:
    """Serves `sock` by `table`. Runs on the loop it is made on.

    `tls` ends TLS here. `handover` is what connections come by from, and go by to, other processes
    that serve the same users; not with TLS, whose state is in this process. The proxy owns all
    sockets. `close()` must be called, also after `drain()`.
    """

    def __init__(
        self,
        sock: socket.socket,
        table: Table,
        limits: Limits = _DEFAULT,
        *,
        tls: ssl.SSLContext | None = None,
        handover: Pair | None = None,
    ) -> None:
        self.limits = limits
        self.draining = False
        self.parting = False
        self._handing = False
        self._loop = asyncio.get_running_loop()
        self._router = Router(table)
        self._fleet = Fleet(limits.upstream_idle)
        self._lanes = self._fleet.use(table)
        self.turns: Iterator[Lane] | None = self._unpinned()
        self._prober = Prober(self._fleet, limits)
        self._clients: set[ClientConnection] = set()
        self._empty = asyncio.Event()
        self._last = self._last_tunnels = math.inf
        self._scheme = "http" if tls is None else "https"
        self._pair = handover
        receiver = handover.receiver if handover is not None and tls is None else None
        self._acceptor = Acceptor(sock, self._connect, tls=tls, receiver=receiver)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Accept connections."""
        self._acceptor.start()
        self._prober.start()
        self._watch()

    def set_table(self, table: Table) -> bool:
        """Use `table` from the next request on; whether it was newer. Raises ValueError."""
        if not self._router.set_table(table):
            return False
        self._fleet.use(table)
        self.turns = self._unpinned()
        return True

    def _unpinned(self) -> Iterator[Lane] | None:
        """What a client needs of the router where only weights decide."""
        router = self._router
        weighty = [share.version for share in router.table.shares if share.weight]
        if router.pinned or not weighty:
            return None
        if len(weighty) == 1:
            return itertools.repeat(self._lanes[weighty[0]])
        return map(self._lanes.__getitem__, router.turns)

    def learn(self, identities: Identities) -> None:
        """Reach replicas on other hosts with these, from the next connection on."""
        self._fleet.credentials.learn(identities.versions)

    def counts(self) -> Counts:
        """What was counted since the start."""
        return Counts(
            number=self._router.table.number,
            connections=len(self._clients),
            refused=self._fleet.tallies.refused,
            versions=self._fleet.versions(),
        )

    def failures(self) -> tuple[FailedRequest, ...]:
        """Requests that failed since the last time; of many, the first ones."""
        return self._fleet.tallies.take_failures()

    # Ends.

    async def drain(
        self,
        seconds: float,
        tunnels: float = 0.0,
        *,
        others: bool = True,
        quiet: Callable[[], None] | None = None,
    ) -> int:
        """Stop accepting and finish; the number of connections that were cut after `seconds`.

        Whoever has nothing of an answer by then, gets a 504 first.
        Where they can be handed over to `others`, connections leave as soon as they are idle. Else
        what waits to be accepted is, and a client that keeps its connection gets an answer to one
        more request, with `Connection: close`; who asks nothing for `farewell_time` has its
        connection closed in order. Tunnels have `tunnels` seconds if that is longer; `quiet` is
        called when only they are left. Cancellation leaves the rest to `close()`.
        """
        start = time.monotonic()
        self.hasten(seconds, tunnels)
        self.draining = True
        self._handing = others and self._pair is not None and self._scheme == "http"
        farewell = self.limits.farewell_time
        if self._handing:
            await self._hand_over(start + max(seconds - farewell, seconds / 2))
            self._handing = False
        else:
            await self._acceptor.finish()
        self.parting = True
        for client in self._clients:
            client.closing = True
        rest = self._last - time.monotonic()
        await self._empty_within(min(farewell, rest), but_tunnels=True)
        await self._until_empty(but_tunnels=True)
        cut = self._abort_all(but_tunnels=True)
        if quiet is not None:
            quiet()
        await self._until_empty(but_tunnels=False)
        cut += self._abort_all(but_tunnels=False)
        await self._empty_within(self.limits.linger_time, but_tunnels=False)  # a 504 has to leave
        return cut

    def hasten(self, seconds: float, tunnels: float) -> None:
        """Have a drain that goes on, or will, end within this time, if that is less."""
        now = time.monotonic()
        self._last = min(self._last, now + seconds)
        self._last_tunnels = min(self._last_tunnels, now + max(seconds, tunnels))

    def close(self) -> None:
        """End everything at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._acceptor.close()
        if self._pair is not None:
            self._pair.close()
        self._prober.close()
        self._abort_all(but_tunnels=False)
        self._fleet.abort()

    async def _hand_over(self, end: float) -> None:
        """Leave what waits to be accepted, and idle connections, to others until `end`."""
        self._acceptor.pause()
        await self._acceptor.connected()
        self._acceptor.close()
        while self._left(but_tunnels=True) and time.monotonic() < min(end, self._last):
            for client in self._clients.copy():
                self._give(client)
            await self._empty_within(_LOOK, but_tunnels=True)

    def _give(self, client: ClientConnection) -> None:
        """Have `client` handed over, if it is idle, when its last answer has left for sure."""
        if self._handing and client.keep_still():
            self._loop.call_soon(self._loop.call_soon, self._move, client)

    def _move(self, client: ClientConnection) -> None:
        if self._pair is not None:
            client.hand_over(self._pair.sender)

    async def _until_empty(self, *, but_tunnels: bool) -> None:
        """End what is idle, until nothing is left or there is no more time."""
        while self._left(but_tunnels=but_tunnels):
            rest = (self._last if but_tunnels else self._last_tunnels) - time.monotonic()
            if rest <= 0:
                break
            for client in self._clients.copy():
                if client.idle:
                    client.end()
            await self._empty_within(min(rest, _LOOK), but_tunnels=but_tunnels)

    def _left(self, *, but_tunnels: bool) -> bool:
        """Whether there are connections yet, not counting tunnels with `but_tunnels`."""
        return any(not (but_tunnels and client.is_tunnel) for client in self._clients)

    def _abort_all(self, *, but_tunnels: bool) -> int:
        spared = (c for c in self._clients if not (but_tunnels and c.is_tunnel))
        ended = [client for client in spared if not client.transport.is_closing()]
        for client in ended:
            client.give_up()
        return len(ended)

    async def _empty_within(self, seconds: float, *, but_tunnels: bool) -> None:
        """Wait until there is no connection, for `seconds` at most."""
        end = time.monotonic() + seconds
        while self._left(but_tunnels=but_tunnels) and (rest := end - time.monotonic()) > 0:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await self._empty.wait()

    def _watch(self) -> None:
        now = time.monotonic()
        for client in self._clients.copy():
            client.check(now)
        self._fleet.expire(now - self.limits.upstream_idle_time)
        self._timer = self._loop.call_later(self.limits.tick, self._watch)

    # What clients ask of their server.

    def _connect(self) -> ClientConnection:
        return ClientConnection(self, self._scheme)

    def admit(self, client: ClientConnection) -> bool:
        """Whether there is room for one more connection."""
        self._clients.add(client)
        return len(self._clients) <= self.limits.connections

    def left(self, client: ClientConnection) -> None:
        """It has ended."""
        self._clients.discard(client)
        if self.draining:
            self._empty.set()

    def rests(self, client: ClientConnection) -> None:
        """While draining: it has no request any more, and is kept."""
        if self._handing:
            self._give(client)

    def refused(self) -> None:
        """A request was answered without any version."""
        self._fleet.tallies.refused += 1

    def begin(
        self, client: ClientConnection, head: RequestHead, payload: bytes, *, whole: bool
    ) -> Exchange:
        """The exchange of a request with the first bytes of its body. Raises `Refusal` (503)."""
        router, origin, cookie, exact = self._router, client.origin, "", False
        if router.pinned:
            choice = router.choose(head.value, origin.client)
            share = choice.share if choice is not None else None
            pins = router.table.pinning
            exact = choice is not None and choice.by == "header"
            if choice is not None and pins.cookie and choice.by != "cookie":
                cookie = _set_cookie(choice.share.version, pins, origin.scheme)
        else:
            share = router.by_weight()
        if share is None:
            raise Refusal(503, "no version serves this listener")
        if router.pinned or not head.is_plain:
            origin.trusted = router.trusts(origin.client)
        request = forwarding.request_bytes(head, origin, router.table.pinning.header)
        if payload:
            request += payload
        lane = self._lanes[share.version]
        exchange = Exchange(client, head, request, lane, self.limits, whole=whole, cookie=cookie)
        if exact:
            exchange.be_exact()
        return exchange


def _set_cookie(version: str, pins: Pinning, scheme: str) -> str:
    value = pinning.value_of(version, pins)
    if not value:
        return ""
    secure = "; Secure" if scheme == "https" else ""
    return f"{pins.cookie}={value}; Path=/; HttpOnly; SameSite=Lax{secure}"
