"""Call functions of `host/` on a host, several in one round trip.

Decides how calls, data and replies stand in the streams of a command, and what the caller is told
where a host answers with a fault or not at all.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from weaver.deployers.ssh.host.serve import MAGIC
from weaver.deployers.ssh.host_program import command, packed, program
from weaver.deployers.ssh.remote import Completed, Remote
from weaver.errors import WeaverError

TIMEOUT: Final = 60.0  # seconds
PATIENCE: Final = 60  # seconds without a byte, after which a program on a host ends itself


class HostError(WeaverError):
    """A host has refused or failed; `host` is its name, `kind` a word for programs.

    Kinds: full, altered, interrupted, locked, "lock lost", busy, python, install, "not installed",
    unknown, foreign, os, usage, "no answer", defect.
    """

    def __init__(
        self, what: str, *, host: str, kind: str, where: str = "", why: str = "", fix: str = ""
    ) -> None:
        super().__init__(what, where=f"{host}: {where}" if where else host, why=why, fix=fix)
        self.host = host
        self.kind = kind


class RemotePython(NamedTuple):
    """A host with what is needed to call it: the path of Python, and the directory of weaver.

    `directory` is relative to the home there; "" is .weaver.
    """

    remote: Remote
    python: str
    directory: str = ""


class Call(NamedTuple):
    """A function of a module of `host/`, and its arguments by name."""

    module: str
    function: str
    arguments: Mapping[str, Any]


def preamble(host: RemotePython, calls: Sequence[Call]) -> bytes:
    """What is sent before any data of the calls."""
    request = json.dumps([host.directory, calls, PATIENCE], separators=(",", ":")).encode()
    return program(frozenset(call.module for call in calls)) + packed(request)


def call(
    host: RemotePython,
    calls: Sequence[Call],
    *,
    data: Iterable[bytes] = (),
    timeout: float = TIMEOUT,
) -> list[Any]:
    """The results of calls, made one after the other until one fails.

    `data` is what they read beside their arguments. Raises HostError, and Unreachable where the
    connection is lost: then any of the calls may have been made.
    """
    begin = preamble(host, calls)

    def stream() -> Iterator[bytes]:
        yield begin
        yield from data

    done = host.remote.run(command(host.python), stdin=stream(), timeout=timeout)
    reply = _reply(done)
    if reply is None:
        raise HostError(
            f"the Python of {host.remote.name} does not answer",
            host=host.remote.name,
            kind="no answer",
            where=host.python,
            why=_last_words(done),
            fix="weaver doctor finds Pythons on the host; name one with python= in the list",
        )
    fault = reply.get("fault")
    if fault is not None:
        kind, what = fault.pop("kind"), fault.pop("what")
        raise HostError(what, host=host.remote.name, kind=kind, **fault)
    results: list[Any] = reply["results"]
    return results


def _reply(done: Completed) -> dict[str, Any] | None:
    """The line after the magic one; what shells print around them does not matter."""
    lines = done.stdout.splitlines()
    if MAGIC.encode() not in lines[:-1]:
        return None
    found: dict[str, Any] = json.loads(lines[lines.index(MAGIC.encode()) + 1])
    return found


def _last_words(done: Completed) -> str:
    said = (done.stderr.strip() or done.stdout.strip()).decode("utf-8", "replace")
    return "\n".join([f"exit code {done.exit_code}", *said.splitlines()[-5:]])
