"""Which version a rollback goes to: the one that still runs, or a good one that is kept.

Decides that nobody goes back to a version that was not good. How versions change is a rollout's.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from weaver.cli.deployment import ago
from weaver.cli.versions import known_versions, one_of, short, state
from weaver.deployers import kept_versions, registry
from weaver.deployers.manager_client import is_managed
from weaver.errors import Unreachable, UsageError

if TYPE_CHECKING:
    from weaver.deployers.registry import Record
    from weaver.packaging.build import Built

OVER: Final = frozenset({"retiring", "done", "removing", "withdrawn"})
"""Phases in which only one version is left to serve."""


def back_at_once(record: "Record", word: str | None) -> bool:
    """Whether the version that is meant runs still, so that it only has to be told to serve."""
    from weaver.cli.render_rollout import versions_of
    from weaver.cli.rollout_follow import rollout_of

    if not is_managed(record):
        return False
    try:
        report = rollout_of(record)
    except Unreachable:
        if registry.latest(record).ended:
            return False  # since it was asked
        raise
    _, old = versions_of(report)
    if old is None or report.phase in OVER:
        return False
    return word is None or old.version.startswith(word.lower())


def chosen(record: "Record", word: str | None) -> "Built":
    """The kept version to deploy instead of the one of `record`. Raises UsageError."""
    from weaver.packaging.build import Built
    from weaver.packaging.manifest import read

    known = known_versions(record.app)
    good = good_ones(record)
    if word is None:
        if not good:
            raise UsageError(
                f"there is no version of {record.app} to go back to",
                where=f"{short(record.version)} runs",
                why="no other one has served as it should, or none is kept any more",
                fix="see: weaver history; deploy an older revision: weaver deploy",
            )
        version = good[0].version
    else:
        version = one_of(word, known)
        _refuse(record, version, known[version], good)
    path = kept_versions.kept(record.app)[version]
    return Built(path, version, read(path), fresh=False)


def folder_of(record: "Record") -> Path | None:
    """Where the manager of a deployment runs: the folder that its weaver.toml's paths are of."""
    try:
        folder = Path(f"/proc/{record.pid}/cwd").readlink()
    except OSError:
        return None
    return folder if folder.is_dir() else None


def good_ones(record: "Record") -> "list[Record]":
    """Other versions that have served as they should and are kept, the latest first."""
    kept = kept_versions.kept(record.app)
    found: dict[str, Record] = {}
    for other in sorted(registry.records(record.app), key=lambda each: each.good):
        if other.good and other.version in kept and other.version != record.version:
            found[other.version] = other
    return sorted(found.values(), key=lambda each: -each.good)


def _refuse(record: "Record", version: str, wanted: "Record", good: "Sequence[Record]") -> None:
    if version == record.version:
        raise UsageError(f"{record.app} {short(version)} runs already")
    if any(other.version == version for other in good):
        return
    now = time.time()
    listed = ", ".join(f"{short(r.version)} ({ago(now - r.good)} ago)" for r in good) or "none"
    was_good = any(r.good for r in registry.records(record.app) if r.version == version)
    if was_good:
        what, why = f"version {short(version)} is not kept any more", ""
        fix = "deploy its revision again: weaver deploy"
        if wanted.revision:
            fix = f"deploy revision {wanted.revision[:12]} again: weaver deploy"
    else:
        taken_back = wanted.result in {"withdrawn", "rolled back", "aborted"}
        ended = "was taken back" if taken_back else "has never served as it should"
        what = f"version {short(version)} {ended}"
        fault = f": {wanted.fault.what}" if wanted.fault is not None else ""
        fault = fault.replace(wanted.deployment, short(version))
        why = f"it ended as {state(wanted)}{fault}"
        fix = "name a good one; or deploy it again as any new version: weaver deploy"
    raise UsageError(
        f"{record.app} cannot go back: {what}",
        why="; ".join(filter(None, (why, f"good versions: {listed}"))),
        fix=fix,
    )
