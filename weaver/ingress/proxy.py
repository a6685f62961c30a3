"""The reverse proxy of one listening socket: joins clients, versions and replicas.

Decides which replica a request gets and in which order a drain ends connections. It must not know
how messages look, nor who decides the weights.
"""

import asyncio
import contextlib
import socket
import ssl
from typing import Final

from weaver.control.ingress import Backend, Counts, FailedRequest, Table, VersionShare
from weaver.ingress import pinning
from weaver.ingress.client import ClientConnection
from weaver.ingress.counting import Tallies, VersionTally
from weaver.ingress.ejection import Ejection
from weaver.ingress.exchange import Exchange
from weaver.ingress.http import forwarding
from weaver.ingress.http.limits import Limits
from weaver.ingress.http.refusal import Refusal
from weaver.ingress.http.request import RequestHead
from weaver.ingress.routing import Router, least_loaded
from weaver.ingress.upstream import Pool
from weaver.transport.acceptor import Acceptor

_DEFAULT: Final = Limits()
_LOOK: Final = 0.1
"""Seconds between two looks at which connections a drain can end."""


class Proxy:
    """Serves `sock`, which it owns, by `table`. Runs on the loop it is made on.

    `tls` ends TLS here. `close()` must be called, also after `drain()`.
    """

    def __init__(
        self,
        sock: socket.socket,
        table: Table,
        limits: Limits = _DEFAULT,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.limits = limits
        self.draining = False
        self._loop = asyncio.get_running_loop()
        self._router = Router(table)
        self._ejection = Ejection()
        self._in_flight: dict[str, int] = {}
        self._turn = 0
        self._pools: dict[str, Pool] = {}
        self._retired: list[Pool] = []
        self._tallies = Tallies()
        self._clients: set[ClientConnection] = set()
        self._empty = asyncio.Event()
        scheme = "http" if tls is None else "https"
        self._acceptor = Acceptor(sock, lambda: ClientConnection(self, scheme), tls=tls)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Accept connections."""
        self._acceptor.start()
        self._watch()

    def set_table(self, table: Table) -> bool:
        """Use `table` from the next request on; whether it was newer. Raises ValueError."""
        if not self._router.set_table(table):
            return False
        backends = [b for share in table.shares for b in share.backends]
        self._ejection.keep({b.id for b in backends})
        for address in self._pools.keys() - {b.address for b in backends}:
            pool = self._pools.pop(address)
            pool.retire()
            self._retired.append(pool)
        return True

    def counts(self) -> Counts:
        """What was counted since the start."""
        return Counts(
            number=self._router.table.number,
            connections=len(self._clients),
            refused=self._tallies.refused,
            versions=self._tallies.versions(),
        )

    def failures(self) -> tuple[FailedRequest, ...]:
        """Requests that failed since the last time; of many, the first ones."""
        return self._tallies.take_failures()

    async def drain(self, seconds: float) -> int:
        """Stop accepting and finish; the number of connections that were cut after `seconds`.

        A client that keeps its connection gets an answer to one more request, with
        `Connection: close`; who asks nothing for `farewell_time` has its connection closed in
        order. Cancellation leaves the rest to `close()`.
        """
        end = self._loop.time() + seconds
        self.draining = True
        await self._acceptor.finish()
        farewell = min(seconds, self.limits.farewell_time)
        await self._empty_within(farewell)
        while self._clients and self._loop.time() < end:
            for client in self._clients.copy():
                if client.idle:
                    client.end()
            await self._empty_within(min(end - self._loop.time(), _LOOK))
        cut = len(self._clients)
        self._abort_all()
        return cut

    def close(self) -> None:
        """End everything at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._acceptor.close()
        self._abort_all()
        for pool in (*self._pools.values(), *self._retired):
            pool.abort()

    def _abort_all(self) -> None:
        for client in self._clients.copy():
            client.transport.abort()

    async def _empty_within(self, seconds: float) -> None:
        """Wait until there is no connection, for `seconds` at most."""
        self._empty.clear()
        if self._clients:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._empty.wait()

    def _watch(self) -> None:
        now = self._loop.time()
        for client in self._clients.copy():
            client.check(now)
        for pool in self._pools.values():
            pool.expire(now - self.limits.upstream_idle_time)
        self._retired = [pool for pool in self._retired if not pool.unused]
        self._timer = self._loop.call_later(self.limits.tick, self._watch)

    # What clients ask of their server.

    def admit(self, client: ClientConnection) -> bool:
        """Whether there is room for one more connection."""
        self._clients.add(client)
        return len(self._clients) <= self.limits.connections

    def left(self, client: ClientConnection) -> None:
        """It has ended."""
        self._clients.discard(client)
        if not self._clients:
            self._empty.set()

    def refused(self) -> None:
        """A request was answered without any version."""
        self._tallies.refused += 1

    def begin(self, client: ClientConnection, head: RequestHead) -> Exchange:
        """The exchange of a request. Raises `Refusal` (503)."""

        def header(name: str) -> str:
            wanted = name.lower().encode("latin-1")
            if wanted not in head.lower:
                return ""
            return head.headers[head.lower.index(wanted)][1].decode("latin-1")

        origin = client.origin
        choice = self._router.choose(header, origin.client)
        if choice is None:
            raise Refusal(503, "no version serves this listener")
        pins = self._router.table.pinning
        origin.trusted = bool(pins.trusted) and self._router.trusts(origin.client)
        request = forwarding.request_bytes(head, origin, pins.header.lower().encode())
        cookie = ""
        if pins.cookie and choice.by != "cookie":
            cookie = _set_cookie(pinning.value_of(choice.share.version, pins), pins.cookie, origin)
        tally = self._tallies.of(choice.share.version)
        route = _Route(self, choice.share, tally, cookie)
        return Exchange(client, head, request, route, self.limits)

    # What routes ask.

    def next_backend(self, share: VersionShare, tried: set[str]) -> Backend | None:
        """The replica of `share` with the least in flight, but for those tried and ejected."""
        now = self._loop.time()
        self._turn += 1
        out = self._ejection.out(share.backends, now)
        without = {*tried, *out} if out else tried
        backend = least_loaded(share.backends, self._in_flight, self._turn, without)
        if backend is None and out:  # rather one that has failed than none
            backend = least_loaded(share.backends, self._in_flight, self._turn, tried)
        if backend is not None:
            self._ejection.tries(backend.id, now)
            self._in_flight[backend.id] = self._in_flight.get(backend.id, 0) + 1
        return backend

    def pool(self, backend: Backend) -> Pool:
        """The connections to a replica."""
        pool = self._pools.get(backend.address)
        if pool is None:
            pool = self._pools[backend.address] = Pool(backend.address, self.limits.upstream_idle)
        return pool

    def ended(self, backend: Backend) -> None:
        """One request fewer is in flight there."""
        left = self._in_flight[backend.id] - 1
        if left:
            self._in_flight[backend.id] = left
        else:
            del self._in_flight[backend.id]

    def outcome(self, backend: Backend, *, good: bool, refused: bool) -> None:
        """What a replica did with a request."""
        if good:
            self._ejection.succeeded(backend.id)
        else:
            self._ejection.failed(backend.id, self._loop.time(), refused=refused)

    def failed(self, request: FailedRequest) -> None:
        """Keep evidence for the next report."""
        self._tallies.failed(request)


def _set_cookie(value: str, name: str, origin: forwarding.Origin) -> str:
    if not value:
        return ""
    secure = "; Secure" if origin.scheme == "https" else ""
    return f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}"


