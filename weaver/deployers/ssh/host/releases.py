"""Which releases there are, which one is current, and which have proved good.

A release is good when the deployer says so, after it was seen to serve; never by being installed.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from weaver.deployers.ssh.host.deploy_token import check
from weaver.deployers.ssh.host.place import Fault, Place, locked, read_json, write_json
from weaver.deployers.ssh.host.running import is_running


def make_current(
    place: Place, app: str, build_id: str, good: bool, token: str = ""
) -> dict[str, Any]:
    """Point `current` of an application to an installed release; `good` marks it as good as well.

    Returns the build that was current before, or "".
    """
    folder, release = place.app(app), place.release(build_id)
    check(folder, token)
    if place.known(build_id)["app"] != app or not (release / "venv").exists():
        raise Fault(
            "not installed",
            f"release {build_id[:12]} is not installed for {app}",
            str(release),
            "only an installed release can be current",
            "deploy it again",
        )
    with place.using(), locked(folder / "guard"):
        before = current_of(folder)
        if good:
            write_json(release / "good", {"time": time.time()})
        link = folder / "current.part"
        with contextlib.suppress(FileNotFoundError):
            link.unlink()
        link.symlink_to(Path("..") / ".." / "releases" / build_id)
        link.replace(folder / "current")
    return {"before": before}


def releases(place: Place, app: str) -> list[dict[str, Any]]:
    """All releases of an application, or of all for "", the newest first."""
    return [_described(place, release, known) for release, known in known_releases(place, app)]


def known_releases(place: Place, app: str) -> list[tuple[Path, dict[str, Any]]]:
    """Folders of releases and what is known of them, the newest first."""
    found = [
        (release, known)
        for release in _folders(place)
        for known in [read_json(release / "release.json")]
        if known is not None and app in ("", known["app"])
    ]
    return sorted(found, key=lambda pair: -pair[1]["time"])


def _folders(place: Place) -> Iterator[Path]:
    if place.releases.is_dir():
        yield from (path for path in place.releases.iterdir() if not path.name.startswith("."))


def current_of(app: Path) -> str:
    """The build that is current in the folder of an application, or ""."""
    try:
        return os.path.basename(os.readlink(str(app / "current")))  # noqa: PTH115, PTH119 - 3.8
    except OSError:
        return ""


def good_since(release: Path) -> float:
    """When a release was last marked good, in Unix seconds; 0 if it never was."""
    found = read_json(release / "good")
    return 0.0 if found is None else float(found["time"])


def _described(place: Place, release: Path, known: dict[str, Any]) -> dict[str, Any]:
    files = [path for path in release.rglob("*") if not path.is_symlink() and path.is_file()]
    return {
        "build_id": known["build_id"],
        "app": known["app"],
        "time": known["time"],
        "size": sum(path.stat().st_size for path in files),
        "complete": (release / "app.pex").is_file(),
        "installed": (release / "venv" / "bin" / "python").exists(),
        "good": good_since(release),
        "current": current_of(place.app(known["app"])) == known["build_id"],
        "running": is_running(release),
    }
