"""From the text of weaver.toml and the environment to one checked configuration.

Decides the order of the steps: parse, locate, lay the environment over it, convert. It must not
read files, and must not know which components exist.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from weaver.config.configuration import Config
from weaver.config.convert import FAILED, Reader
from weaver.config.locate import Path, locate
from weaver.config.overrides import Overlay
from weaver.config.parse import parse
from weaver.config.records import is_mapping, is_table, record_of
from weaver.config.schema import Tables
from weaver.config.sources import Sources, fold, variables_of
from weaver.errors import ConfigError, Problem


def load(
    text: str, *, source: str = "weaver.toml", environ: Mapping[str, str] = MappingProxyType({})
) -> Config:
    """The configuration that `text` and the `WEAVER__...` variables of `environ` describe.

    `source` is how messages call the file. Raises ConfigError with every problem in it; names of
    components and listeners are checked later, by `Config.check_names`, and the sections of
    components by `build_section`.
    """
    tree, sources, problems = _read(text, source, environ)
    return _build(tree, sources, problems)


def load_what_is_right(
    text: str, *, source: str = "weaver.toml", environ: Mapping[str, str] = MappingProxyType({})
) -> tuple[Config, list[Problem]]:
    """As `load`, but the problems are returned, beside what is left without the values they name.

    With it the rest can be examined in the same run. Raises ConfigError where nothing is left.
    """
    tree, sources, problems = _read(text, source, environ)
    reader = Reader(sources)
    reader.read(tree, Tables, ())
    found = sorted([*problems, *reader.problems], key=_line)
    for path in reader.refused:
        tree = _without(tree, path)
    try:
        return _build(tree, sources), found
    except ConfigError:
        raise ConfigError(found) from None


def _read(
    text: str, source: str, environ: Mapping[str, str]
) -> tuple[dict[str, Any], Sources, list[Problem]]:
    """The tree of all values, where each is from, and the variables that belong nowhere."""
    text = text.removeprefix("\ufeff")
    overlay = Overlay(parse(text, source), Tables)
    variables = variables_of(environ)
    sections = [variable for variable in variables if _is_section(variable.key)]
    for variable in variables:
        if variable not in sections:
            overlay.add(variable, variable.key)
    sources = Sources(source, locate(text), overlay.variables, sections)
    return overlay.tree, sources, list(overlay.problems)


def _without(tree: dict[str, Any], path: Path) -> dict[str, Any]:
    """A tree without the value at a path; a list goes as a whole."""
    if not path or path[0] not in tree:
        return tree
    key, below = str(path[0]), tree[path[0]]
    rest = {name: value for name, value in tree.items() if name != key}
    if len(path) == 1 or not is_table(below):
        return rest
    return rest | {key: _without(below, path[1:])}


def load_mapping(tables: Mapping[str, Any], *, source: str) -> Config:
    """The configuration that a mapping of the form of weaver.toml describes, as tests write it.

    `source` is how messages call the mapping. A section may be an instance of the config type, and
    a secret may stand as it is. Raises ConfigError with every problem in it.
    """
    tree = {key: _own(value) for key, value in tables.items()}
    components = tree.get("components")
    if is_table(components):
        tree["components"] = {name: _fields(section) for name, section in components.items()}
    return _build(tree, Sources(source, dict.fromkeys(_paths(tree), 0), {}, (), from_code=True))


def _build(tree: dict[str, Any], sources: Sources, problems: Iterable[Problem] = ()) -> Config:
    reader = Reader(sources)
    tables = reader.read(tree, Tables, ())
    found = [*problems, *reader.problems]
    if found or tables is FAILED:
        raise ConfigError(sorted(found, key=_line))
    return Config(**msgspec.structs.asdict(tables), sources=sources)


def _own(value: Any) -> Any:
    """Any mapping as the dict that a TOML parser would give."""
    if is_mapping(value):
        return {str(key): _own(item) for key, item in value.items()}
    return value


def _fields(section: Any) -> Any:
    """The section that an instance of a config type stands for."""
    entries = record_of(type(section))
    if entries is None:
        return section
    return {entry.key: getattr(section, entry.attribute) for entry in entries}


def _paths(tree: dict[str, Any], above: Path = ()) -> Iterator[Path]:
    for key, value in tree.items():
        yield (*above, key)
        if is_table(value):
            yield from _paths(value, (*above, key))


def _line(problem: Problem) -> int:
    """For sorting: problems in the order of the file, then those of the environment."""
    line = problem.where.rpartition(":")[2]
    return int(line) if line.isdigit() else sys.maxsize


def _is_section(key: str) -> bool:
    return fold(key).startswith("components__")
