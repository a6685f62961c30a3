"""Asks the manager of a deployment, from the command line: blocking, one request a connection."""

import contextlib
import os
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Final

from weaver.control.faults import error_of
from weaver.control.operator import Answer, Done, GetStatus, Refused, Request, Status
from weaver.control.stream import Codec, Receiver, encode
from weaver.deployers.registry import Record
from weaver.errors import Unreachable, UsageError, WeaverError

TIMEOUT: Final = 10.0
"""Seconds in which a manager answers, unless what is asked takes longer."""


def lives(pid: int) -> bool:
    """Whether a process of weaver's has this pid; where the system does not tell, whether any."""
    try:
        os.kill(pid, 0)
        return b"weaver" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return not Path("/proc").is_dir()
    except OSError:
        return False


def ask(record: Record, request: Request, *, timeout: float | None = TIMEOUT) -> Generator[Answer]:
    """The answers to one request, without the final `Done`.

    `timeout` is in seconds between two answers, None for as long as it takes. Raises the manager's
    refusal as WeaverError, Unreachable when no manager answers.
    """
    with _connected(record, timeout) as sock:
        try:
            sock.sendall(encode(request))
            receiver: Receiver[Answer] = Receiver(Codec(Answer))
            while True:
                data = sock.recv(256 * 1024)
                if not data:
                    raise _unreachable(record, "it ended the connection")
                for answer in receiver.feed(data):
                    if isinstance(answer, Done):
                        return
                    if isinstance(answer, Refused):
                        raise _refusal(answer)
                    yield answer
        except OSError as error:
            raise _unreachable(record, str(error) or "it does not answer") from error


def _refusal(refused: Refused) -> WeaverError:
    if not refused.usage:
        return error_of(refused.fault)
    fault = refused.fault
    return UsageError(fault.what, where=fault.where, why=fault.why, fix=fault.fix)


def ask_status(record: Record) -> Status:
    """The deployment as its manager sees it now. Raises Unreachable."""
    for answer in ask(record, GetStatus()):
        if isinstance(answer, Status):
            return answer
    raise _unreachable(record, "it gave no status")


def is_managed(record: Record) -> bool:
    """Whether the manager of a deployment answers."""
    try:
        ask_status(record)
    except Unreachable:
        return False
    return True


@contextlib.contextmanager
def _connected(record: Record, timeout: float | None) -> Generator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(TIMEOUT)
        try:
            sock.connect(record.socket)
        except OSError as error:
            why = error.strerror or str(error)
            if lives(record.pid):
                why += f"; its process lives, and ends all in order on: kill {record.pid}"
            raise _unreachable(record, why) from error
        sock.settimeout(timeout)
        yield sock


def attaching(record: Record) -> str:
    """The command that puts a new manager in charge."""
    return f"weaver attach {record.app}" + (" --ssh HOSTS" if record.hosts else "")


def _unreachable(record: Record, why: str) -> Unreachable:
    return Unreachable(
        f"the manager of {record.app} cannot be reached",
        where=record.socket,
        why=f"{why} (process {record.pid}, version {record.version[:12]})",
        fix=f"its replicas may serve on; put a new manager in charge: {attaching(record)}",
    )
