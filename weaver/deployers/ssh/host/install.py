"""A release becomes an environment that processes start from in 12 ms: once, under a lock.

The environment is made where it stays, because its scripts name their place; a symbolic link to
it, which appears when all is done, is what makes the release installed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from weaver.deployers.ssh.host.deploy_token import check
from weaver.deployers.ssh.host.place import Fault, Place, locked
from weaver.deployers.ssh.host.receive import sha256

_UNPACK = """
import sys
from pathlib import Path
pex, tree, cache = sys.argv[1:]
sys.path.insert(0, pex)
from weaver.packaging.unpack import unpack
unpack(Path(pex), Path(tree), compiled=Path(cache))
"""


def install(
    place: Place, app: str, build_id: str, patience: float, token: str = ""
) -> dict[str, Any]:
    """Install the release with this Python, unless it is; `patience` is in seconds."""
    check(place.app(app), token)
    place.known(build_id)
    release = place.release(build_id)
    venv = release / "venv"
    python = venv / "bin" / "python"
    with place.using(), locked(release / "lock", patience=patience):
        done = not python.exists()
        if done:
            _verify(release / "app.pex", build_id)
            _check_python(release / "app.pex")
            tree = release / "tree"
            link = release / "venv.part"
            shutil.rmtree(str(tree), ignore_errors=True)  # of an installation that was killed
            with contextlib.suppress(FileNotFoundError):
                link.unlink()
            try:
                _make(place, release / "app.pex", tree, patience)
                link.symlink_to(tree.name)
                link.replace(venv)
            except BaseException:
                shutil.rmtree(str(tree), ignore_errors=True)
                raise
    return {"python": str(python), "done": done}


def _verify(pex: Path, build_id: str) -> None:
    try:
        with pex.open("rb") as file:
            found = sha256(file)
    except FileNotFoundError:
        found = ""
    if found != build_id:
        with contextlib.suppress(FileNotFoundError):
            pex.unlink()
        raise Fault(
            "altered",
            "the file of the release was altered on the host, and is refused",
            str(pex),
            "it does not have the SHA-256 of its build" if found else "it is not there",
            "deploy again: it is sent anew",
        )


def _check_python(pex: Path) -> None:
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    try:
        with zipfile.ZipFile(str(pex)) as file:
            built = json.loads(file.read("weaver_manifest.json")).get("python") or here
    except (KeyError, ValueError, zipfile.BadZipFile):
        return  # pex itself will say what is wrong
    if built != here:
        raise Fault(
            "python",
            "the release does not run on this Python",
            sys.executable,
            f"it was built for Python {built}, and this is Python {here}",
            f"set python= for the host, or build it with Python {here}",
        )


def _make(place: Place, pex: Path, tree: Path, patience: float) -> None:
    """By the code that the PEX brings for this, which takes a quarter of the time; else by pex."""
    cache = place.root / "compiled"
    said = _run(
        [sys.executable, "-I", "-c", _UNPACK, str(pex), str(tree), str(cache)], {}, patience
    )
    if said is None:
        return
    shutil.rmtree(str(tree), ignore_errors=True)
    tools = {"PEX_TOOLS": "1", "PEX_ROOT": str(place.pex)}
    said = _run([sys.executable, str(pex), "venv", "--compile", str(tree)], tools, patience)
    if said is not None:
        if "No space left" in said or "Errno 28" in said or "quota exceeded" in said:
            raise OSError(28, "No space left on device", str(tree))
        raise _failed(pex, said)


def _run(command: list[str], variables: dict[str, str], patience: float) -> str | None:
    """The last lines of a command that failed, or None; raises Fault where it takes too long."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PEX_", "PYTHON"))}
    environment.update(variables)
    with subprocess.Popen(  # noqa: S603 - our own commands
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            _, said = process.communicate(timeout=patience)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                late = f"it has not ended within {patience:.0f} seconds"
                raise _failed(Path(command[-1]), late) from error
            raise
    if process.returncode == 0:
        return None
    lines = said.decode("utf-8", "replace").strip().splitlines()[-5:]
    return "\n".join(lines) or f"it ended with exit code {process.returncode}"


def _failed(pex: Path, why: str) -> Fault:
    return Fault(
        "install",
        "the release cannot be installed",
        str(pex),
        why,
        "check that this Python has what the build needs: weaver doctor",
    )
