"""One command on a host: its input sent, its output collected, its end awaited."""

import contextlib
import select
import threading
import time
from collections.abc import Iterable
from typing import Final

import paramiko

from weaver.deployers.ssh.handshake import Transport
from weaver.deployers.ssh.remote import Completed

CHUNK: Final = 256 * 1024
"""Bytes handed to paramiko at once: it copies what is left of them for each packet."""
_LOSS: Final = 0.3  # seconds until a lost connection is known as such, after its channels ended
_GLANCE: Final = 0.5  # seconds between two looks at whether everything has ended


class Late(Exception):
    """The time is over."""


class Lost(Exception):
    """The connection ended before the command did."""


def execute(
    transport: Transport,
    channel: paramiko.Channel,
    command: str,
    stdin: bytes | Iterable[bytes],
    deadline: float,
) -> Completed:
    """Run a command on a channel of its own, and close that.

    `deadline` is of time.monotonic(). Raises Late, Lost, and what `stdin` raises.
    """
    with contextlib.closing(channel):
        channel.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            transport.start_command(channel, command)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise Lost from error
        feeder = _Feeder(channel, stdin)
        try:
            completed = _collect(channel, feeder, deadline)
        finally:
            channel.close()  # so that the feeder ends
            feeder.join()
    if feeder.error is not None:
        raise feeder.error
    if completed.exit_code == -1 and _is_lost(transport):
        raise Lost
    return completed


def _collect(channel: paramiko.Channel, feeder: "_Feeder", deadline: float) -> Completed:
    """Both outputs until their end, then the exit code."""
    stdout, stderr = bytearray(), bytearray()
    readable = select.poll()  # select() knows only the first 1024 descriptors
    readable.register(channel.fileno(), select.POLLIN)
    while not channel.closed and feeder.error is None:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise Late
        patience = min(remaining, _GLANCE)
        if not channel.eof_received:
            readable.poll(1000 * patience)
        elif channel.status_event.wait(patience):
            break
        _drain(channel, stdout, stderr)
    _drain(channel, stdout, stderr)
    status = channel.recv_exit_status() if channel.exit_status_ready() else -1
    return Completed(status, bytes(stdout), bytes(stderr))


def _drain(channel: paramiko.Channel, stdout: bytearray, stderr: bytearray) -> None:
    """Take what has come on both outputs."""
    while channel.recv_ready():
        stdout += channel.recv(CHUNK)
    while channel.recv_stderr_ready():
        stderr += channel.recv_stderr(CHUNK)


def _is_lost(transport: paramiko.Transport) -> bool:
    """Whether the connection has ended, and not only a channel: its thread ends a little later."""
    transport.join(_LOSS)
    return not transport.is_active()


class _Feeder:
    """Sends the input while the output is collected, then says that there is no more."""

    def __init__(self, channel: paramiko.Channel, stdin: bytes | Iterable[bytes]) -> None:
        self.error: BaseException | None = None
        self._channel = channel
        self._thread: threading.Thread | None = None
        if stdin == b"":
            self._end()
            return
        chunks = [stdin] if isinstance(stdin, bytes) else stdin
        self._thread = threading.Thread(
            target=self._feed, args=(chunks,), name="weaver-ssh-stdin", daemon=True
        )
        self._thread.start()

    def join(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def _feed(self, chunks: Iterable[bytes]) -> None:
        try:
            for chunk in chunks:
                for start in range(0, len(chunk), CHUNK):
                    if not self._send(chunk[start : start + CHUNK]):
                        return
        except BaseException as error:  # noqa: BLE001 - whatever `stdin` raises is the caller's
            self.error = error
        self._end()

    def _send(self, data: bytes) -> bool:
        """Whether the command still takes input; it need not read all of it."""
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.sendall(data)
            return True
        return False

    def _end(self) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.shutdown_write()
