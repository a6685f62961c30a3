"""Connects to hosts: through which gateways, how many at once, and how often it is tried.

One Client for all hosts of a command or manager: it asks for a passphrase once, and hosts behind
one gateway share the connection to that.
"""

import itertools
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from weaver.deployers.ssh import faults, inventory
from weaver.deployers.ssh.carriers import Carrier, Direct, Proxy, Through
from weaver.deployers.ssh.client_config import ClientConfig, resolve
from weaver.deployers.ssh.connection import Connection
from weaver.deployers.ssh.handshake import Crowded, Transport, negotiate
from weaver.deployers.ssh.inventory import Host
from weaver.deployers.ssh.keys import AskPassphrase, KeyRing
from weaver.errors import WeaverError

HANDSHAKES: Final = 8
"""Handshakes with one address at a time: sshd drops some beyond ten (MaxStartups 10:30:100)."""
ATTEMPTS: Final = 6
"""How often a handshake is begun with a host that drops connections before they begin."""
MOST_JUMPS: Final = 8


class _Stage(NamedTuple):
    """A host on the way to another."""

    host: Host
    config: ClientConfig


def connect(host: Host) -> Connection:
    """A connection to one host by the user's SSH configuration. Blocks. Raises WeaverError."""
    return Client().connect(host)


class Client:
    """Connects to hosts with one set of keys; for use by several threads.

    `accept_new` learns the key of a host that has none in known_hosts. `ask` is called for the
    passphrase of a key, at most once for each, by whichever thread needs it.
    """

    def __init__(
        self,
        *,
        accept_new: bool = False,
        ask: AskPassphrase | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.accept_new = accept_new
        self.keys = KeyRing(ask)
        self._environ = environ
        self._lock = threading.Lock()
        self._limits: dict[tuple[str, str, int], threading.Semaphore] = {}
        self._gateways: dict[str, _Gateway] = {}

    def connect(self, host: Host) -> Connection:
        """A connection to a host: verified, and the user let in. Blocks for a minute at most.

        Raises Unreachable for what may pass by itself, and other WeaverErrors for what someone
        has to change.
        """
        return self._connect(self._route(host))

    def _route(self, host: Host) -> list[_Stage]:
        """The host, the gateway before it, the one before that. Raises WeaverError for a circle.

        Known as a whole before anything is locked, so that no two threads wait for one another.
        """
        route = [_Stage(host, resolve(host, self._environ))]
        while jump := route[-1].config.jump:
            if jump in {stage.config.jump for stage in route[:-1]} or len(route) > MOST_JUMPS:
                raise WeaverError(
                    f"the way to {host.name} has no end",
                    where=faults.place(host),
                    why="one host is to be reached through the next: "
                    + " - ".join(stage.config.jump for stage in route),
                    fix="correct ProxyJump in ~/.ssh/config, or jump= in the list of hosts",
                )
            hop = _hop(route[-1].host, jump)
            route.append(_Stage(hop, resolve(hop, self._environ)))
        return route

    def _connect(self, route: list[_Stage]) -> Connection:
        host, config = route[0]
        carrier = self._carrier(route)
        try:
            transport = self._handshake(host, config, carrier)
        except BaseException:
            carrier.close()
            raise
        return Connection(host, config, transport, carrier)

    def _handshake(self, host: Host, config: ClientConfig, carrier: Carrier) -> Transport:
        with self._lock:
            address = (config.jump, config.hostname, config.port)
            limit = self._limits.setdefault(address, threading.Semaphore(HANDSHAKES))
        for attempt in itertools.count(1):
            try:
                with limit:
                    return negotiate(host, config, carrier.open(), self)
            except Crowded as crowded:
                if attempt == ATTEMPTS:
                    raise crowded.fault from crowded
            # Jitter, so that those who were dropped together do not come back together.
            time.sleep(0.05 * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311
        raise AssertionError

    def _carrier(self, route: list[_Stage]) -> Carrier:
        """The way to a host, its gateways included."""
        host, config = route[0]
        if config.proxy_command:
            return Proxy(config)
        if not config.jump:
            return Direct(host, config)
        with self._lock:
            gateway = self._gateways.setdefault(config.jump, _Gateway())
            gateway.users += 1

        def release() -> None:
            self._release(config.jump, gateway)

        try:
            connection = gateway.connection(lambda: self._connect(route[1:]))
        except BaseException:
            release()
            raise
        return Through(connection, release, host, config)

    def _release(self, jump: str, gateway: "_Gateway") -> None:
        with self._lock:
            gateway.users -= 1
            if gateway.users:
                return
            if self._gateways.get(jump) is gateway:
                del self._gateways[jump]
        gateway.close()


class _Gateway:
    """The one connection to a gateway, made by the first who needs it."""

    def __init__(self) -> None:
        self.users = 0
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._failures = 0
        self._fault: WeaverError | None = None

    def connection(self, connect: Callable[[], Connection]) -> Connection:
        failures = self._failures
        with self._lock:
            if self._fault is not None and self._failures > failures:
                raise self._fault  # it failed while this thread waited for it
            if self._connection is not None and not self._connection.alive:
                self._connection.close()
                self._connection = None
            if self._connection is None:
                try:
                    self._connection = connect()
                except WeaverError as fault:
                    self._fault = fault
                    self._failures += 1
                    raise
            return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _hop(host: Host, jump: str) -> Host:
    """The last of the hosts to go through, which is reached through those before it."""
    *before, last = (hop.strip().removeprefix("ssh://") for hop in jump.split(","))
    (hop,) = inventory.parse_inline(last)
    where = host.where if host.where.startswith("jump of") else f"jump of {faults.place(host)}"
    return msgspec.structs.replace(
        hop, jump=",".join(before), where=where, connect_timeout=host.connect_timeout
    )
