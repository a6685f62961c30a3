"""The same examination of this machine, for `weaver multi run` and a deploy without SSH."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from typing import Final

import msgspec

from weaver.deployers.directories import runtime_directory, state_directory
from weaver.deployers.ssh.inventory import Host
from weaver.deployers.ssh.preflight.findings import Check, Finding, Verdict, finding
from weaver.deployers.ssh.preflight.judge import Examined, judge
from weaver.deployers.ssh.preflight.needs import Needs
from weaver.deployers.ssh.preflight.probe import probe
from weaver.deployers.ssh.preflight.run import TIMEOUT
from weaver.deployers.ssh.remote import Completed
from weaver.errors import Unreachable, WeaverError
from weaver.packaging.places import cache_root

NAME: Final = "this machine"
_MEANINGLESS: Final[frozenset[Check]] = frozenset({"connect", "clock"})


class ThisMachine:
    """Runs commands here, as a `Remote`."""

    @property
    def name(self) -> str:
        """How tables call it."""
        return NAME

    def run(
        self, command: str, *, stdin: bytes | Iterable[bytes] = b"", timeout: float
    ) -> Completed:
        """Run a command line without a shell. Raises Unreachable when the time is over."""
        data = stdin if isinstance(stdin, bytes) else b"".join(stdin)
        try:
            done = subprocess.run(  # noqa: S603 - our own commands
                shlex.split(command), input=data, capture_output=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise Unreachable(
                f"{shlex.split(command)[0]} has not ended within {timeout:.0f} s", where=NAME
            ) from error
        except OSError as error:
            raise WeaverError(
                f"{command} cannot be run", where=NAME, why=error.strerror or str(error)
            ) from error
        return Completed(done.returncode, done.stdout, done.stderr)


def examine_here(needs: Needs, *, timeout: float = TIMEOUT) -> Examined:
    """What would fail on this machine; `timeout` is in seconds. Makes weaver's own directories.

    Raises WeaverError if it cannot be examined.
    """
    needs = msgspec.structs.replace(needs, here=True)
    cache = os.path.abspath(cache_root())  # noqa: PTH100 - links stay as they are
    place = Host(name=NAME, host="localhost", python=sys.executable, directory=cache)
    facts = probe(ThisMachine(), place, needs.listeners, timeout=timeout)
    examined = judge(NAME, facts, needs)
    kept = tuple(found for found in examined.findings if found.check not in _MEANINGLESS)
    return msgspec.structs.replace(examined, findings=(*kept, *_directories()))


def _directories() -> Iterable[Finding]:
    """Those where deployments of this machine keep their state and sockets."""
    for make in (state_directory, runtime_directory):
        try:
            make()
        except WeaverError as error:
            verdict = Verdict("fail", error.what, error.why, error.fix)
            yield finding(NAME, "directory", verdict)
