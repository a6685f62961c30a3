"""The replicas of one placement group, as this process calls them: who takes the next call."""

import random
import time
from collections.abc import Collection
from typing import Final

from weaver.proclet.balancing import Balancer
from weaver.proclet.peer import Peer
from weaver.proclet.retrying import Budget
from weaver.routing import Route

NOBODY: Final[tuple[str, ...]] = ()


class Pool:
    """Peers of a route; `ready` are those with a connection, `only` the one that is, if it is one.

    Replicas on the host `near` are preferred, as long as one there is ready and not left out; "" is
    no host.
    """

    def __init__(self, route: Route, peers: tuple[Peer, ...], near: str = "") -> None:
        self.route = route
        self.peers = peers
        self.ready: list[Peer] = []
        self.only: Peer | None = None
        self.used = False
        self._near = tuple(p for p in peers if near and p.endpoint.host == near)
        self._near_ready: list[Peer] = []
        self._by_replica = {peer.replica: peer for peer in peers}
        self._balancer = Balancer(random.random)
        self.budget = Budget()
        self.refresh()

    def inherit(self, old: "Pool") -> None:
        """Go on where the pool of an earlier route ended."""
        self.used = old.used
        self.budget = old.budget
        self._balancer = old._balancer  # noqa: SLF001 # one class
        if self.used:
            self.dial()

    def dial(self) -> None:
        """Connect to every replica."""
        self.used = True
        for peer in self.peers:
            peer.dial()

    def refresh(self) -> None:
        """Look anew who has a connection."""
        self.ready = [peer for peer in self.peers if peer.channel is not None]
        self._near_ready = [peer for peer in self._near if peer.channel is not None]
        self.only = self.ready[0] if len(self.ready) == 1 else None

    def choose(self, key: int | None, tried: Collection[str]) -> Peer | None:
        """Who takes a call, or None: wait. `key` is that of a routed method, which has an owner.

        Those in `tried` are avoided while there are others.
        """
        ready = self.ready
        if tried:
            ready = [peer for peer in ready if peer.replica not in tried] or ready
        if key is not None:
            return self._owner(key, ready, tried)
        if not ready:
            return None
        if len(ready) == 1:
            return ready[0]
        now = time.monotonic()
        if self._near_ready:
            near = [peer for peer in self._near_ready if peer.replica not in tried]
            return self._balancer.choose(self._balancer.nearest(near, ready, now), now)
        return self._balancer.choose(ready, now)

    def knows(self, replica: str) -> bool:
        """Whether this replica takes calls of other processes, as far as is known."""
        return replica in self._by_replica

    def _owner(self, key: int, ready: list[Peer], tried: Collection[str]) -> Peer | None:
        owner = self._by_replica.get(self.route.assignment.owner(key) or "")
        if owner is not None and owner.replica not in tried:
            if owner.channel is not None:
                return owner
            if not owner.failing:
                return None  # it has not been tried yet
        if not ready:
            return None
        # Somebody else, and the same one for equal keys as long as the owner is away.
        ordered = sorted(ready, key=lambda peer: peer.replica)
        return ordered[key % len(ordered)]

    # --- what came of a call ---

    def succeeded(self, peer: Peer, seconds: float) -> None:
        """A call was answered."""
        if peer.load.answered(seconds):
            self.compare(peer)

    def compare(self, peer: Peer) -> None:
        """Look whether a peer is far slower than the others."""
        self._balancer.compare(peer.load, self.ready, time.monotonic())

    def failed(self, peer: Peer) -> None:
        """A call was not answered, for no fault of the application."""
        self._balancer.failed(peer.load, self.ready, time.monotonic())

    def examine(self, now: float) -> None:
        """Leave out those that owe answers and give no sign of life."""
        self._balancer.review(self.peers)
        for peer in self.peers:
            if peer.silent(now) and not peer.load.ejected:
                self._balancer.eject(peer.load, self.ready, now)

    def reasons(self) -> str:
        """Why nobody can be reached."""
        if not self.peers:
            return "no replica of it is running"
        return "; ".join(
            f"{peer.replica} at {peer.endpoint.address}: {peer.failure or 'is being connected'}"
            for peer in self.peers
        )
