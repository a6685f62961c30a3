"""The sockets of listeners that an envelope holds for its replicas, across all of their restarts.

A replica that dies loses no queued connection: the queue belongs to the socket, which stays. So do
connections that one process hands to another (`weaver.transport.handover`). It must not know what
is served.
"""

import errno
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from weaver.control.messages import GroupOrder
from weaver.errors import WeaverError
from weaver.transport import handover, last_connections
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
        self._sharing: dict[str, set[str]] = {}
        self._parting: list[socket.socket] = []

    def missing(self, groups: Iterable[GroupOrder]) -> dict[str, str]:
        """The addresses of what is wanted and not held; closes what is not wanted any more."""
        wanted = {name: address for group in groups for name, address in group.listeners.items()}
        for name in [name for name in self._sockets if wanted.get(name) != self._asked[name]]:
            self._release(name)
        return {name: at for name, at in wanted.items() if name not in self._sockets}

    def hold(self, groups: Iterable[GroupOrder]) -> tuple[list[str], list[Refused]]:
        """Bind what is wanted and not held yet, and close what is not wanted any more.

        Returns the names bound now, and the listeners refused; those are tried again next time.
        """
        bound: list[str] = []
        refused: list[Refused] = []
        for name, address in self.missing(groups).items():
            try:
                sock = bind(address)
            except WeaverError as error:
                refused.append(Refused(name, error))
                continue
            self._add(name, address, Held(sock, handover.make_pair()))
            bound.append(name)
        return bound, refused

    def adopt(self, name: str, address: str, held: Held, other: str) -> None:
        """Hold what was bound for `address` by the envelope whose control socket is `other`."""
        self._add(name, address, held)
        self._sharing[name] = {other}

    def share(self, wanted: Mapping[str, str], other: str) -> list[tuple[str, Held]]:
        """What another envelope may hold as well: a listener of its name, or at its address.

        From now on the files of Unix sockets stay as long as somebody listens there.
        """
        given: list[tuple[str, Held]] = []
        for name, address in wanted.items():
            own = name if self._asked.get(name) == address else self._at(address)
            if own is not None:
                self._sharing.setdefault(own, set()).add(other)
                given.append((name, self._sockets[own]))
        return given

    def shared(self, name: str) -> bool:
        """Whether another envelope that holds this listener as well is still there."""
        return any(other and Path(other).exists() for other in self._sharing.get(name, ()))

    def part(self) -> None:
        """Let no new client in, wherever nobody else listens; what is held stays so."""
        for name, held in self._sockets.items():
            if self._is_sole(name):
                last_connections.let_nobody_in(held.listening)
                self._parting.append(held.listening.dup())

    def take_parting(self) -> list[socket.socket]:
        """Sockets that let nobody in any more; the caller ends and closes them."""
        parting, self._parting = self._parting, []
        return parting

    def of(self, group: GroupOrder) -> dict[str, Held] | None:
        """The sockets of a group, or None while one of them cannot be held."""
        if not group.listeners.keys() <= self._sockets.keys():
            return None
        return {name: self._sockets[name] for name in group.listeners}

    def find(self, name: str) -> Held | None:
        """The sockets of a listener, if it is held."""
        return self._sockets.get(name)

    def close(self) -> None:
        """Give all addresses back; the file of a Unix socket goes with it."""
        for name in list(self._sockets):
            self._release(name)
        for sock in self._parting:
            sock.close()

    def _is_sole(self, name: str) -> bool:
        """Whether no other envelope can have this listener any more."""
        return "" not in self._sharing.get(name, ()) and not self.shared(name)

    def _at(self, address: str) -> str | None:
        if address.endswith(":0"):
            return None  # a port that the system chooses is another one for each name
        return next((name for name, asked in self._asked.items() if asked == address), None)

    def _add(self, name: str, address: str, held: Held) -> None:
        self._sharing[name] = set()
        self._sockets[name] = held
        self._asked[name] = address
        self.addresses[name] = address_of(held.listening)

    def _release(self, name: str) -> None:
        address = self.addresses.pop(name)
        self._asked.pop(name)
        held = self._sockets.pop(name)
        if self._is_sole(name):
            last_connections.let_nobody_in(held.listening)
            self._parting.append(held.listening)
            held.pair.close()
        else:
            held.close()
        if address.startswith("unix:"):
            path = address.removeprefix("unix:")
            if not self._sharing.get(name) or not _listened_to(path):
                Path(path).unlink(missing_ok=True)


def _listened_to(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) in {0, errno.EAGAIN}
