"""Starting a Python process of our own: a replica where forking is not safe, or the zygote.

Decides the command line, which holds no secret, and what the process inherits: the descriptors
that are named, nothing else. Call it from the main thread (see `lineage.die_with`).
"""

import functools
import os
import subprocess
import sys
from collections.abc import Sequence

from weaver.envelope.lineage import die_with
from weaver.envelope.process import Process


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
    # It is tied to us before its Python begins: by then it may be stopped, and we be killed.
    child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        pass_fds=tuple(inherited),
        start_new_session=True,
        preexec_fn=functools.partial(die_with, os.getpid()),  # noqa: PLW1509 - one thread here
    )
    process = Process(child.pid)
    child.returncode = 0  # it is waited for by `process`; this object must not do so as well
    return process
