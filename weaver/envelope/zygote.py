"""The process that replicas are forked from: it has imported the application, and nothing runs.

Decides when a fork is safe: one thread, no event loop, no connection opened by an import. What is
forked is frozen out of the garbage collector's sight, so that replicas go on sharing its memory.
One process is forked ahead, so that the next replica only has to be told what it is.
It keeps a plain blocking socket to the envelope and ends with it. Linux only.
"""

import contextlib
import gc
import os
import select
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

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
QUIET: Final = 0.25
"""Seconds without an order until the next spare is forked: not while a replica starts."""
_PID: Final = 8  # bytes of a pid in the pipe
MOST_DESCRIPTORS: Final = 250  # the kernel takes no more at once


class Spare(NamedTuple):
    """A process that waits on the other end of its socket to become a replica."""

    pid: int
    sock: socket.socket


class Envelope:
    """The zygote's end of its socket: one message at a time, with the descriptors that came.

    A spare has one as well, to the zygote.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._receiver: Receiver[Preload | Fork] = Receiver(Codec(ToZygote))
        self._messages: list[Preload | Fork] = []
        self._descriptors: list[int] = []

    @property
    def waiting(self) -> int:
        """How many messages have been received and not been taken."""
        return len(self._messages)

    def waits(self, seconds: float) -> bool:
        """Whether there is something to receive within so many seconds."""
        return bool(self._messages or select.select([self._sock], [], [], seconds)[0])

    def hold(self, order: Preload | Fork) -> None:
        """Put the message that was received last back."""
        self._messages.insert(0, order)

    def assign(self, spare: Spare) -> None:
        """Make a spare the replica that the next message is for; a dead one is passed over."""
        order = self._messages[0]
        assert isinstance(order, Fork)
        fds = self._descriptors[: 3 + 3 * len(order.listeners)]
        with spare.sock:
            try:
                socket.send_fds(spare.sock, [encode(order)], fds)
            except OSError:
                return
        self._messages.pop(0)
        for number in self.take(len(fds)):
            os.close(number)
        self.send(Forked(order.ticket, spare.pid))

    def receive(self) -> Preload | Fork | None:
        """The next message; None when the envelope has ended."""
        while not self._messages:
            if not self._read():
                return None
        return self._messages.pop(0)

    def receive_all(self) -> None:
        """Receive what has been sent already: forks that are ordered together cost less."""
        while select.select([self._sock], [], [], 0)[0] and self._read():
            pass

    def _read(self) -> bool:
        try:
            data, fds, _, _ = socket.recv_fds(self._sock, CHUNK, MOST_DESCRIPTORS)
        except ConnectionError:
            return False
        self._descriptors += fds
        self._messages += self._receiver.feed(data)
        return bool(data)

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
    spares: list[Spare] = []
    while True:
        if not spares and not envelope.waits(QUIET):
            wanted = 1
        else:
            order = envelope.receive()
            if not isinstance(order, Fork):
                return 0
            envelope.hold(order)
            envelope.receive_all()
            wanted = envelope.waiting - len(spares)
        if wanted > 0:
            why = unsafe()
            if why:
                envelope.send(Unsafe(why))
                return 0
            bred = _breed(wanted)
            if isinstance(bred, socket.socket):
                envelope.close()
                for spare in spares:
                    spare.sock.close()
                return _spare(bred, parent, runtime, preloaded)
            if not bred:
                return 1  # no memory, or too many processes: the envelope goes on without us
            spares += bred
        while envelope.waiting and spares:
            envelope.assign(spares.pop(0))


def _breed(count: int) -> list[Spare] | socket.socket:
    """Fork so many grandchildren, which the envelope inherits at once: it can wait for them, and
    the zygote's end changes nothing. Returns them, and in each its socket.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pairs = [socket.socketpair() for _ in range(count)]
    reader, writer = os.pipe()
    middle = os.fork()
    if middle == 0:
        with contextlib.suppress(OSError):
            for _, theirs in pairs:
                pid = os.fork()
                if pid == 0:
                    os.close(reader)
                    os.close(writer)
                    _close_all_but(theirs, pairs)
                    return theirs
                os.write(writer, pid.to_bytes(_PID, "little"))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        pids = file.read()
    os.waitpid(middle, 0)  # from here on they are the envelope's children
    spares: list[Spare] = []
    for index, (ours, theirs) in enumerate(pairs):
        theirs.close()
        pid = int.from_bytes(pids[_PID * index : _PID * (index + 1)], "little")
        if pid:
            spares.append(Spare(pid, ours))
        else:
            ours.close()
    return spares


def _close_all_but(own: socket.socket, pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """Each end must be held by one process: its end is how the other one learns of that."""
    for pair in pairs:
        for sock in pair:
            if sock is not own:
                sock.close()


def _spare(sock: socket.socket, parent: int, runtime: child.Runtime, preloaded: Any) -> int:
    """Wait to become a replica, with everything done that can be done before."""
    os.setsid()
    await_adoption(parent)
    die_with(parent)
    name_process("weaver-spare")
    child.warm_up()
    zygote = Envelope(sock)
    order = zygote.receive()
    if not isinstance(order, Fork):
        return 0
    control, stdout, stderr, *held = zygote.take(3 + 3 * len(order.listeners))
    zygote.close()
    name_process(order.name)
    child.redirect(stdout, stderr)
    child.as_a_new_program()
    sockets = zip(held[::3], held[1::3], held[2::3], strict=True)
    listeners = dict(zip(order.listeners, sockets, strict=True))
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
