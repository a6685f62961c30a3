"""Describe an application for its PEX: `python -m weaver.application.describe OUTPUT [CONFIG]`.

A process of its own, because it imports the application. What it finds, or every problem, is
written to OUTPUT as JSON; what the application prints goes where it always goes.
"""

import inspect
import sys
import sysconfig
from pathlib import Path

import msgspec

from weaver.application.check import check_target, display_names
from weaver.application.target import Target, load_target
from weaver.component.graph import Graph, build_graph
from weaver.component.model import Component, Method
from weaver.config.records import record_of
from weaver.errors import ConfigError, DefinitionError, ProblemsError, WeaverError
from weaver.packaging.described import Described, Fault
from weaver.packaging.imports import find_sources
from weaver.packaging.manifest import (
    Manifest,
    ManifestComponent,
    ManifestMethod,
    ManifestSetting,
)


def main(output: str, config: str) -> None:
    """Import the application and write what it is made of; problems are part of the answer."""
    try:
        described = describe(load_target(config))
    except WeaverError as error:
        described = Described(faults=_faults(error), kind=_kind(error))
    Path(output).write_bytes(msgspec.json.encode(described))


def describe(target: Target) -> Described:
    """The manifest of an imported application and where its sources are."""
    report = check_target(target, files=False)
    if report.problems:
        raise DefinitionError(report.problems)
    graph, _ = build_graph(target.roots)
    entry = str(target.config.app.entry)
    components = tuple(describe_component(graph, c) for c in graph.components.values())
    names = {short: full for full, short in display_names(graph).items()}
    manifest = Manifest(
        weaver="",
        app=str(target.name),
        entry=entry,
        components=components,
        listeners=tuple(sorted({name for c in components for name in c.listeners})),
        groups={
            group: tuple(names.get(name, name) for name in table.components)
            for group, table in target.config.groups.items()
        },
        placement=target.config.placement.default,
    )
    tops = {entry.partition(":")[0].partition(".")[0]}
    tops |= _loaded_from(target.project)
    return Described(manifest=manifest, sources=find_sources(sorted(tops)))


def describe_component(graph: Graph, component: Component) -> ManifestComponent:
    """What the manifest says of one component of `graph`."""
    return ManifestComponent(
        name=component.full_name,
        short_name=component.short_name,
        where=_relative(component.where),
        methods=tuple(
            ManifestMethod(
                name=method.name,
                kind=method.kind,
                signature=str(method.signature),
                routed_by=method.routed_by,
                idempotent=method.idempotent,
                key_type=_key_type(method),
            )
            for method in component.methods
        ),
        references=tuple(graph.targets(component.full_name)),
        listeners=tuple(field.name for field in component.fields_of("listener")),
        settings=_settings(component),
        secrets=tuple(field.name for field in component.fields_of("secret")),
    )


def _key_type(method: Method) -> str:
    if method.routed_by is None:
        return ""
    return inspect.formatannotation(method.signature.parameters[method.routed_by].annotation)


def _settings(component: Component) -> tuple[ManifestSetting, ...]:
    """The fields of the config type."""
    return tuple(
        ManifestSetting(entry.key, inspect.formatannotation(entry.type), entry.required)
        for field in component.fields_of("config")
        for entry in record_of(field.type) or ()
    )


def _relative(where: str) -> str:
    """A place relative to its import root: the same on every machine."""
    roots = sorted(filter(None, sys.path), key=len, reverse=True)
    return next((where.removeprefix(f"{r}/") for r in roots if where.startswith(f"{r}/")), where)


def _loaded_from(project: Path) -> set[str]:
    """Top-level modules that the application has imported from its project folder."""
    installed = Path(sysconfig.get_path("purelib")).resolve()
    found: set[str] = set()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if "." in name or not isinstance(file, str) or name == "__main__":
            continue
        path = Path(file).resolve()
        if path.is_relative_to(project) and not path.is_relative_to(installed):
            found.add(name)
    return found


def _faults(error: WeaverError) -> tuple[Fault, ...]:
    problems = error.problems if isinstance(error, ProblemsError) else (error,)
    return tuple(Fault(p.what, p.where, p.why, p.fix) for p in problems)


def _kind(error: WeaverError) -> str:
    if isinstance(error, DefinitionError):
        return "definition"
    return "config" if isinstance(error, ConfigError) else "build"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
