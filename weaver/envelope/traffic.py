"""What an envelope does for users' connections: it holds listeners, and says who accepts on them.

Decides when listeners are bound and when taken over from another version. It must not know how
replicas run, nor what decides about versions.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, Protocol

from weaver.control.messages import (
    Accept,
    EnvelopeFailed,
    Fault,
    ListenerHeld,
    Message,
    Orders,
)
from weaver.control.stream import encode
from weaver.control.takeover import HandedOver, TakeOver
from weaver.control.traffic import IngressOrder
from weaver.envelope import takeover
from weaver.envelope.held import Held, HeldListeners, Refused
from weaver.envelope.ingress import Ingress
from weaver.transport import last_connections

RELEASED_WITHIN: Final = 3.0
"""Seconds that an address may stay in use after the version that held it has gone."""
AGAIN: Final = 0.1

LAST: Final = 1.0
"""Seconds that workers of the ingress get to end after what was in flight had its time."""


class Place(Protocol):
    """The envelope, as this file sees it."""

    def publish(self, message: Message) -> None:
        """An event that is kept until a manager has seen it."""
        ...

    def tell_replicas(self, message: bytes) -> None:
        """An encoded message for every replica that runs."""
        ...

    def listeners_changed(self) -> None:
        """Replicas may have waited for that."""
        ...

    def mention(self, message: Message) -> None:
        """An event that matters now or not at all."""
        ...

    def say(self, stream: str, lines: list[str]) -> None:
        """Lines for the log; the name of the stream they come from, or "log"."""
        ...


class UserTraffic:
    """Follows `Orders.traffic`; `path` is the control socket of this envelope."""

    def __init__(self, path: str, held: HeldListeners, place: Place) -> None:
        self._path = path
        self._held = held
        self._place = place
        self._orders: Orders | None = None
        self._taking: asyncio.Task[None] | None = None
        self._ingress = Ingress(held.find, place.mention, place.say)
        self._ending = 0.0
        self._waiting: set[asyncio.Task[None]] = set()

    def relieve(self, orders: Orders) -> None:
        """Drain the ingress of listeners that no replica is to serve any more."""
        for name in self._ingress.wanted - _served(orders):
            self._ingress.drain(name, orders.stop_timeout, others=self._held.shared(name))

    def when_quiet(self, listeners: Iterable[str], act: Callable[[], None]) -> None:
        """Act when an ingress that ends has no request of these listeners any more: perhaps now."""
        if not self._ingress.waits_for(listeners):
            act()
            return

        async def wait() -> None:
            await self._ingress.until_quiet(listeners)
            act()

        self._wait(wait(), "the end of an ingress")

    def follow(self, orders: Orders) -> None:
        """Hold what is ordered, now or after it has been taken over; tell replicas who accepts."""
        before, self._orders = self._orders, orders
        if (own := orders.application) is not None and own.certificates is not None:
            self._ingress.learn({own.deployment: own.certificates})
        self._ingress.learn(orders.identities)
        accepting = orders.traffic.accepting
        if before is not None and before.traffic.accepting != accepting:
            self._place.tell_replicas(encode(Accept(accepting)))
        missing = self._held.missing(orders.groups.values())
        self._end_parting()
        if self._taking is not None:
            self._ingress.follow(_fronted(orders))
            return  # the rest of the latest orders is looked at when it is done
        if missing and (orders.traffic.predecessor or self._waiting):
            self._taking = asyncio.get_running_loop().create_task(self._take_over())
        else:
            self._told(*self._held.hold(orders.groups.values()))

    def share(self, wanted: TakeOver) -> list[tuple[HandedOver, Held]]:
        """What another version gets of the listeners held here; they stay held here as well.

        With them goes what its ingress shows to replicas of this version on other hosts.
        """
        given = self._held.share(wanted.listeners, wanted.path)
        names = ", ".join(name for name, _ in given) or "none"
        self._place.say("log", [f"another version takes listeners over: {names}"])
        own = self._orders.application if self._orders is not None else None
        who = ("", None) if own is None else (own.deployment, own.certificates)
        return [(HandedOver(name, *who), held) for name, held in given]

    def shared(self, listener: str) -> bool:
        """Whether processes of another version, or an ingress, may accept there."""
        return self._held.shared(listener) or self._ingress.serves(listener)

    @property
    def pids(self) -> set[int]:
        """The processes of the ingress."""
        return self._ingress.pids

    def end(self, seconds: float) -> None:
        """Accept nothing more; what is in flight in the ingress has so many seconds."""
        self._ending = seconds
        self._held.part()
        self._end_parting()
        self._ingress.drain_all(seconds, others=self._held.shared)

    async def close(self) -> None:
        """Stop; what is held is closed."""
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.wait((self._taking,))
        for task in self._waiting:
            task.cancel()
        await self._ingress.close(self._ending + LAST)
        self._held.close()

    def _end_parting(self) -> None:
        for sock in self._held.take_parting():
            self._wait(last_connections.end_when_taken(sock), "the end of a listener")

    def _wait(self, what: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(what, name=name)
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _take_over(self) -> None:
        """Take listeners over, or bind them where the other envelope has not, or has gone.

        An address may be in use for a moment: by one that goes, or by one that is bound there now.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + RELEASED_WITHIN
        held: list[str] = []
        while True:
            held += await self._taken()
            assert self._orders is not None
            bound, refused = self._held.hold(self._orders.groups.values())
            held += bound
            if not refused or loop.time() > until:
                break
            await asyncio.sleep(AGAIN)
        self._taking = None
        self._told(held, refused)

    async def _taken(self) -> list[str]:
        """The listeners taken over now of those that are missing."""
        assert self._orders is not None
        predecessor = self._orders.traffic.predecessor
        wanted = self._held.missing(self._orders.groups.values())
        if not predecessor or not wanted:
            return []
        taken = await takeover.take(predecessor, TakeOver(wanted, self._path))
        self._ingress.learn(taken.certificates)
        for name, held in taken.listeners.items():
            self._held.adopt(name, wanted[name], held, predecessor)
        return sorted(taken.listeners)

    def _told(self, held: list[str], refused: list[Refused]) -> None:
        for name in held:
            if name in self._held.addresses:
                self._place.publish(ListenerHeld(name, self._held.addresses[name]))
        for name, error in refused:
            where = f"listener {name}" + (f", {error.where}" if error.where else "")
            fault = Fault(error.what, where, error.why, error.fix)
            self._place.publish(EnvelopeFailed(fault))
        if held:
            self._place.listeners_changed()
        if self._orders is not None:
            self._ingress.follow(_fronted(self._orders))


def _served(orders: Orders) -> set[str]:
    """The listeners that replicas are to serve."""
    groups = (orders.groups.get(name) for name in orders.replicas.values())
    return {name for group in groups if group is not None for name in group.listeners}


def _fronted(orders: Orders) -> dict[str, IngressOrder]:
    """The ingress of those: where nobody serves, there is nothing to stand before."""
    served = _served(orders)
    return {name: each for name, each in orders.traffic.ingress.items() if name in served}
