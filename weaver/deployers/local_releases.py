"""The releases that are installed on this machine, and which of them nobody needs any more.

Decides that what runs, what was good last, and what was installed last stay. All of them can be
installed again, from the PEX that is kept.
"""

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from weaver.deployers import registry
from weaver.deployers.local_lock import deploying
from weaver.deployers.registry import Record
from weaver.packaging import places
from weaver.packaging.errors import PexError
from weaver.packaging.manifest import MANIFEST, decode

_EXEC: Final = 1.0
"""Seconds in which the processes that are being started have their arguments."""


class Pruned(msgspec.Struct, frozen=True):
    """What was removed; `kept` says why by build id, `freed` is in bytes."""

    removed: tuple[str, ...]
    kept: dict[str, str]
    freed: int


def prune_here(app: str | None, keep: int, *, plan_only: bool = False) -> dict[str, Pruned]:
    """Remove the releases of an application, or of all, but for those of `keep` good versions.

    By application; with `plan_only` nothing is removed. Raises UsageError while one is deployed.
    """
    found: dict[str, list[Path]] = {}
    for release in places.release_of("").glob("*"):
        name = _app(release)
        if name and app in {None, name}:
            found.setdefault(name, []).append(release)
    return {name: _prune(name, found[name], keep, plan_only=plan_only) for name in sorted(found)}


def _prune(app: str, releases: list[Path], keep: int, *, plan_only: bool) -> Pruned:
    with deploying(app):
        kept = reasons(registry.records(app), keep)
        used = set(_used())
        newest = max(releases, key=lambda release: release.stat().st_mtime)
        removed: list[str] = []
        freed = 0
        for release in sorted(releases):
            key = release.name
            if release in used:
                kept.setdefault(key, "runs")
            elif release == newest:
                kept.setdefault(key, "was installed last")
            if key in kept:
                continue
            removed.append(key)
            freed += sum(path.lstat().st_size for path in release.rglob("*") if path.is_file())
            if not plan_only:
                _remove(release)
    present = {release.name for release in releases}
    return Pruned(tuple(removed), {k: why for k, why in kept.items() if k in present}, freed)


def reasons(records: Sequence[Record], keep: int) -> dict[str, str]:
    """Why releases stay, by their folder's name: those that run, and the last good versions."""
    good = sorted((record for record in records if record.good), key=lambda each: -each.good)
    versions = list(dict.fromkeys(record.version for record in good))[:keep]
    kept = {_folder(version): "was good" for version in versions}
    return kept | {_folder(record.version): "runs" for record in records if not record.ended}


def _remove(release: Path) -> None:
    """Remove a release; one of which a part is left, if that is interrupted, counts as none."""
    with contextlib.suppress(OSError):
        (release / "venv").rename(release / "work")  # whoever installs it begins by removing that
    shutil.rmtree(release, ignore_errors=True)


def _folder(version: str) -> str:
    return places.release_of(version).name


def _app(release: Path) -> str:
    """The application of a release; "" for what is none, or is being made."""
    for path in release.glob(f"venv/lib/python*/site-packages/{MANIFEST}"):
        with contextlib.suppress(OSError, PexError):
            return decode(path.read_bytes(), str(path)).app
    return ""


def _used() -> Iterator[Path]:
    """The releases that processes were started from, also for another state directory."""
    root = places.release_of("")
    deadline = time.monotonic() + _EXEC
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            first = Path(program(process, deadline))
            if first.is_relative_to(root):
                yield root / first.relative_to(root).parts[0]


def program(process: Path, deadline: float) -> str:
    """What a process was started as.

    Within execve(2) a process has its executable already and no arguments yet, also when whoever
    starts it has been told that it runs: it is asked again.
    """
    while True:
        arguments = (process / "cmdline").read_bytes()
        if arguments or time.monotonic() > deadline:
            return arguments.partition(b"\0")[0].decode(errors="replace")
        (process / "exe").readlink()  # a thread of the kernel has none: OSError
        time.sleep(0.001)
