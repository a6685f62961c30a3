"""Starting a Python process of our own: a replica where forking is not safe, or the zygote.

Decides the command line, which holds no secret, and what the process inherits: the descriptors
that are named, nothing else. Call it from the main thread (see `lineage.die_with`).
"""

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from weaver.envelope.lineage import die_with
from weaver.envelope.process import Process

_HANDLED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def replica_command(control: int, runtime: str) -> list[str]:
    """The command line of a replica that reads its orders from the inherited descriptor."""
    command = [sys.executable, "-I", "-m", "weaver.envelope.child"]
    command += ["--control-fd", str(control), "--parent", str(os.getpid())]
    return [*command, "--runtime", runtime] if runtime else command


def zygote_command(control: int) -> list[str]:
    """The command line of a zygote."""
    return [sys.executable, "-I", "-m", "weaver.envelope.zygote", str(control), str(os.getpid())]


def spawn(command: Sequence[str], *, stdout: int, stderr: int, inherited: Sequence[int]) -> Process:
    """Start a process in a session of its own, which ends with this one. Raises OSError."""
    # Until it runs its own program it has our handlers, and what wakes our event loop: a signal
    # to it would be taken for one to us.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    try:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(inherited),
            start_new_session=True,
            preexec_fn=functools.partial(_begin, os.getpid(), mask),  # noqa: PLW1509 - one thread here
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    process = Process(child.pid)
    child.returncode = 0  # it is waited for by `process`; this object must not do so as well
    return process


def _begin(parent: int, mask: set[int]) -> None:
    """In the new process: tied to us before its Python begins, which may be stopped by then."""
    die_with(parent)
    for number in _HANDLED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
