"""The sockets of listeners that an envelope holds for its replicas, across all of their restarts.

A replica that dies loses no queued connection: the queue belongs to the socket, which stays. So do
connections that one process hands to another (`weaver.transport.handover`). It must not know what
is served.
"""

import socket
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from weaver.control.messages import GroupOrder
from weaver.errors import WeaverError
from weaver.transport import handover
from weaver.transport.listening import address_of, bind


class Refused(NamedTuple):
    """A listener that cannot be held, and why."""

    name: str
    error: WeaverError


class Held(NamedTuple):
    """What a listener consists of: the listening socket, and the pair to hand connections over."""

    listening: socket.socket
    pair: handover.Pair

    def descriptors(self) -> tuple[int, int, int]:
        """As they are inherited: listening socket, receiver, sender."""
        return self.listening.fileno(), self.pair.receiver.fileno(), self.pair.sender.fileno()

    def close(self) -> None:
        """Close all three here; other processes keep theirs."""
        self.listening.close()
        self.pair.close()


class HeldListeners:
    """Sockets by listener name; `addresses` are as bound, with the port the system chose."""

    def __init__(self) -> None:
        self.addresses: dict[str, str] = {}
        self._sockets: dict[str, Held] = {}
        self._asked: dict[str, str] = {}

    def hold(self, groups: Iterable[GroupOrder]) -> tuple[list[str], list[Refused]]:
        """Bind what is wanted and not held yet, and close what is not wanted any more.

        Returns the names bound now, and the listeners refused; those are tried again next time.
        """
        wanted = {name: address for group in groups for name, address in group.listeners.items()}
        for name in [name for name in self._sockets if wanted.get(name) != self._asked[name]]:
            self._release(name)
        bound: list[str] = []
        refused: list[Refused] = []
        for name, address in wanted.items():
            if name in self._sockets:
                continue
            try:
                sock = bind(address)
            except WeaverError as error:
                refused.append(Refused(name, error))
                continue
            self._sockets[name] = Held(sock, handover.make_pair())
            self._asked[name] = address
            self.addresses[name] = address_of(sock)
            bound.append(name)
        return bound, refused

    def of(self, group: GroupOrder) -> dict[str, Held] | None:
        """The sockets of a group, or None while one of them cannot be held."""
        if not group.listeners.keys() <= self._sockets.keys():
            return None
        return {name: self._sockets[name] for name in group.listeners}

    def close(self) -> None:
        """Give all addresses back; the file of a Unix socket goes with it."""
        for name in list(self._sockets):
            self._release(name)

    def _release(self, name: str) -> None:
        address = self.addresses.pop(name)
        self._asked.pop(name)
        self._sockets.pop(name).close()
        if address.startswith("unix:"):
            Path(address.removeprefix("unix:")).unlink(missing_ok=True)
