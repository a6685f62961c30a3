"""The version to deploy beside the one that runs: what differs, and what stands against a rollout.

Decides what a deploy refuses and warns of before anything is changed.
"""

from typing import TYPE_CHECKING

import click
import msgspec

from weaver.cli.errors import show_problems
from weaver.cli.versions import short
from weaver.errors import Problem, UsageError
from weaver.packaging.compatibility import Conflict
from weaver.packaging.difference import Change

if TYPE_CHECKING:
    from weaver.packaging.build import Built


class Comparison(msgspec.Struct, frozen=True):
    """`old` is the build id of what runs, or ""; `known`: its PEX is here, so it was compared."""

    old: str = ""
    known: bool = False
    changes: tuple[Change, ...] = ()
    conflicts: tuple[Conflict, ...] = ()


def compare(old: str, built: "Built") -> Comparison:
    """The version that runs, by its build id or "", and the one to deploy. Raises PexError."""
    from weaver.deployers import kept_versions
    from weaver.packaging.compatibility import conflicts
    from weaver.packaging.difference import difference
    from weaver.packaging.snapshot import snapshot

    if not old:
        return Comparison()
    path = kept_versions.kept(built.manifest.app).get(old)
    if path is None:
        return Comparison(old)
    before, after = snapshot(path), snapshot(built.path)
    return Comparison(
        old,
        known=True,
        changes=difference(before, after),
        conflicts=conflicts(before.manifest, after.manifest),
    )


def judge(found: Comparison, built: "Built", *, force: bool) -> None:
    """Show what stands against a rollout. Raises UsageError where users would notice it."""
    if not found.old:
        return
    if not found.known:
        click.echo(
            f"note: the PEX of {short(found.old)}, which runs, is not on this machine: it "
            "is not compared with the new version",
            err=True,
        )
    refused = [c for c in found.conflicts if c.severity == "refuse"]
    show_problems(problems_of(refused), label="warning" if force else "error")
    show_problems(problems_of([c for c in found.conflicts if c not in refused]), label="warning")
    if refused and not force:
        raise UsageError(
            f"{built.manifest.app} {short(built.build_id)} cannot follow "
            f"{short(found.old)} without users noticing",
            why=f"{len(refused)} thing{'s' if len(refused) > 1 else ''} that both share differ"
            f"{'' if len(refused) > 1 else 's'}; nothing was changed",
            fix="see above; --force deploys it all the same, but for listeners that moved",
        )


def problems_of(conflicts: list[Conflict]) -> list[Problem]:
    """Conflicts in the shape of all errors."""
    return [Problem(c.what, where=c.where, why=c.why, fix=c.fix) for c in conflicts]
