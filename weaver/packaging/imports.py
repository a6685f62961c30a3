"""Which of the user's own packages an application is made of, and what they import.

Found by reading the sources, so that imports inside functions count too. It must not import any of
them: the only thing asked of the interpreter is where a name would be found.
"""

import ast
import csv
import importlib.metadata
import importlib.util
import inspect
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec


class FirstParty(msgspec.Struct, frozen=True):
    """A package or module of the user's own, as a path; `root` is the folder it is found in."""

    name: str
    root: str
    path: str


class Imported(msgspec.Struct, frozen=True):
    """A distribution that the user's own code imports, and where it does so first."""

    distribution: str
    module: str
    where: str
    optional: bool = False
    """Whether every import stands in a function, or in a `try`: the code may do without it."""


class Sources(msgspec.Struct, frozen=True):
    """The user's own packages, and the distributions they need to be imported."""

    packages: tuple[FirstParty, ...]
    imported: tuple[Imported, ...]


def normal(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def find_sources(names: Iterable[str]) -> Sources:
    """Follow imports from top-level `names` through everything that is not installed."""
    installed = _installed_roots()
    provided = _provided()
    packages: dict[str, FirstParty] = {}
    imported: dict[str, Imported] = {}
    seen: set[str] = {"weaver", *sys.stdlib_module_names}
    waiting = [(name, "", False) for name in names]
    while waiting:
        name, where, optional = waiting.pop(0)
        if name in provided and name not in packages and name != "weaver":  # it is packed anyway
            known = imported.get(name)
            if known is None or (known.optional and not optional):
                imported[name] = Imported(normal(provided[name].name), name, where, optional)
        if name in seen:
            continue
        seen.add(name)
        package = _locate(name, installed)
        if package is not None:
            packages[name] = package
            imported.pop(name, None)
            waiting += _imports_below(package)
    return Sources(tuple(packages[n] for n in sorted(packages)), tuple(imported.values()))


def _provided() -> dict[str, importlib.metadata.Distribution]:
    """What is installed, by the top-level names that can be imported of it.

    `packages_distributions` finds the same, but parses the metadata of all: 0.1 s for 90 of them.
    """
    found: dict[str, importlib.metadata.Distribution] = {}
    for distribution in importlib.metadata.distributions():
        for name in _top_level_names(distribution):
            found.setdefault(name, distribution)
    return found


def _top_level_names(distribution: importlib.metadata.Distribution) -> set[str]:
    declared = (distribution.read_text("top_level.txt") or "").split()
    if declared:
        return {*declared}
    record = distribution.read_text("RECORD")
    files = [str(file) for file in distribution.files or ()] if record is None else _paths(record)
    tops = {
        path.partition("/")[0] if "/" in path else inspect.getmodulename(path) for path in files
    }
    return {name for name in tops if name and "." not in name}


def _paths(record: str) -> list[str]:
    return [row[0] for row in csv.reader(record.splitlines()) if row]


def python_files(package: FirstParty) -> list[Path]:
    """The Python files of a package or module, sorted."""
    path = Path(package.path)
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _installed_roots() -> tuple[Path, ...]:
    keys = ("purelib", "platlib", "stdlib", "platstdlib")
    return tuple({Path(sysconfig.get_path(key)).resolve() for key in keys})


def _locate(name: str, installed: tuple[Path, ...]) -> FirstParty | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    found = folders[0] if folders else spec.origin
    if not found or not Path(found).exists():
        return None
    path = Path(found).resolve()
    if any(path.is_relative_to(root) for root in installed):
        return None
    return FirstParty(name, str(path.parent), str(path))


def _imports_below(package: FirstParty) -> list[tuple[str, str, bool]]:
    found: dict[tuple[str, bool], str] = {}
    for path in python_files(package):
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):  # a template or a fixture, or reported by the import
            continue
        for name, line, optional in _imports(tree.body):
            found.setdefault((name, optional), f"{path}:{line}")
    return [(name, where, optional) for (name, optional), where in found.items()]


def _imports(
    body: Iterable[ast.stmt], *, optional: bool = False
) -> Iterator[tuple[str, int, bool]]:
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], node.lineno, optional
        elif isinstance(node, ast.ImportFrom):
            if node.module and not node.level:
                yield node.module.partition(".")[0], node.lineno, optional
        else:
            # Within a class or a `with` an import is as firm as at the top; elsewhere it may never
            # be carried out.
            firm = isinstance(node, (ast.ClassDef, ast.With))
            inner = [child for child in ast.walk(node) if child is not node]
            statements = [n for n in inner if isinstance(n, (ast.Import, ast.ImportFrom))]
            yield from _imports(statements, optional=optional or not firm)
