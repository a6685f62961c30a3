"""Everything that is wrong with an application, and what it consists of, without running it."""

import dataclasses
from pathlib import Path

from weaver.application.surroundings import (
    certificate_problems,
    hook_notes,
    hook_problems,
)
from weaver.application.target import Target
from weaver.component.fields import notes_of
from weaver.component.graph import Graph, build_graph
from weaver.component.registry import declaration_of
from weaver.errors import Problem
from weaver.proclet.definition import Fakes, examine
from weaver.proclet.injection import Injection


@dataclasses.dataclass(frozen=True)
class Report:
    """What `weaver check` found; `notes` are hints that do not stop the application."""

    problems: tuple[Problem, ...]
    components: int
    methods: int
    notes: tuple[Problem, ...] = ()


@dataclasses.dataclass(frozen=True)
class Node:
    """One component as `weaver graph` shows it."""

    name: str
    file: str
    methods: tuple[str, ...]
    listeners: tuple[str, ...]
    entry: bool


@dataclasses.dataclass(frozen=True)
class Description:
    """The components and who refers to whom."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]


def check_target(target: Target, *, files: bool = True) -> Report:
    """All definition and config problems of an application. Raises nothing for them.

    `files`: also those of files that are needed where it runs.
    """
    definition, problems = examine(target.roots, Fakes())
    graph = definition.graph if definition else build_graph(target.roots)[0]
    injection = Injection(graph, target.config)
    problems += injection.problems()
    problems += hook_problems(target.config)
    if files:
        problems += certificate_problems(target.config, target.project)
    components = graph.components.values()
    declarations = [d for c in components if (d := declaration_of(c.cls)) is not None]
    return Report(
        problems=tuple(problems),
        components=len(components),
        methods=sum(len(c.methods) for c in components),
        notes=(
            *(note for d in declarations for note in notes_of(d)),
            *hook_notes(target.config),
        ),
    )


def describe_graph(target: Target) -> Description:
    """The graph by short names where they are unambiguous: the entry, then callers first."""
    graph, _ = build_graph(target.roots)
    names = display_names(graph)
    nodes = [
        Node(
            name=names[c.full_name],
            file=_short_path(c.where),
            methods=tuple(m.name for m in c.methods),
            listeners=tuple(f.name for f in c.fields_of("listener")),
            entry=c.cls is target.entry,
        )
        for c in reversed(list(graph.components.values()))
    ]
    nodes.sort(key=lambda node: not node.entry)
    edges = tuple((names[a], names[b]) for a, b in graph.edges())
    return Description(tuple(nodes), edges)


def _short_path(where: str) -> str:
    """A path below the working directory is shown relative to it."""
    return where.removeprefix(f"{Path.cwd()}/")


def display_names(graph: Graph) -> dict[str, str]:
    """Full name to short name, or to itself where two components share the short one."""
    shorts = [c.short_name for c in graph.components.values()]
    return {
        c.full_name: c.short_name if shorts.count(c.short_name) == 1 else c.full_name
        for c in graph.components.values()
    }
