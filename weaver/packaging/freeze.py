"""Run the pex command line: requirements from an environment, sources from a folder, to one file.

pex is a subprocess because its Python interface is private. This file decides its options, and
says its failures in our words.
"""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from weaver.packaging.errors import BuildError

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


def freeze(
    requirements: Sequence[str], sources: Path, output: Path, *, pex_root: Path
) -> list[str]:
    """Write a PEX to `output`; returns pex's warnings. Raises BuildError and leaves no file.

    Requirements come from the virtual environment of this interpreter, without a network; where
    this is none, from the package index, in the installed versions.
    """
    command = [sys.executable, "-m", "pex", *_from_environment(output, requirements)]
    # Everything below `sources` is packed. It is a folder of ours that holds nothing else: -D of
    # the project itself would pack its .env and .git too.
    command += ["--sources-directory", str(sources), *OPTIONS]
    command += ["--pex-root", str(pex_root), "--output-file", str(output)]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PEX_", "PYTHON"))}
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command,
            env=clean | {"PEX_IGNORE_RCFILES": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=FREEZE_TIMEOUT,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(
            f"pex did not end within {FREEZE_TIMEOUT:.0f} s", fix="is the package index reachable?"
        ) from error
    if done.returncode or not output.is_file():
        raise failure(done.stderr or done.stdout, done.returncode)
    return [line for line in done.stderr.splitlines() if line.strip()]


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
