"""The data plane of one process: calls of other replicas come in here, calls to them go out.

It decides which connections exist: one listens, the others follow the routing that the manager
pushes. How a call is made over them is the business of `distributed.py`.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Final

import msgspec

from weaver.errors import Unreachable
from weaver.proclet.channel import Channel
from weaver.proclet.definition import Definition
from weaver.proclet.dispatcher import Dispatcher
from weaver.proclet.leases import WITHIN, Terms
from weaver.proclet.patience import patiently
from weaver.proclet.peer import Peer
from weaver.proclet.peer_statistics import PeerStatistics
from weaver.proclet.pool import Pool
from weaver.proclet.spinning import Spinner
from weaver.routing import Endpoint, Routing
from weaver.rpc import events
from weaver.rpc.connection import Connection
from weaver.rpc.handshake import Hello
from weaver.rpc.limits import Limits
from weaver.rpc.methods import MethodCodec
from weaver.rpc.state import State
from weaver.transport.acceptor import Acceptor
from weaver.transport.listening import address_of, bind
from weaver.transport.stream import Stream
from weaver.transport.tls import Identity

EXAMINED_EVERY: Final = 0.5
"""Seconds between two looks at replicas that owe answers."""

EARLY: Final = 0.05
"""Seconds, or a tenth of the time left if that is less, before a deadline at which waiting ends.

