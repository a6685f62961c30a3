"""What a PEX needs from the project's environment, by name.

This file decides which requirements are packed: the project's own, from its metadata, and those of
weaver that an application needs to run. It must not resolve them; pex does.
"""

import importlib.metadata
import json
import re
from collections.abc import Iterable
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

from weaver.errors import did_you_mean
from weaver.packaging.errors import BuildError
from weaver.packaging.imports import normal

WEAVER = "weaver-runtime"
# What only the command line needs: 13 MB that would travel with every application.
COMMAND_LINE_ONLY = frozenset({"pex", "paramiko", "fabric", "rich", "cryptography"})

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_FOR_AN_EXTRA = re.compile(r";.*\bextra\s*==")


def name_of(requirement: str) -> str:
    """The normal name of the distribution that a requirement asks for."""
    found = _NAME.match(requirement)
    return normal(found[1]) if found else ""


def requirements_of(project: Path) -> tuple[str, ...]:
    """All requirements of an application's PEX, sorted; weaver itself travels as sources.

    Raises BuildError for metadata that cannot be read, and for what is not installed.
    """
    found: dict[str, str] = {}
    missing: list[str] = []
    waiting = [*_weavers_own(), *_declared(project)]
    expanded: set[str] = {normal(WEAVER)}
    while waiting:
        requirement = waiting.pop(0)
        name = name_of(requirement)
        if name in expanded:
            continue
        distribution = _installed(name)
        if distribution is None:
            if ";" not in requirement:  # a marker may exclude it here: pex decides
                missing.append(requirement)
                continue
        elif _is_editable(distribution):
            # Its code travels as sources, as the user's own; building a wheel of it takes 14 s.
            expanded.add(name)
            waiting += _runtime(distribution.requires)
            continue
        found[requirement] = name
    if missing:
        raise _not_installed(missing, project)
    return tuple(sorted(found))


def has_metadata(project: Path) -> bool:
    """Whether the project says what it needs."""
    return (project / "pyproject.toml").is_file()


def _weavers_own() -> list[str]:
    distribution = _installed(WEAVER)
    if distribution is None:
        raise BuildError(
            "weaver is not installed in this environment",
            why="it runs from a folder of sources, so its own requirements are not known",
            fix=f"pip install {WEAVER}",
        )
    return [r for r in _runtime(distribution.requires) if name_of(r) not in COMMAND_LINE_ONLY]


def _runtime(requires: Iterable[str] | None) -> list[str]:
    return [requirement for requirement in requires or () if not _FOR_AN_EXTRA.search(requirement)]


def _declared(project: Path) -> list[str]:
    """The requirements in pyproject.toml, or in requirements.txt where there is none."""
    if not has_metadata(project):
        return []
    import tomli

    path = project / "pyproject.toml"
    try:
        text = path.read_text(encoding="utf-8")
        table: Any = tomli.loads(text).get("project", {})
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise BuildError(
            f"{path} cannot be read", where=str(path), why=str(error), fix="mend the file"
        ) from error
    if "dependencies" in table.get("dynamic", ()):
        distribution = _installed(str(table.get("name", "")))
        if distribution is None:
            raise BuildError(
                f"what {table.get('name', 'the project')} needs is known to its build tool only",
                where=str(path),
                why='its dependencies are "dynamic", and it is not installed here',
                fix=f"pip install --editable {project}",
            )
        return _runtime(distribution.requires)
    dependencies: list[str] = table.get("dependencies", [])
    return list(dependencies)


def _installed(name: str) -> Distribution | None:
    try:
        return importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None


def _is_editable(distribution: Distribution) -> bool:
    origin = distribution.read_text("direct_url.json")
    return bool(origin and json.loads(origin).get("dir_info", {}).get("editable"))


def _not_installed(missing: list[str], project: Path) -> BuildError:
    listed = ", ".join(missing)
    verb = "is" if len(missing) == 1 else "are"
    names = [d.metadata["Name"] for d in importlib.metadata.distributions()]
    near = did_you_mean(name_of(missing[0]), names)
    quoted = " ".join(f'"{name}"' for name in missing)
    return BuildError(
        f"{listed} {verb} not installed in this environment",
        where=str(project / "pyproject.toml"),
        why="a PEX is built from what is installed, and the project requires it",
        fix=f"pip install {quoted}" + (f" ({near})" if near.startswith("did") else ""),
    )
