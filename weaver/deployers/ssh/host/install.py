"""A release becomes an environment that processes start from in 12 ms: once, by pex's own tools.

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
                _run(place, release / "app.pex", tree, patience)
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


def _run(place: Place, pex: Path, tree: Path, patience: float) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PEX_", "PYTHON"))}
    environment.update(PEX_TOOLS="1", PEX_ROOT=str(place.pex))
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, str(pex), "venv", "--compile", str(tree)],
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
                raise _failed(pex, f"it has not ended within {patience:.0f} seconds") from error
            raise
    if process.returncode:
        lines = said.decode("utf-8", "replace").strip().splitlines()[-5:]
        text = "\n".join(lines) or f"it ended with exit code {process.returncode}"
        if "No space left" in text or "Errno 28" in text or "quota exceeded" in text:
            raise OSError(28, "No space left on device", str(tree))
        raise _failed(pex, text)


def _failed(pex: Path, why: str) -> Fault:
    return Fault(
        "install",
        "the release cannot be installed",
        str(pex),
        why,
        "check that this Python has what the build needs: weaver doctor",
    )
