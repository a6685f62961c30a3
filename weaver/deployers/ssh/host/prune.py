"""Remove releases that nobody needs, then what only they needed.

Decides what is needed: the current release, the good ones last deployed, what runs, and the newest
of all, which may be on its way. A release is moved aside before it is deleted, so that half of one
is never found.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from weaver.deployers.ssh.host.deploy_lock import check_free
from weaver.deployers.ssh.host.deployments import deployments
from weaver.deployers.ssh.host.place import Place
from weaver.deployers.ssh.host.releases import current_of, good_since, known_releases
from weaver.deployers.ssh.host.running import idle, is_running

_ASIDE = ".removed-"
_STARTED = 3600  # seconds until an envelope that was being started surely listens
_OF_ONE_BUILD = ("installed_wheels", "bootstraps", "user_code", "unzipped_pexes")


def prune(
    place: Place, app: str, keep: int, only_tell: bool = False, token: str = ""
) -> dict[str, Any]:
    """Keep `keep` good releases of an application, and at least the current and the previous.

    With `only_tell`, nothing is removed. Returns what is removed, what stays and why, and the
    bytes that were freed.
    """
    if not place.root.is_dir():
        return {"removed": [], "kept": {}, "freed": 0}
    check_free(place.app(app), token)
    with place.using(alone=True):
        needed = _needed(place, app, keep)
        removed: list[str] = []
        for release, known in known_releases(place, app):
            build_id = known["build_id"]
            if build_id in needed:
                continue
            if _remove(place, release, only_tell):
                removed.append(build_id)
            else:
                needed[build_id] = "running"
        freed = 0 if only_tell else _sweep(place)
    return {"removed": removed, "kept": needed, "freed": freed}


def _remove(place: Place, release: Path, only_tell: bool) -> bool:
    """Move a release aside; false if something runs from it."""
    if only_tell:
        return not is_running(release)
    with idle(release) as nothing_runs:
        if nothing_runs:
            release.rename(place.releases / (_ASIDE + release.name))
        return nothing_runs


def _needed(place: Place, app: str, keep: int) -> dict[str, str]:
    """Builds that stay whether they run or not, and why."""
    found = known_releases(place, app)
    good = sorted((-good_since(release), known["build_id"]) for release, known in found)
    order = [build_id for since, build_id in good if since]
    current = current_of(place.app(app))
    previous = [build_id for build_id in order if build_id != current][:1]
    needed = {found[0][1]["build_id"]: "newest"} if found else {}
    needed.update((build_id, "good") for build_id in order[: max(keep, 1)])
    needed.update((build_id, "previous") for build_id in previous)
    if current:
        needed[current] = "current"
    return needed


def _sweep(place: Place) -> int:
    """Delete what no release refers to; returns bytes."""
    freed = 0
    for path in place.releases.glob(_ASIDE + "*"):
        freed += _delete(path)
    remaining = known_releases(place, "")
    chunks = {chunk for _, known in remaining for chunk in known["chunks"]}
    if place.blobs.is_dir():
        freed += sum(_delete(blob) for blob in place.blobs.iterdir() if blob.name not in chunks)
    freed += sum(
        _delete(path)
        for path in (place.root / "compiled").glob("*/*")
        if path.lstat().st_nlink == 1  # bytecode that no release has
    )
    freed += _sweep_run(place)
    return freed + _sweep_pex(place, [release for release, _ in remaining])


def _sweep_run(place: Place) -> int:
    """Delete what deployments have left whose envelope was killed, or whose host lost power."""
    running = deployments(place)
    return sum(
        _delete(folder)
        for folder in (place.root / "run").glob("*/")
        if folder.name not in running and time.time() - folder.stat().st_mtime > _STARTED
    )


def _sweep_pex(place: Place, remaining: Iterable[Path]) -> int:
    """Delete what pex has cached for other builds: what it names by a hash that they do not have.

    Installed releases do not depend on it; it makes the next installation shorter.
    """
    hashes = {found for release in remaining for found in _hashes(release / "app.pex")}
    return sum(
        _delete(path)
        for kind in _OF_ONE_BUILD
        for path in (place.pex / kind).glob("*/*")
        if not hashes.intersection(re.findall("[0-9a-f]{40,64}", path.name))
    )


def _hashes(pex: Path) -> list[str]:
    try:
        with zipfile.ZipFile(str(pex)) as file:
            return re.findall("[0-9a-f]{40,64}", file.read("PEX-INFO").decode())
    except (OSError, KeyError, zipfile.BadZipFile):
        return []


def _delete(path: Path) -> int:
    """Remove a file or a folder; returns its bytes."""
    files = path.rglob("*") if path.is_dir() else [path]
    size = sum(file.lstat().st_size for file in files if file.is_symlink() or file.is_file())
    if path.is_dir():
        shutil.rmtree(str(path))
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    return size
