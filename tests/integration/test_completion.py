"""Completion as a user meets it: real shells at a terminal, and the key Tab."""

import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

PATIENCE: Final = 40.0
CLEAR: Final = "\x15"  # Ctrl-U: the line is emptied
CONTROL: Final = re.compile(r"\x1b(\[[0-9;?]*[a-zA-Z]|[()].|\][^\x07]*\x07|.)|[\r\x07]|.\x08")


class Shell(NamedTuple):
    """How a shell is started without its user's files, and told to complete weaver."""

    command: tuple[str, ...]
    setup: str


SHELLS: Final = {
    "bash": Shell(("bash", "--norc", "-i"), 'eval "$(weaver completion bash)"'),
    "zsh": Shell(("zsh", "-f", "-i"), 'eval "$(weaver completion zsh)"'),
    "fish": Shell(("fish", "--no-config", "-i"), "weaver completion fish | source"),
}


class Terminal:
    """A shell that takes what is typed for the keys of its user."""

    def __init__(self, shell: Shell, home: Path) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *shell.command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=home,
            env={
                "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
                "PYTHONPATH": os.pathsep.join(sys.path),
                "HOME": str(home),
                "XDG_STATE_HOME": str(home),
                "TERM": "xterm",
                "LANG": "C.UTF-8",
            },
        )
        os.close(theirs)
        self.type(f"{shell.setup}; echo rea''dy\n", "ready\n")

    def type(self, keys: str, expected: str) -> None:
        """Press keys, and wait until their effect is on the screen."""
        os.write(self._ours, keys.encode())
        deadline = time.monotonic() + PATIENCE
        seen = b""
        while expected not in self._text(seen):
            left = deadline - time.monotonic()
            assert select.select([self._ours], [], [], max(left, 0))[0], self._text(seen)
            seen += os.read(self._ours, 65536)

    def close(self) -> None:
        """End the shell, whatever it does."""
        self._process.kill()
        self._process.wait(PATIENCE)
        os.close(self._ours)

    @staticmethod
    def _text(seen: bytes) -> str:
        return CONTROL.sub("", seen.decode(errors="replace"))


@pytest.fixture(params=list(SHELLS))
def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    shell = SHELLS[request.param]
    if shutil.which(shell.command[0]) is None:
        pytest.skip(f"{shell.command[0]} is not installed")
    with contextlib.closing(Terminal(shell, tmp_path)) as terminal:
        yield terminal


def test_a_command_its_options_and_its_words_are_completed(terminal: Terminal) -> None:
    terminal.type("weaver stat\t", "weaver status ")
    terminal.type("--js\t", "on ")
    terminal.type(f"{CLEAR}weaver completion f\t", "ish ")


def test_what_fits_is_listed(terminal: Terminal) -> None:
    terminal.type("weaver s\t\t", "shell")


def test_files_are_completed_where_files_are_asked_for(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "shop.pex").write_text("")
    terminal.type("weaver inspect sho\t", "p.pex ")
