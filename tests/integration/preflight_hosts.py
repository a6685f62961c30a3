"""Hosts for an examination without SSH: sh itself, in homes of their own."""

import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from weaver.deployers.ssh.remote import Completed
from weaver.errors import Unreachable


@dataclass
class ShellHost:
    """Runs the program that is sent to it by a given sh; counts the round trips."""

    name: str
    home: Path
    shell: Sequence[str] = ("sh",)
    environ: dict[str, str] = field(default_factory=dict[str, str])
    noise: bytes = b""
    umask: int = 0o022
    silent: bool = False
    trips: int = 0

    def run(
        self, command: str, *, stdin: bytes | Iterable[bytes] = b"", timeout: float
    ) -> Completed:
        self.trips += 1
        if self.silent:
            raise Unreachable(f"{self.name} has not answered within {timeout:.0f} s")
        assert command == "sh -s"
        assert isinstance(stdin, bytes)
        environ = {"HOME": str(self.home), "PATH": os.environ["PATH"]} | self.environ
        try:
            done = subprocess.run(
                [*self.shell, "-s"],
                input=stdin,
                capture_output=True,
                env=environ,
                cwd=self.home,
                umask=self.umask,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Unreachable("it has not answered", where=self.name) from error
        return Completed(done.returncode, self.noise + done.stdout, done.stderr)
