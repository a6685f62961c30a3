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
    no host. Calls of methods in `repeatable`, by label, may be taken back from one that is silent.
    """

    def __init__(
        self,
        route: Route,
        peers: tuple[Peer, ...],
        near: str = "",
        repeatable: Collection[str] = (),
    ) -> None:
        self.route = route
        self.peers = peers
        self.ready: list[Peer] = []
        self.only: Peer | None = None
        self.used = False
        self._repeatable = repeatable
        self._quiet = False
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
        if self._quiet:
            ready = [peer for peer in ready if not peer.quiet] or ready
        if key is not None:
            return self._owner(key, ready, tried)
        if not ready:
            return None
        if len(ready) == 1:
            return ready[0]
        now = time.monotonic()
        if self._near_ready:
            near = [
                peer
                for peer in self._near_ready
                if peer.replica not in tried and not (self._quiet and peer.quiet)
            ]
            return self._balancer.choose(self._balancer.nearest(near, ready, now), now)
        return self._balancer.choose(ready, now)

    def knows(self, replica: str) -> bool:
        """Whether this replica takes calls of other processes, as far as is known."""
        found = self._by_replica.get(replica)
        return found is not None and not found.quiet

    def _owner(self, key: int, ready: list[Peer], tried: Collection[str]) -> Peer | None:
        owner = self._by_replica.get(self.route.assignment.owner(key) or "")
        if owner is not None and owner.replica not in tried:
            if owner.channel is not None:
                if not owner.quiet or all(peer.quiet for peer in ready):
                    return owner
            elif not owner.failing and not owner.quiet:
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

    def examine(self, now: float) -> bool:
        """Leave out those that owe answers and give no sign of life; whether some more do."""
        self._balancer.review(self.peers)
        before = [peer for peer in self.peers if peer.quiet]
        for peer in self.peers:
            peer.listen(now)
        quiet = [peer for peer in self.ready if peer.quiet]
        self._quiet = bool(quiet)
        more = any(peer.quiet and peer not in before for peer in self.peers)
        if len(quiet) == len(self.ready):
            return more  # nobody else would take their calls
        for peer in quiet:
            peer.take_back(self._repeatable)
            if not peer.load.ejected:
                self._balancer.eject(peer.load, self.ready, now)
        return more

    def reasons(self) -> str:
        """Why nobody can be reached."""
        if not self.peers:
            return "no replica of it is running"
        return "; ".join(
            f"{peer.replica} at {peer.endpoint.address}: {peer.failure or 'is being connected'}"
            for peer in self.peers
        )