A caller's own timeout at the deadline would say less than `Unreachable`, which names the reason.
"""


class Network:
    """Connections of this process, on the running event loop.

    `replica` and `host` are where it is itself; replicas on that host are preferred where `prefer`
    is "local", and dialled at their address there. `timeout` (seconds) is the deadline of calls
    without one; `tls` the identity for connections that leave the host. `pools` holds, for each
    component that the routing knows, the replicas of its group. `missing` is called with
    the full name of a component of which a call finds no replica: once, until there is one. With
    `spin` the loop looks for answers that come soon before it sleeps.
    """

    def __init__(
        self,
        definition: Definition,
        dispatcher: Dispatcher | None,
        *,
        hello: Hello,
        timeout: float,
        limits: Limits,
        replica: str,
        host: str = "",
        prefer: str = "any",
        tls: Identity | None = None,
        missing: Callable[[str], None] | None = None,
        spin: bool = False,
    ) -> None:
        self.definition = definition
        self.replica = replica
        self.timeout = timeout
        self.routing = Routing()
        self.terms = Terms(hello, limits, timeout, tls, Spinner() if spin else None)
        self.loop = asyncio.get_running_loop()
        self._dispatcher = dispatcher
        self._host = host
        self._near = host if prefer == "local" else ""
        self._repeatable = frozenset(
            codec.label for codec in definition.table.methods if codec.method.idempotent
        )
        self._missing = missing
        self._asked: set[str] = set()
        self._peers: dict[str, Peer] = {}
        self._left: list[Peer] = []
        self.pools: dict[str, Pool] = {}
        self._groups: dict[str, Pool] = {}
        self._change: asyncio.Future[None] = self.loop.create_future()
        self._acceptors: list[Acceptor] = []
        self._accepted: set[Channel] = set()
        self._draining = False
        self._examination: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def statistics(self) -> list[PeerStatistics]:
        """A snapshot of every replica that this process has called or may call."""
        return [peer.statistics() for peer in self._peers.values()]

    @property
    def incoming(self) -> int:
        """Calls of other processes that are in flight here."""
        return sum(channel.connection.incoming for channel in self._accepted)

    # --- calls of others ---

    async def listen(self, address: str) -> str:
        """Take calls at "unix:/path" or "host:port"; the address as peers dial it.

        Raises ListenerError. May be called for several addresses.
        """
        sock = bind(address)
        identity = self.terms.identity
        tls = identity.server() if identity and identity.covers(address) else None
        acceptor = Acceptor(sock, lambda: Stream(self._accept), tls=tls)
        self._acceptors.append(acceptor)
        acceptor.start()
        return address_of(sock)

    def _accept(self, stream: Stream) -> Channel:
        def watch(event: events.Event) -> None:
            if isinstance(event, events.Drained) and not channel.connection.incoming:
                channel.close("drained")
            elif isinstance(event, events.Closed):
                self._accepted.discard(channel)
                self._wake()

        channel = Channel(
            Connection(self.terms.hello, self.terms.limits),
            stream,
            dispatcher=self._dispatcher,
            timeout=self.timeout,
            watch=watch,
            spinner=self.terms.spinner,
        )
        self._accepted.add(channel)
        identity = self.terms.identity
        certificate = stream.fact("peercert")
        if identity is not None and certificate and not identity.admits(certificate):
            channel.close("the peer's certificate is not of this deployment")
        self.loop.call_later(WITHIN, self._expect_hello, channel)
        if self._draining:
            channel.drain()
        return channel

    @staticmethod
    def _expect_hello(channel: Channel) -> None:
        if channel.connection.state is State.NEW:
            channel.close(f"the peer did not introduce itself within {WITHIN:g} s")

    async def drain(self) -> None:
        """Take no new calls, and return when those in flight have ended.

        Calls of this process to others go on. Give it a deadline: callers may be slow.
        """
        self._draining = True
        for acceptor in self._acceptors:
            await acceptor.finish()
        for channel in self._accepted:
            channel.drain()
        while self._accepted:
            await patiently(
                asyncio.wait((self._change,)),
                lambda: f"{self.incoming} calls in flight have to end before this replica may",
            )

    async def aclose(self) -> None:
        """End every connection now; wait until cancelled handlers have ended."""
        self._closed = True
        if self._examination is not None:
            self._examination.cancel()
        for acceptor in self._acceptors:
            acceptor.close()
        running = {task for channel in self._accepted for task in channel.running}
        for channel in list(self._accepted):
            channel.close()
        await asyncio.gather(*(peer.aclose() for peer in (*self._peers.values(), *self._left)))
        self._wake()
        if running:
            await asyncio.wait(running, timeout=5.0)
        await asyncio.sleep(0)  # transports close their sockets in the next turn

    # --- calls to others ---

    def update(self, routing: Routing) -> None:
        """Follow a newer routing; an older one is ignored. Replicas that leave are drained."""
        if routing.version <= self.routing.version and self.routing.groups:
            return
        self.routing = routing
        endpoints = {
            endpoint.replica: endpoint
            for route in routing.groups.values()
            for endpoint in route.endpoints
            if endpoint.replica != self.replica
        }
        if self.terms.spinner is not None:
            here = sum(endpoint.host == self._host for endpoint in endpoints.values())
            self.terms.spinner.share(1 + here)
        for replica in self._peers.keys() - endpoints.keys():
            peer = self._peers.pop(replica)
            peer.leave()
            self._left = [p for p in self._left if p.connected] + [peer]
        for endpoint in endpoints.values():
            self._meet(endpoint)
        self._route()
        if self._examination is None and self._peers:
            self._examine()
        self._changed()

    def _meet(self, endpoint: Endpoint) -> None:
        endpoint = msgspec.structs.replace(endpoint, address=endpoint.address_from(self._host))
        peer = self._peers.get(endpoint.replica)
        if peer is None:
            self._peers[endpoint.replica] = Peer(endpoint, self.terms, self._changed)
        else:
            peer.move(endpoint)

    def _route(self) -> None:
        old, self._groups = self._groups, {}
        pools: dict[str, Pool] = {}
        for name, route in self.routing.groups.items():
            peers = tuple(
                self._peers[e.replica] for e in route.endpoints if e.replica in self._peers
            )
            pool = self._groups[name] = Pool(route, peers, self._near, self._repeatable)
            if name in old:
                pool.inherit(old[name])
            for component in route.components:
                pools[component] = pool
                if route.endpoints:
                    self._asked.discard(component)
        # Methods look into it, also from threads: what stays known is never missing from it.
        self.pools.update(pools)
        for component in self.pools.keys() - pools.keys():
            del self.pools[component]

    def _changed(self) -> None:
        for pool in self._groups.values():
            pool.refresh()
        self._wake()

    def _wake(self) -> None:
        change, self._change = self._change, self.loop.create_future()
        change.set_result(None)

    def _examine(self) -> None:
        now = time.monotonic()
        found = [pool.examine(now) for pool in self._groups.values()]  # all of them
        if any(found):
            self._wake()
        self._examination = self.loop.call_later(EXAMINED_EVERY, self._examine)

    async def wait(
        self, codec: MethodCodec, key: int | None, tried: Collection[str], when: float
    ) -> tuple[Pool, Peer]:
        """Who takes a call, as soon as somebody can; `when` is the loop's time of its deadline.

        Raises Unreachable just before, saying for what it waited.
        """
        found = self._find(codec.component, key, tried)
        left = when - self.loop.time()
        last = when - min(EARLY, 0.1 * max(left, 0.0)) if when < float("inf") else None
        try:
            async with asyncio.timeout_at(last):
                return await patiently(found, lambda: self._waited_for(codec))
        except TimeoutError:
            raise Unreachable(
                f"{codec.label} was not called: no replica could be reached within its deadline",
                where=codec.component,
                why=self._reasons(codec.component),
                fix="`weaver status` shows the replicas of each group and why they stopped",
            ) from None

    async def _find(
        self, component: str, key: int | None, tried: Collection[str]
    ) -> tuple[Pool, Peer]:
        while True:
            pool = self.pools.get(component)
            if pool is not None:
                pool.dial()
                peer = pool.choose(key, tried)
                if peer is not None:
                    return pool, peer
            if pool is None or not pool.peers:
                self._ask_for(component)
            if self._closed:
                raise Unreachable(f"{component} was not called: this process is ending")
            await asyncio.wait((self._change,))

    def _ask_for(self, component: str) -> None:
        if self._missing is not None and component not in self._asked:
            self._asked.add(component)
            self._missing(component)

    def _reasons(self, component: str) -> str:
        pool = self.pools.get(component)
        return "waited for " + (
            f"{component}, {pool.reasons()}" if pool else f"a group that hosts {component}"
        )

    def _waited_for(self, codec: MethodCodec) -> str:
        return f"{codec.label}: {self._reasons(codec.component)}"
