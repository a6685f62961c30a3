"""A host with the release that runs there: all that the manager needs to know of it.

Decides where on the host the envelope's socket is, and how the envelope is started. Paths are those
of the host, and absolute.
"""

import shlex
from pathlib import PurePosixPath
from typing import Final

import msgspec

from weaver.deployers.deployer import Command
from weaver.deployers.ssh.inventory import Host
from weaver.deployers.ssh.service import RUNTIME

LONGEST_SOCKET: Final = 103
"""Bytes of a Unix socket's path that every system takes."""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """One host. `python` is the installed release's; `address` is what other hosts dial.

    `unit` is that of systemd which starts the envelope, "" where none does.
    """

    host: Host
    python: str
    address: str = ""
    unit: str = ""

    @property
    def release(self) -> PurePosixPath:
        """The folder of the release."""
        return PurePosixPath(self.python).parents[2]

    @property
    def root(self) -> PurePosixPath:
        """The directory of weaver on the host."""
        return self.release.parents[1]

    def socket(self, deployment: str) -> str:
        """Where the envelope of a deployment listens."""
        return str(self.root / "run" / deployment / "e.sock")

    def command(self, deployment: str) -> list[str]:
        """What starts the envelope, and ends when it takes managers."""
        return [
            *(self.python, "-I", "-m", "weaver.application.main", "envelope"),
            *("--socket", self.socket(deployment), "--host", self.host.name),
            *("--hold", str(self.release / "running"), "--daemon"),
            # With the release, which goes when it is pruned: nothing else would ever remove it.
            *("--ended", str(self.release / "ended" / deployment)),
            *(("--unit", self.unit) if self.unit else ()),
        ]

    def start(self, deployment: str) -> str:
        """A script for `sh -s` that starts the envelope, and ends when it takes managers."""
        unit = f"systemctl --user start {self.unit} </dev/null && exit 0\n" if self.unit else ""
        folder = PurePosixPath(self.socket(deployment)).parent
        return (
            f"umask 077\nmkdir -p {shlex.quote(str(folder))} || exit 1\n"
            f"cd {shlex.quote(str(self.root))} || exit 1\n"
            f"{RUNTIME + unit if unit else ''}"
            f"exec {shlex.join(self.command(deployment))} </dev/null\n"
        )

    def look(self, deployment: str) -> str:
        """A script for `sh -s` that succeeds where somebody listens on the envelope's socket."""
        program = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
        words = [self.python, "-I", "-c", program, self.socket(deployment)]
        return f"exec {shlex.join(words)} </dev/null 2>/dev/null\n"

    def execute(self, command: Command) -> str:
        """A script for `sh -s` that runs a command; nothing of its environment is an argument."""
        programs = shlex.quote(str(PurePosixPath(self.python).parent))
        variables = [
            f"export {name}={shlex.quote(value)}\n"
            for name, value in command.environment.items()
            if name.isidentifier()
        ]
        return (
            f"cd {shlex.quote(str(self.release))} || exit 1\n"
            f"{''.join(variables)}PATH={programs}:$PATH\nexport PATH\n"
            f"exec {shlex.join(command.words)} </dev/null\n"
        )
