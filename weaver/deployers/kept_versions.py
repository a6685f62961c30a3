"""The PEX files of deployed versions, kept on the machine that deploys, by their build ids.

Decides where they are and which may go: they are what `weaver diff` compares and `weaver rollback`
starts again. It must not know how a version is started.
"""

import contextlib
import os
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from weaver.deployers import registry
from weaver.deployers.directories import state_directory
from weaver.deployers.registry import Record
from weaver.errors import WeaverError


def keep(app: str, pex: Path, build_id: str) -> Path:
    """Keep a PEX, which appears at once and whole; returns its place. Raises WeaverError."""
    folder = _folder(app)
    path = folder / f"{build_id}.pex"
    part = folder / f".{build_id}.{os.getpid()}"
    try:
        if path.is_file() and path.stat().st_size == pex.stat().st_size:
            return path
        try:
            os.link(pex, part)  # builds are replaced, never written to: the bytes can be shared
        except OSError:
            shutil.copyfile(pex, part)
        part.replace(path)
    except OSError as error:
        raise WeaverError(
            f"version {build_id[:12]} cannot be kept for a rollback",
            where=str(folder),
            why=error.strerror or str(error),
            fix="free some space there, or set XDG_STATE_HOME to a folder that you may write to",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return path


def kept(app: str) -> dict[str, Path]:
    """Build id to PEX of every version that is kept."""
    return {path.stem: path for path in sorted(_folder(app).glob("*.pex"))}


def prune(app: str, most: int) -> tuple[str, ...]:
    """Remove what `most` past versions leave over; returns the build ids that went."""
    found = kept(app)
    gone = superfluous(registry.records(app), found, most)
    for build_id in gone:
        with contextlib.suppress(OSError):
            found[build_id].unlink()
    return gone


def superfluous(
    records: Iterable[Record], build_ids: Collection[str], most: int
) -> tuple[str, ...]:
    """Which versions may go, of those with these ids: never one that runs.

    `records` are oldest first. Of the past ones, the `most` that were deployed last stay, and the
    `most` that were good last: bad ones do not displace what can be gone back to.
    """
    known = list(records)
    running = {record.version for record in known if not record.ended}
    past = [record for record in reversed(known) if record.version not in running]
    latest = list(dict.fromkeys(record.version for record in past))
    good = list(dict.fromkeys(record.version for record in past if record.good))
    stay = {*running, *latest[:most], *good[:most]}
    return tuple(build_id for build_id in build_ids if build_id not in stay)


def _folder(app: str) -> Path:
    return state_directory("versions", registry.safe(app))
