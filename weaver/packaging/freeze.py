"""Run the pex command line: requirements from an environment, sources from a folder, to one file.

pex is a subprocess because its Python interface is private. This file decides its options, and
says its failures in our words.
"""

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from weaver.packaging.errors import BuildError
from weaver.packaging.whole import tell_when_cut

# --no-pre-install-wheels: each wheel is one stored member, which halves the time of a build and
# lets a deployer send only the wheels that a host lacks. --venv --sh-boot: 13 ms to main.
OPTIONS = (
    "--venv",
    "--sh-boot",
    "--no-pre-install-wheels",
    "--no-compile",
    "--no-use-system-time",
    "--entry-point",
    "weaver.application.main:main",
)
# Arguments come on stdin, as JSON; none at all: nothing to do. Only the command line of pex is
# relied on: importing its module early changes nothing but when that is done.
_WAIT_FOR_ARGUMENTS = """
import contextlib, json, runpy, sys
with contextlib.suppress(ImportError):
    import pex.bin.pex
if given := sys.stdin.read():
    sys.argv[1:] = json.loads(given)
    runpy.run_module("pex", run_name="__main__", alter_sys=True)
"""
FREEZE_TIMEOUT = 600.0  # seconds; only a package index can make it take this long


def pex_version() -> str:
    """The version of the installed pex. Raises BuildError where there is none."""
    if importlib.util.find_spec("pex") is None:
        raise BuildError(
            "pex is not installed in this environment",
            why="weaver builds with it",
            fix='pip install "pex~=2.105"',
        )
    return importlib.metadata.version("pex")


class Pex:
    """The pex command line in an interpreter that has been started ahead of its arguments.

    What pex imports takes as long as what it does, and the application can be read meanwhile. Use
    as a context manager, which ends an interpreter that was never given arguments.
    """

    def __init__(self, pex_root: Path) -> None:
        self._root = pex_root
        self._waiting = _start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._waiting.poll() is None:
            self._waiting.kill()
        self._waiting.communicate()

    def freeze(self, requirements: Sequence[str], sources: Path, output: Path) -> None:
        """Write a PEX to `output`, once per instance. Raises BuildError and leaves no file.

        Requirements come from the virtual environment of this interpreter, without a network; where
        this is none, from the package index, in the installed versions.
        """
        # Everything below `sources` is packed. It is a folder of ours that holds nothing else: -D
        # of the project itself would pack its .env and .git too.
        options = ["--sources-directory", str(sources), *OPTIONS]
        options += ["--pex-root", str(self._root), "--output-file", str(output)]
        code, said = _run(self._waiting, [*_from_environment(output, requirements), *options])
        if code or not output.is_file():
            raise failure(said, code)
        tell_when_cut(output)


def _start() -> "subprocess.Popen[str]":
    # Where caches are is not to be known of a PEX: it names where its own will be on other hosts.
    unwanted = ("PEX_", "PYTHON", "XDG_CACHE_HOME")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(unwanted)}
    return subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-P", "-c", _WAIT_FOR_ARGUMENTS],
        env=clean | {"PEX_IGNORE_RCFILES": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run(process: "subprocess.Popen[str]", arguments: list[str]) -> tuple[int, str]:
    """The exit code, and all that was printed."""
    try:
        said, _ = process.communicate(json.dumps(arguments), timeout=FREEZE_TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise BuildError(
            f"pex did not end within {FREEZE_TIMEOUT:.0f} s", fix="is the package index reachable?"
        ) from error
    return process.returncode, said


def in_virtual_environment() -> bool:
    """Whether this interpreter belongs to one; only then can its wheels be made again from it."""
    return sys.prefix != sys.base_prefix


def failure(output: str, code: int) -> BuildError:
    """What pex said, in our shape."""
    lines = [line.strip() for line in output.strip().splitlines() if line.strip()]
    why = "\n".join(lines[-6:])
    if "No space left on device" in output:
        return BuildError("the disk is full", why=why, fix="free some space, and build again")
    if "Permission denied" in output or "Read-only file system" in output:
        return BuildError(
            "the cache of builds cannot be written",
            why=why,
            fix="make it writable, or set XDG_CACHE_HOME to a folder that is",
        )
    if "resolve" in output.lower() or "requirement" in output.lower():
        return BuildError(
            "this environment lacks a package that the application requires",
            where=sys.prefix,
            why=why,
            fix="pip install what is named above; `pip check` shows all that is missing",
        )
    return BuildError(f"pex failed with exit code {code}", why=why, fix="run again with --debug")


def _from_environment(output: Path, requirements: Sequence[str]) -> list[str]:
    if in_virtual_environment():
        return ["--venv-repository", sys.prefix, *requirements]
    constraints = output.with_suffix(".constraints")
    installed = importlib.metadata.distributions()
    lines = sorted({f"{d.metadata['Name']}=={d.version}\n" for d in installed})
    constraints.write_text("".join(lines), encoding="utf-8")
    return ["--constraints", str(constraints), *requirements]