class _Route:
    """The version that one request was given, and the replicas it has tried."""

    __slots__ = ("_proxy", "_share", "_tried", "cookie", "tally", "version")

    def __init__(self, proxy: Proxy, share: VersionShare, tally: VersionTally, cookie: str) -> None:
        self._proxy = proxy
        self._share = share
        self._tried: set[str] = set()
        self.version = share.version
        self.tally = tally
        self.cookie = cookie

    def next_backend(self) -> Backend | None:
        """A replica that was not tried for this request, or None."""
        backend = self._proxy.next_backend(self._share, self._tried)
        if backend is not None:
            self._tried.add(backend.id)
        return backend

    def pool(self, backend: Backend) -> Pool:
        """Its connections."""
        return self._proxy.pool(backend)

    def ended(self, backend: Backend) -> None:
        """The request no longer uses this replica."""
        self._proxy.ended(backend)

    def spare(self, backend: Backend) -> None:
        """It may be tried again: only its connection had ended."""
        self._tried.discard(backend.id)

    def outcome(self, backend: Backend, *, good: bool, refused: bool = False) -> None:
        """What this replica did with the request."""
        self._proxy.outcome(backend, good=good, refused=refused)

    def failed(self, request: FailedRequest) -> None:
        """Evidence against the version."""
        self._proxy.failed(request)
