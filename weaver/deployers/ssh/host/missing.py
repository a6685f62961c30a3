"""What of a release is not on the host yet. Writes nothing unless it is told to announce."""

from __future__ import annotations

import os
import time
import zlib
from typing import Any

from weaver.deployers.ssh.host.deploy_token import check
from weaver.deployers.ssh.host.place import Fault, Place, locked, write_json

_ROOM = 5  # an installed release takes this many times the size of its PEX
_FILES = 2000  # in an installed release


def missing(
    place: Place, app: str, build_id: str, parcel: dict[str, Any], announce: bool, token: str = ""
) -> dict[str, Any]:
    """The numbers of the chunks that are absent.

    `parcel` has the size of the file, how to restore it, and the digests of its chunks, as one
    string of `width` digits each. Announced, the release exists, and its chunks are not pruned.
    """
    release, folder = place.release(build_id), place.app(app)
    check(folder, token)
    size, chunks, width = parcel["size"], parcel["chunks"], parcel["width"]
    digests = [chunks[at : at + width] for at in range(0, len(chunks), width)]
    complete = (release / "app.pex").is_file()
    python = release / "venv" / "bin" / "python"
    installed = python.exists()
    blobs = place.blobs.iterdir() if place.blobs.is_dir() else ()
    present = {blob.name for blob in blobs}
    absent = [] if complete else [n for n, digest in enumerate(digests) if digest not in present]
    needed = 0 if complete else size + size * len(absent) // max(len(digests), 1)
    _check_room(place, needed + (0 if installed else size * _ROOM), len(absent), installed)
    if announce and not (complete and (release / "release.json").is_file()):
        known = {"app": app, "build_id": build_id, "size": size, "time": time.time()}
        known.update(chunks=digests, inflated=parcel["inflated"], restoring=parcel["restoring"])
        with place.using(), locked(release / "lock"):
            write_json(release / "release.json", known)
    found = {"missing": absent, "complete": complete, "installed": installed}
    return dict(found, python=str(python), zlib=zlib.ZLIB_RUNTIME_VERSION)


def _check_room(place: Place, needed: int, files: int, installed: bool) -> None:
    where = place.root
    while not where.is_dir():
        where = where.parent
    found = os.statvfs(where)
    free = found.f_bavail * found.f_frsize
    if needed and free < needed:
        raise Fault(
            "full",
            "the disk is too full for this release",
            str(place.root),
            f"it needs about {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free",
            "remove files there, or old releases: weaver prune; or choose another place with dir=",
        )
    files += 0 if installed else _FILES
    if needed and found.f_files and found.f_favail < files:
        raise Fault(
            "full",
            "the disk has too few inodes left for this release",
            str(place.root),
            f"it needs about {files}, and {found.f_favail} are free",
            "remove files there, or old releases: weaver prune; or choose another place with dir=",
        )
