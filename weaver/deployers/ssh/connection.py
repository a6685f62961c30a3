"""A connection to one host: commands, Unix sockets and addresses that are reached through it.

How it comes about is decided in client.py.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol, Self, TypeVar

import paramiko

from weaver.deployers.ssh import commands, faults, handshake, unix_channel
from weaver.deployers.ssh.channel_link import ChannelLink
from weaver.deployers.ssh.client_config import ClientConfig
from weaver.deployers.ssh.inventory import Host
from weaver.deployers.ssh.remote import Completed

SESSIONS: Final = 8
"""Commands at a time on one connection: sshd refuses the eleventh (MaxSessions 10)."""
OPENING: Final = 10.0
"""Seconds that a host may take to open a channel."""
_ALONE: Final = 20  # refusals in a row, 50 ms apart, after which no session is to be had

T = TypeVar("T")


class Below(Protocol):
    """What carries a connection, and ends with it."""

    def close(self) -> None:
        """Give it back."""
        ...


class Connection:
    """An SSH connection to one host; for use by several threads. Close it, or use `with`."""

    def __init__(
        self, host: Host, config: ClientConfig, transport: handshake.Transport, below: Below
    ) -> None:
        self.host = host
        self.config = config
        self._transport = transport
        self._below = below
        self._sessions = threading.Condition()
        self._claimed = 0
        self._running = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """What hosts.txt calls the host."""
        return self.host.name

    @property
    def learned(self) -> str:
        """Type and fingerprint of the host's key, if it was unknown until now and accepted."""
        return self._transport.learned

    @property
    def transport(self) -> paramiko.Transport:
        """The connection below, for what speaks SSH itself."""
        return self._transport

    @property
    def alive(self) -> bool:
        """Whether nothing is known to have ended the connection."""
        return self._transport.is_active()

    def run(
        self, command: str, *, stdin: bytes | Iterable[bytes] = b"", timeout: float
    ) -> Completed:
        """Run a command line in the login shell of the host, and wait for its end and outputs.

        `timeout` is in seconds. The exit code is -1 where a signal ended it. Raises Unreachable
        where the connection is lost or the time is over (the command may then go on), WeaverError
        where the host opens no session, and what `stdin` raises.
        """
        deadline = time.monotonic() + timeout
        channel = self._begin_session(deadline, timeout)
        try:
            return commands.execute(self._transport, channel, command, stdin, deadline)
        except commands.Lost as error:
            raise faults.lost(self.host, self._transport.get_exception()) from error
        except commands.Late as error:
            raise faults.late(self.host, _first_word(command), timeout) from error
        finally:
            self._end_session()

    def open_unix(
        self, path: str, loop: asyncio.AbstractEventLoop, *, python: str = ""
    ) -> ChannelLink | None:
        """A link to a Unix socket of the host for an event loop, None where nobody listens.

        Blocks: call it in a thread. `python` is an absolute path there, for hosts whose sshd does
        not forward to sockets. Raises WeaverError where the socket may not be used or there is no
        way to it, and Unreachable.
        """
        python = python or (self.host.python if self.host.python.startswith("/") else "")
        opened = unix_channel.open_unix(self, path, python, faults.place(self.host))
        return ChannelLink(opened.channel, loop, opened.first) if opened is not None else None

    def open_streamlocal(self, path: str) -> paramiko.Channel:
        """A channel to a Unix socket of the host.

        Raises ChannelException where the host refuses, for whichever reason, and Unreachable.
        """
        return self._open(lambda seconds: self._transport.open_streamlocal(path, seconds))

    def open_command(self, command: str, timeout: float = OPENING) -> paramiko.Channel:
        """A session that runs a command line, beside those of `run`; close it.

        `timeout` in seconds is for the host to open it. Raises ChannelException where the host
        refuses, and Unreachable.
        """
        channel = self._open_session(timeout)
        self._open(lambda _: self._transport.start_command(channel, command))
        return channel

    def open_tcp(self, hostname: str, port: int) -> paramiko.Channel:
        """A channel to what the host reaches at an address.

        Raises ChannelException where the host refuses or does not reach it, and Unreachable.
        """
        target, source = (hostname, port), ("127.0.0.1", 0)
        return self._open(
            lambda seconds: self._transport.open_channel(
                "direct-tcpip", target, source, timeout=seconds
            )
        )

    def close(self) -> None:
        """End the connection; what runs on the host is told by the end of its input. Idempotent."""
        self._transport.close()
        self._transport.join(2.0)
        self._below.close()

    def _open_session(self, timeout: float) -> paramiko.Channel:
        patience = max(0.01, min(timeout, OPENING))
        return self._open(lambda seconds: self._transport.open_session(timeout=seconds), patience)

    def _open(self, act: Callable[[float], T], patience: float = OPENING) -> T:
        """What `act` opens in so many seconds; its failures, as errors."""
        try:
            return act(patience)
        except paramiko.ChannelException:
            raise
        except (paramiko.SSHException, EOFError, OSError) as error:
            if not self._transport.is_active():
                raise faults.lost(self.host, error) from error
            if "Timeout" in str(error):
                raise faults.late(self.host, "a channel", patience) from error
            # Of several refusals at the same time, paramiko gives the reason to one thread only.
            raise paramiko.ChannelException(2, "refused") from error

    def _begin_session(self, deadline: float, timeout: float) -> paramiko.Channel:
        """A session, in turn: a host that allows fewer than we use makes the others wait."""
        with self._sessions:
            if not self._sessions.wait_for(
                lambda: self._claimed < SESSIONS, deadline - time.monotonic()
            ):
                raise faults.late(self.host, "the end of other commands", timeout)
            self._claimed += 1
        try:
            return self._open_in_turn(deadline, timeout)
        except BaseException:
            with self._sessions:
                self._claimed -= 1
                self._sessions.notify()
            raise

    def _open_in_turn(self, deadline: float, timeout: float) -> paramiko.Channel:
        refused = 0
        while True:
            try:
                channel = self._open_session(deadline - time.monotonic())
            except paramiko.ChannelException as error:
                with self._sessions:
                    # Where no command runs, others have all sessions for good, such as links. One
                    # that has ended counts until the host has cleaned up after it.
                    refused = 0 if self._running else refused + 1
                    if refused > _ALONE:
                        raise faults.no_session(self.host, error) from error
                    if time.monotonic() >= deadline:
                        raise faults.late(self.host, "a session", timeout) from error
                    self._sessions.wait(0.05)
            else:
                with self._sessions:
                    self._running += 1
                return channel

    def _end_session(self) -> None:
        with self._sessions:
            self._claimed -= 1
            self._running -= 1
            self._sessions.notify()


def _first_word(command: str) -> str:
    """What may be told of a command: its arguments can be long, and are the caller's."""
    return command.split(maxsplit=1)[0] if command.strip() else "a command"
