"""Everything a PEX is made from, as one digest: what is unchanged is not built again."""

import hashlib
import importlib.metadata
import os
import platform
import re
import sysconfig
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from weaver.config.schema import PackageTable
from weaver.packaging.errors import BuildError
from weaver.packaging.imports import FirstParty

_NEVER = {"__pycache__", "node_modules"}
_EXTENSION = re.compile(r"\.(?:cpython-|cp|pypy)\d\w*-[^.]+\.(?:so|pyd)$")


def own_files(
    packages: Iterable[FirstParty], project: Path, table: PackageTable
) -> dict[str, Path]:
    """What is packed as sources: the path in the PEX, and the file.

    Packages come with their data files, less hidden ones and what `[package] exclude` names;
    `[package] include` adds further files of the project. Raises BuildError for a pattern that
    names nothing.
    """
    found: dict[str, Path] = {}
    for package in packages:
        path, root = Path(package.path), Path(package.root)
        for file in _below(path) if path.is_dir() else (path,):
            if not _is_excluded(file, project, table.exclude):
                found[file.relative_to(root).as_posix()] = file
    for pattern in table.include:
        _check_pattern(pattern)
        matches = [p for p in sorted(project.glob(pattern)) if p.is_file()]
        if not matches:
            raise BuildError(
                f'nothing matches "{pattern}" of [package] include',
                where=str(project),
                fix="write a pattern relative to the project, such as data/*.json",
            )
        for file in matches:
            if not _is_excluded(file, project, table.exclude):
                found[file.relative_to(project).as_posix()] = file
    return dict(sorted(found.items()))


def digest_of(files: Iterable[tuple[str, bytes]], others: Iterable[bytes]) -> str:
    """One digest over named contents, and other things that a build depends on."""
    digest = hashlib.sha256()
    for name, content in files:
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    for other in others:
        digest.update(len(other).to_bytes(8, "big"))
        digest.update(other)
    return digest.hexdigest()


def interpreter() -> str:
    """What native code in the PEX is built for."""
    return (
        f"{platform.python_implementation()} {platform.python_version()} {sysconfig.get_platform()}"
    )


def environment_digest(distributions: Iterable[str]) -> str:
    """The state of these installed distributions: names, versions and contents by RECORD."""
    digest = hashlib.sha256()
    for name in sorted(distributions):
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            digest.update(f"{name} is gone\n".encode())
            continue
        record = found.read_text("RECORD") or ""
        digest.update(f"{name} {found.version} {len(record)}\n{record}".encode())
    return digest.hexdigest()


def _below(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        name = entry.name
        if name in _NEVER or name.startswith(".") or name.endswith((".pyc", ".pyo")):
            continue
        if _is_for_another_python(name):
            continue
        if entry.is_dir():
            yield from _below(folder / name)
        elif entry.is_file():
            yield folder / name


def _is_for_another_python(name: str) -> bool:
    """Whether a compiled module is one that this interpreter, and so the PEX, cannot load."""
    ours = str(sysconfig.get_config_var("EXT_SUFFIX"))
    return _EXTENSION.search(name) is not None and not name.endswith(ours)


def _is_excluded(file: Path, project: Path, patterns: Collection[str]) -> bool:
    if not patterns or not file.is_relative_to(project):
        return False
    name = file.relative_to(project).as_posix()
    return any(_matches(name, pattern) for pattern in patterns)


def _matches(name: str, pattern: str) -> bool:
    """A pattern matches the whole name, `*` also across slashes; a folder means all below it."""
    folder = pattern.removesuffix("/**").rstrip("/")
    return fnmatch(name, pattern) or name == folder or name.startswith(f"{folder}/")


def _check_pattern(pattern: str) -> None:
    if PurePosixPath(pattern).is_absolute() or ".." in PurePosixPath(pattern).parts:
        raise BuildError(
            f'"{pattern}" of [package] include leaves the project',
            why="what is packed has its place relative to the project",
            fix="name files of the project; [package] project says which folder that is",
        )
