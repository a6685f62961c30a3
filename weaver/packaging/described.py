"""Ask a fresh interpreter what an application is made of; nothing is imported in this process."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from weaver.errors import ConfigError, DefinitionError, Problem
from weaver.packaging.errors import BuildError
from weaver.packaging.imports import Sources
from weaver.packaging.manifest import Manifest

IMPORT_TIMEOUT = 120.0  # seconds that importing the application may take


class Fault(msgspec.Struct, frozen=True):
    """One problem, as it travels between the two processes."""

    what: str
    where: str = ""
    why: str = ""
    fix: str = ""


class Described(msgspec.Struct, frozen=True):
    """An application's manifest (not yet complete) and sources, or what is wrong with it."""

    manifest: Manifest | None = None
    sources: Sources | None = None
    faults: tuple[Fault, ...] = ()
    kind: str = ""


def describe(config: Path) -> tuple[Manifest, Sources]:
    """Import the application in an interpreter of its own and describe it.

    Raises DefinitionError, ConfigError or BuildError with everything that is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="weaver-") as folder:
        output = Path(folder) / "described"
        command = [sys.executable, "-m", "weaver.application.describe", str(output), str(config)]
        # Of a module's print() the build is not the place; of its failure it is.
        try:
            done = subprocess.run(  # noqa: S603 - our own command
                command,
                cwd=config.parent,
                env=os.environ | {"PYTHONPATH": _paths(config.parent)},
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
                timeout=IMPORT_TIMEOUT,
            )
        except subprocess.TimeoutExpired as error:
            raise BuildError(
                f"importing the application did not end within {IMPORT_TIMEOUT:.0f} s",
                where=str(config),
                fix="let its modules define things only; work belongs into `start` and `main`",
            ) from error
        data = output.read_bytes() if output.is_file() else b""
    if not data:
        raise BuildError(
            f"importing the application ended the process, with exit code {done.returncode}",
            where=str(config),
            why="\n".join((done.stderr or done.stdout).strip().splitlines()[-5:]),
            fix='guard what runs at import with `if __name__ == "__main__":`',
        )
    return _judge(msgspec.json.decode(data, type=Described))


def _paths(project: Path) -> str:
    """Import weaver from where this process does, also when it is not installed."""
    root = str(Path(__file__).parents[2])
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    # A weaver in site-packages is found anyway, and must not come before the user's modules.
    own = [] if root in sys.path[-3:] and "site-packages" in root else [root]
    return os.pathsep.join([str(project), *others, *own])


def _judge(described: Described) -> tuple[Manifest, Sources]:
    if described.manifest is not None and described.sources is not None:
        return described.manifest, described.sources
    faults = [Problem(f.what, where=f.where, why=f.why, fix=f.fix) for f in described.faults]
    if described.kind == "definition":
        raise DefinitionError(faults)
    if described.kind == "config":
        raise ConfigError(faults)
    fault = faults[0]
    raise BuildError(fault.what, where=fault.where, why=fault.why, fix=fault.fix)
