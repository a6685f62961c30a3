"""The differences of two versions as lines for a person. Decides how they look."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

import click

from weaver.packaging.difference import Change

HEADINGS: Final = {
    "weaver": "weaver",
    "python": "Python",
    "component": "components",
    "method": "methods",
    "call": "calls",
    "listener": "listeners",
    "group": "groups",
    "dependency": "dependencies",
    "config": "configuration",
    "file": "files",
}
MOST_FILES: Final = 20
WIDE: Final = 60
"""Columns from which before and after stand on lines of their own, as methods always do."""

_SIGNS: Final = {
    "added": ("+", "green"),
    "removed": ("-", "red"),
    "changed": ("~", "yellow"),
}


def lines_of(changes: Sequence[Change]) -> Iterator[str]:
    """All changes under the headings of their kinds; of many files, the first ones."""
    for kind, group in groupby(changes, key=lambda change: change.kind):
        found = list(group)
        yield click.style(HEADINGS[kind], bold=True)
        most = MOST_FILES if kind == "file" else len(found)
        width = max(len(change.name) for change in found[:most])
        for change in found[:most]:
            yield from _lines(change, width)
        if len(found) > most:
            yield f"  … and {len(found) - most} more files: --json has all"


def summary(changes: Sequence[Change]) -> str:
    """All in one line: `2 methods, 1 dependency and 3 files differ`."""
    kinds = [(kind, len(list(group))) for kind, group in groupby(changes, key=lambda c: c.kind)]
    parts = [_counted(kind, number) for kind, number in kinds]
    if not parts:
        return "nothing differs"
    text = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    alone = len(kinds) == 1 and (kinds[0][1] == 1 or kinds[0][0] in {"weaver", "python"})
    return text + (" differs" if alone else " differ")


def _counted(kind: str, number: int) -> str:
    if kind in {"weaver", "python"}:
        return HEADINGS[kind]
    if kind == "config":
        return f"{number} setting{'' if number == 1 else 's'}"
    return f"{number} {kind if number == 1 else HEADINGS[kind]}"


def _lines(change: Change, width: int) -> Iterator[str]:
    sign, colour = _SIGNS[change.what]
    before, after = change.before, change.after
    name = f"  {click.style(sign, fg=colour)} {change.name:<{width}}"
    if change.what != "changed" or not (before or after):
        yield f"{name}  {before or after}".rstrip()
    elif before == after:  # two secrets
        yield f"{name}  {after} (another one)"
    elif change.kind != "method" and len(before) + len(after) <= WIDE:
        yield f"{name}  {before} -> {after}"
    else:
        yield name.rstrip()
        yield click.style(f"      - {before}", fg="red")
        yield click.style(f"      + {after}", fg="green")
