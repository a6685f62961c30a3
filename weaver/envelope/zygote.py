"""The process that replicas are forked from: it has imported the application, and nothing runs.

Decides when a fork is safe: one thread, no event loop, no connection opened by an import. What is
forked is frozen out of the garbage collector's sight, so that replicas go on sharing its memory.
It keeps a plain blocking socket to the envelope and ends with it. Linux only.
"""

import gc
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from weaver.control.messages import Application, Message
from weaver.control.stream import Codec, Receiver, encode
from weaver.envelope import child
from weaver.envelope.lineage import await_adoption, die_with, name_process
from weaver.envelope.zygote_messages import (
    Fork,
    Forked,
    Preload,
    Preloaded,
    PreloadFailed,
    ToZygote,
    Unsafe,
)

CHUNK: Final = 64 * 1024
MOST_DESCRIPTORS: Final = 250  # the kernel takes no more at once


class Envelope:
    """The zygote's end of its socket: one message at a time, with the descriptors that came."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._receiver: Receiver[Preload | Fork] = Receiver(Codec(ToZygote))
        self._messages: list[Preload | Fork] = []
        self._descriptors: list[int] = []

    def receive(self) -> Preload | Fork | None:
        """The next message; None when the envelope has ended."""
        while not self._messages:
            data, fds, _, _ = socket.recv_fds(self._sock, CHUNK, MOST_DESCRIPTORS)
            self._descriptors += fds
            if not data:
                return None
            self._messages += self._receiver.feed(data)
        return self._messages.pop(0)

    def take(self, count: int) -> list[int]:
        """The descriptors that came with the message received last."""
        taken, self._descriptors = self._descriptors[:count], self._descriptors[count:]
        return taken

    def send(self, message: Message) -> None:
        """Send one message."""
        self._sock.sendall(encode(message))

    def close(self) -> None:
        """Close it: a replica has no part in this conversation."""
        self._sock.close()
        for number in self._descriptors:
            os.close(number)


def main(argv: Sequence[str]) -> int:
    """`FD PID`: the socket to the envelope, and the envelope itself."""
    sock, parent = socket.socket(fileno=int(argv[0])), int(argv[1])
    sock.set_inheritable(False)
    die_with(parent)
    name_process("weaver-zygote")
    envelope = Envelope(sock)
    order = envelope.receive()
    if not isinstance(order, Preload):
        return 0
    before = _connections()
    try:
        runtime, preloaded = child.preload(order.application, order.runtime)
    except BaseException as error:  # noqa: BLE001 - also SystemExit: it is an import that failed
        envelope.send(PreloadFailed(_fault(error, order.application)))
        return 1
    why = unsafe() or _opened(before)
    if why:
        envelope.send(Unsafe(why))
        return 0
    gc.collect()
    gc.freeze()
    envelope.send(Preloaded())
    return _serve(envelope, parent, runtime, preloaded)


def unsafe() -> str:
    """Why this process cannot be forked, or "": other threads would be missing in the child."""
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads == 1:
        return ""
    import threading

    names = [thread.name for thread in threading.enumerate() if thread.name != "MainThread"]
    return f"{threads - 1} thread(s) run after the import: {', '.join(names) or 'not of Python'}"


def _serve(envelope: Envelope, parent: int, runtime: child.Runtime, preloaded: Any) -> int:
    while (order := envelope.receive()) is not None:
        if not isinstance(order, Fork):
            return 1
        fds = envelope.take(3 + len(order.listeners))
        why = unsafe()
        if why:
            envelope.send(Unsafe(why))
            return 0
        sys.stdout.flush()
        sys.stderr.flush()
        pid = _fork_for(parent)
        if pid == 0:
            envelope.close()
            return _replica(order, fds, runtime, preloaded)
        for number in fds:
            os.close(number)
        envelope.send(Forked(order.ticket, pid))
    return 0


def _fork_for(parent: int) -> int:
    """Fork a grandchild that `parent` inherits at once; its pid here, and 0 there.

    The envelope then is its parent: it can wait for it, and the zygote's end changes nothing.
    """
    reader, writer = os.pipe()
    middle = os.fork()
    if middle == 0:
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            os.close(writer)
            await_adoption(parent)
            die_with(parent)
            return 0
        os.write(writer, pid.to_bytes(8, "little"))
        os._exit(0)
    os.close(writer)
    pid = int.from_bytes(os.read(reader, 8), "little")
    os.close(reader)
    os.waitpid(middle, 0)  # from here on it is the envelope's child
    return pid


def _replica(order: Fork, fds: list[int], runtime: child.Runtime, preloaded: Any) -> int:
    os.setsid()
    name_process(order.name)
    control, stdout, stderr, *held = fds
    child.redirect(stdout, stderr)
    child.as_a_new_program()
    listeners = dict(zip(order.listeners, held, strict=True))
    return child.host(socket.socket(fileno=control), runtime, preloaded, listeners)


def _fault(error: BaseException, application: Application) -> Any:
    return child.fault_of(error, application)


def _connections() -> set[str]:
    """Sockets and event loops that are open in this process."""
    found: set[str] = set()
    for number in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(number)  # noqa: PTH115 - what it says is not a path
        except OSError:  # the one that lists the folder
            continue
        if target.startswith(("socket:", "anon_inode:[eventpoll]")):
            found.add(f"{number.name} ({target})")
    return found


def _opened(before: set[str]) -> str:
    opened = sorted(_connections() - before)
    if not opened:
        return ""
    return f"the import has opened a connection or an event loop: descriptor {', '.join(opened)}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
