"""What carries an SSH connection: TCP, a ProxyCommand, or a channel of a gateway's connection."""

import socket
import subprocess
from collections.abc import Callable
from typing import Any, Final, Protocol

import paramiko

from weaver.deployers.ssh import faults
from weaver.deployers.ssh.client_config import ClientConfig
from weaver.deployers.ssh.connection import Connection
from weaver.deployers.ssh.inventory import Host
from weaver.errors import Unreachable

CONNECT: Final = 10.0
"""Seconds until a TCP connection must stand, to each address of a name."""
UNACKNOWLEDGED: Final = 10_000
"""Milliseconds that what was sent may stay without an acknowledgement of the other machine."""


class Carrier(Protocol):
    """A way to a host."""

    def open(self) -> Any:
        """A new stream to its sshd, as paramiko takes it. Raises Unreachable."""
        ...

    def close(self) -> None:
        """Nothing more is to be opened, and the streams have ended."""
        ...


class Direct:
    """TCP from here."""

    def __init__(self, host: Host, config: ClientConfig) -> None:
        self._host = host
        self._config = config

    def open(self) -> socket.socket:
        """A connection to the first of the host's addresses that takes one."""
        last: OSError = OSError("the name has no address")
        try:
            name, port = self._config.hostname, self._config.port
            found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise faults.connecting(self._host, self._config, error) from error
        except UnicodeError as error:  # a label of the name is empty or too long
            fault = socket.gaierror(str(error))
            raise faults.connecting(self._host, self._config, fault) from error
        for family, kind, protocol, _, address in found:
            connection = socket.socket(family, kind, protocol)
            try:
                _tune(connection, self._host.connect_timeout or CONNECT)
                connection.connect(address)
            except OSError as error:
                connection.close()
                last = error
            else:
                return connection
        raise faults.connecting(self._host, self._config, last) from last

    def close(self) -> None:
        """Nothing is held."""


def _tune(connection: socket.socket, seconds: float) -> None:
    """Without this, paramiko leaves Nagle's algorithm on, which costs 40 ms for each command."""
    connection.settimeout(seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED)


class Proxy:
    """The standard input and output of a ProxyCommand."""

    def __init__(self, config: ClientConfig) -> None:
        self._command = config.proxy_command
        self._processes: list[subprocess.Popen[bytes]] = []

    def open(self) -> socket.socket:
        """Start the command; it ends when its input does."""
        ours, its = socket.socketpair()
        with its:
            process = subprocess.Popen(  # noqa: S602 - ssh_config defines it as a shell command
                f"exec {self._command}",
                shell=True,
                stdin=its.fileno(),
                stdout=its.fileno(),
                stderr=subprocess.DEVNULL,
            )
        self._processes.append(process)
        return ours

    def close(self) -> None:
        """Wait for the commands, and kill those that do not end."""
        for process in self._processes:
            try:
                process.wait(1.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Through:
    """A channel of the connection to a gateway; `release` gives that back."""

    def __init__(
        self, gateway: Connection, release: Callable[[], None], host: Host, config: ClientConfig
    ) -> None:
        self._gateway = gateway
        self._release = release
        self._host = host
        self._config = config

    def open(self) -> paramiko.Channel:
        """Have the gateway connect to the host."""
        try:
            return self._gateway.open_tcp(self._config.hostname, self._config.port)
        except paramiko.ChannelException as error:
            at = f"{self._config.hostname}:{self._config.port}"
            forbidden = error.code == 1  # administratively prohibited
            raise Unreachable(
                f"{self._gateway.name} cannot connect to {at}",
                where=faults.place(self._host),
                why=error.text,
                fix=f"set AllowTcpForwarding yes in the sshd_config of {self._gateway.name}"
                if forbidden
                else "see whether the host is up, and whether the gateway resolves its name",
            ) from error

    def close(self) -> None:
        """Give the gateway back."""
        release, self._release = self._release, _nothing
        release()


def _nothing() -> None: ...
