"""The effective configuration as rows: what `weaver config` shows.

Decides how values look, which are masked, and in which order they come. It must not know how a
terminal or JSON shows them.
"""

import typing
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from weaver.component.model import Component
from weaver.component.values import Secret
from weaver.config.configuration import Config
from weaver.config.locate import Path
from weaver.config.records import is_table, record_of
from weaver.config.schema import Tables
from weaver.config.section import NoFields, Section
from weaver.config.sources import Sources, dotted
from weaver.config.units import Duration, Percent, Size
from weaver.errors import ConfigError, Problem

MASK = "***"


class Row(msgspec.Struct, frozen=True):
    """One effective value. `value` is JSON-able; a secret's is `***`, or None if it is not set."""

    path: str
    value: Any
    provenance: str
    secret: bool = False


def rows(config: Config, components: Sequence[Component] = ()) -> list[Row]:
    """Every effective value with its origin, in the order of the schema, then by component.

    Secrets are not looked up, only where they would come from. Raises ConfigError with all
    problems that `components` show: unknown names, and those in their sections.
    """
    found: list[Row] = []
    for entry in record_of(Tables) or ():
        if entry.key != "components":
            found += _rows(getattr(config, entry.key), (entry.key,), config.sources)
    shorts = Counter(component.short_name for component in components)
    problems = _unknown_names(config, components) if components else []
    for component in components:
        short = component.short_name if shorts[component.short_name] == 1 else component.full_name
        try:
            found += _component_rows(config, component, short)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return found


def _unknown_names(config: Config, components: Sequence[Component]) -> list[Problem]:
    try:
        config.check_names(
            {component.full_name: component.short_name for component in components},
            [field.name for component in components for field in component.fields_of("listener")],
        )
    except ConfigError as error:
        return list(error.problems)
    return []


def _component_rows(config: Config, component: Component, short: str) -> Iterator[Row]:
    secrets = [field.name for field in component.fields_of("secret")]
    type_ = next((field.type for field in component.fields_of("config")), NoFields)
    section = Section(config, component.full_name, short, type_, secrets=secrets)
    yield from _rows(section.read(None, _masked), section.path, section.sources)
    for name in secrets:
        path = (*section.path, name)
        value = MASK if name in section.tree else None
        provenance = section.sources.provenance(path) if value else "missing"
        yield Row(dotted(path), value, provenance, secret=True)


def _masked(_value: Any, _type: Any, _path: Path) -> Secret[Any]:
    return Secret(MASK)


def _rows(value: Any, path: Path, sources: Sources) -> Iterator[Row]:
    for key, inner in _items(value):
        yield from _rows(inner, (*path, key), sources)
    if not is_table(value) and record_of(type(value)) is None:
        secret = isinstance(value, Secret)
        yield Row(dotted(path), _plain(value), sources.provenance(path), secret)


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    if is_table(value):
        return ((str(key), item) for key, item in value.items())
    entries = record_of(type(value)) or ()
    return ((entry.key, getattr(value, entry.attribute)) for entry in entries)


def _plain(value: Any) -> Any:
    """The value as JSON has it; units keep their spelling, unknown types their `str`."""
    if isinstance(value, (Duration, Size, Percent)):
        return value.text
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in typing.cast("Iterable[Any]", value)]
    if isinstance(value, Secret):
        return MASK
    return msgspec.to_builtins(value, enc_hook=str)
