"""A graph of components as text, Mermaid or JSON. Pure: a graph comes in, a string goes out.

This file decides how a graph looks; it knows of graphs only what its protocols say.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol


class Node(Protocol):
    """A component: `name` is unique in the graph, `file` is file:line."""

    @property
    def name(self) -> str:
        """Short, or full where the short one is ambiguous."""
        ...

    @property
    def file(self) -> str:
        """File and line of the class."""
        ...

    @property
    def methods(self) -> Sequence[str]:
        """Names."""
        ...

    @property
    def listeners(self) -> Sequence[str]:
        """Names."""
        ...

    @property
    def entry(self) -> bool:
        """Whether its `main` is the application's."""
        ...


class Graph(Protocol):
    """What the renderers take."""

    @property
    def nodes(self) -> Sequence[Node]:
        """In the order in which they are shown."""
        ...

    @property
    def edges(self) -> Sequence[tuple[str, str]]:
        """(caller, callee): names of nodes."""
        ...


def render_text(graph: Graph) -> str:
    """A tree from the entry down. A component is shown in full where it is met first."""
    lines = list(_Tree(graph).lines())
    return "\n".join(lines) if lines else "no components"


class _Tree:
    def __init__(self, graph: Graph) -> None:
        self.nodes = {node.name: node for node in graph.nodes}
        self.callees: dict[str, list[str]] = {name: [] for name in self.nodes}
        for caller, callee in graph.edges:
            self.callees[caller].append(callee)
        self.called = {callee for _, callee in graph.edges}
        self.shown: set[str] = set()

    def lines(self) -> Iterator[str]:
        entries = [node.name for node in self.nodes.values() if node.entry]
        uncalled = [name for name in self.nodes if name not in self.called]
        # The last group has only what a cycle keeps from being uncalled.
        for name in [*entries, *uncalled, *self.nodes]:
            if name not in self.shown:
                yield from self._branch(name, "", "")

    def _branch(self, name: str, lead: str, indent: str) -> Iterator[str]:
        if name in self.shown:
            yield f"{lead}{name} (above)"
            return
        self.shown.add(name)
        yield lead + _title(self.nodes[name])
        callees = self.callees[name]
        for callee in callees:
            last = callee is callees[-1]
            yield from self._branch(
                callee, indent + ("└── " if last else "├── "), indent + ("    " if last else "│   ")
            )


def _title(node: Node) -> str:
    parts = [node.name]
    if node.methods:
        parts.append(f"({', '.join(node.methods)})")
    if node.entry:
        parts.append("[entry]")
    parts += [f"[listener {listener}]" for listener in node.listeners]
    return " ".join([*parts, node.file] if node.file else parts)


def render_mermaid(graph: Graph) -> str:
    """A Mermaid flowchart: components are boxes, listeners are round."""
    ids = {node.name: f"c{index}" for index, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes:
        own = ids[node.name]
        lines.append(f'    {own}["{_quoted(node.name)}"]')
        for index, listener in enumerate(node.listeners):
            lines.append(f'    {own}l{index}(["{_quoted(listener)}"]) --> {own}')
    lines += [f"    {ids[caller]} --> {ids[callee]}" for caller, callee in graph.edges]
    return "\n".join(lines)


def _quoted(label: str) -> str:
    return label.replace("#", "#35;").replace('"', "#quot;")


def render_json(graph: Graph) -> str:
    """`{"nodes": [{name, file, methods, listeners, entry}], "edges": [{caller, callee}]}`."""
    nodes = [
        {
            "name": node.name,
            "file": node.file,
            "methods": list(node.methods),
            "listeners": list(node.listeners),
            "entry": node.entry,
        }
        for node in graph.nodes
    ]
    edges = [{"caller": caller, "callee": callee} for caller, callee in graph.edges]
    return json.dumps({"nodes": nodes, "edges": edges}, indent=2)


RENDERERS: dict[str, Callable[[Graph], str]] = {
    "text": render_text,
    "mermaid": render_mermaid,
    "json": render_json,
}
