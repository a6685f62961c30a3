"""Whether a PEX holds everything that the application imports."""

import importlib.metadata
from pathlib import Path

from weaver.packaging.errors import BuildError
from weaver.packaging.imports import Imported, Sources
from weaver.packaging.requirements import COMMAND_LINE_ONLY, has_metadata


def check_complete(sources: Sources, packed: set[str], project: Path) -> list[str]:
    """Compare what the user's code imports with what is packed; returns warnings.

    Raises BuildError for an import at the top of a module that would fail in the PEX. What is
    imported in functions or in a `try` may be missing on purpose: that is a warning.
    """
    missing = [i for i in sources.imported if i.distribution not in packed]
    needed = [i for i in missing if not i.optional]
    if needed:
        raise _undeclared(needed, project)
    return [
        f"{i.where} imports {i.module}, which the project does not require: it is not packed"
        for i in missing
        if i.distribution not in COMMAND_LINE_ONLY
    ]


def _undeclared(needed: list[Imported], project: Path) -> BuildError:
    names = [importlib.metadata.metadata(i.distribution)["Name"] for i in needed]
    listed = ", ".join(sorted(names))
    quoted = ", ".join(f'"{name}"' for name in sorted(names))
    path = project / "pyproject.toml"
    if has_metadata(project):
        return BuildError(
            f"the application imports {listed}, which the project does not require",
            where=needed[0].where,
            why=f"only what {path} requires is packed",
            fix=f"add {quoted} to `dependencies` under [project] in {path}",
        )
    return BuildError(
        f"the project has no metadata, and imports {listed}",
        where=needed[0].where,
        why=f"there is no {path} to say what belongs into the PEX",
        fix=f"write one with [project], a name, a version, and dependencies = [{quoted}]",
    )
