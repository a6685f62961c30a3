"""Reaches a Unix socket of a host: by a channel of sshd's own kind, or by a program that copies.

sshd does not tell why it refuses: no such socket, nobody listening and `AllowStreamLocalForwarding
no` look alike. The program tells.
"""

import contextlib
import time
from typing import Final, NamedTuple, Protocol

import paramiko

from weaver.deployers.ssh.host_program import command, packed
from weaver.errors import WeaverError

ANSWER: Final = 15.0
"""Seconds for the Python of a host to start the program."""
DEFAULT_PYTHON: Final = "/usr/bin/python3"
MAGIC: Final = b"weaver-bridge "
"""Begins the line of the answer; what login shells print before it does not matter."""
_MOST_NOISE: Final = 1024 * 1024  # bytes

_BRIDGE: Final = """\
import os, socket, sys, threading
def say(line):
    os.write(1, b"\\n" + {magic!r} + line.encode() + b"\\n")
there = socket.socket(socket.AF_UNIX)
try:
    there.connect({path!r})
except (FileNotFoundError, ConnectionRefusedError):
    say("nobody")
    sys.exit()
except OSError as error:
    say(error.strerror or str(error))
    sys.exit()
def up():
    while data := sys.stdin.buffer.read1(65536):
        there.sendall(data)
def forward():
    try:
        up()
    finally:
        os._exit(0)
threading.Thread(target=forward, daemon=True).start()
say("open")
while data := there.recv(65536):
    while data:
        data = data[os.write(1, data):]
os._exit(0)
"""


class Channels(Protocol):
    """A connection that opens channels; raises ChannelException where the host refuses."""

    def open_streamlocal(self, path: str) -> paramiko.Channel:
        """A channel to a Unix socket."""
        ...

    def open_command(self, command: str) -> paramiko.Channel:
        """A channel to a command's input and output."""
        ...


class Opened(NamedTuple):
    """A channel to a Unix socket, and what has been read of it already."""

    channel: paramiko.Channel
    first: bytes


def open_unix(connection: Channels, path: str, python: str, where: str) -> Opened | None:
    """A channel to a socket, or None where nobody listens. Blocks.

    `python` is an absolute path on the host, `where` the host in messages. Raises WeaverError where
    the socket may not be used or the host offers no way to it, and what opening a channel raises
    of a connection that is lost.
    """
    with contextlib.suppress(paramiko.ChannelException):
        return Opened(connection.open_streamlocal(path), b"")
    python = python or DEFAULT_PYTHON
    try:
        channel = connection.open_command(command(python))
    except paramiko.ChannelException as error:
        raise _no_way(path, python, where, f"no session either: {error.text}") from error
    try:
        return _bridged(channel, path, python, where)
    except BaseException:
        channel.close()
        raise


def _bridged(channel: paramiko.Channel, path: str, python: str, where: str) -> Opened | None:
    program = _BRIDGE.format(magic=MAGIC, path=path)
    channel.settimeout(ANSWER)
    try:
        channel.sendall(packed(program.encode()))
        answer, first = _answer(channel)
    except (paramiko.SSHException, EOFError, OSError) as error:
        said = channel.recv_stderr(4096) if channel.recv_stderr_ready() else b""
        why = said.decode("utf-8", "replace").strip() or str(error) or type(error).__name__
        raise _no_way(path, python, where, why) from error
    if answer == "open":
        return Opened(channel, first)
    channel.close()
    if answer == "nobody":
        return None
    raise WeaverError(
        "the control socket of an envelope cannot be used",
        where=f"{where}: {path}",
        why=answer,
        fix="correct its permissions; it must be that of the user who connects",
    )


def _answer(channel: paramiko.Channel) -> tuple[str, bytes]:
    """What the program says, and what follows it. Raises EOFError where it says nothing."""
    deadline = time.monotonic() + ANSWER
    start = b"\n" + MAGIC
    read = b"\n"
    while len(read) < _MOST_NOISE and time.monotonic() < deadline:
        before, found, after = read.partition(start)
        line, end, first = after.partition(b"\n")
        if found and end:
            return line.decode("utf-8", "replace"), first
        data = channel.recv(65536)
        if not data:
            break
        read = before + found + after + data
    raise EOFError("its Python ended, or printed something else")


def _no_way(path: str, python: str, where: str, why: str) -> WeaverError:
    return WeaverError(
        f"the Unix socket {path} cannot be reached",
        where=where,
        why=f"sshd does not forward to it, and {python} does not either: {why}",
        fix="set AllowStreamLocalForwarding yes in its sshd_config, or name its Python in the list "
        "of hosts: python=",
    )
