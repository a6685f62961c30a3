"""Which components make up an application, who refers to whom, and in which order they start.

The application is what its roots reach through references. All faults of all its components are
found here in one pass.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from weaver.component import registry
from weaver.component.describe import inspect_component
from weaver.component.fields import is_interface
from weaver.component.model import Component, Field
from weaver.errors import Problem


@dataclasses.dataclass(frozen=True)
class Graph:
    """The components of one application by full name, in start order.

    `references` maps (component, field name) to the component the field refers to. `cycles` lists
    the groups of components that refer to one another, and of one that refers to itself.
    """

    components: Mapping[str, Component]
    references: Mapping[tuple[str, str], str]
    cycles: tuple[tuple[str, ...], ...]

    def targets(self, component: str) -> list[str]:
        """Full names of what a component refers to, without repetition."""
        return list(dict.fromkeys(t for (c, _), t in self.references.items() if c == component))

    def edges(self) -> list[tuple[str, str]]:
        """(caller, callee) for each pair of components joined by a reference."""
        return list(dict.fromkeys((c, t) for (c, _), t in self.references.items()))

    def cycle_of(self, component: str) -> tuple[str, ...]:
        """The cycle a component is part of, or ()."""
        return next((cycle for cycle in self.cycles if component in cycle), ())


@dataclasses.dataclass
class _Building:
    is_faked: Callable[[type[Any]], bool]
    components: dict[str, Component] = dataclasses.field(default_factory=dict[str, Component])
    references: dict[tuple[str, str], str] = dataclasses.field(
        default_factory=dict[tuple[str, str], str]
    )
    problems: list[Problem] = dataclasses.field(default_factory=list[Problem])


def build_graph(
    roots: Iterable[type[Any]], is_faked: Callable[[type[Any]], bool] = lambda _: False
) -> tuple[Graph, list[Problem]]:
    """The graph reached from declared classes, with all problems found on the way.

    A component or interface for which `is_faked` holds is not asked for what it needs itself.
    """
    building = _Building(is_faked)
    waiting = [d for d in map(registry.declaration_of, roots) if d is not None]
    while waiting:
        declaration = waiting.pop(0)
        known = building.components.get(declaration.full_name)
        if known is not None:
            if known.cls is not declaration.cls:
                building.problems.append(_duplicate(known, declaration))
            continue
        component, problems = inspect_component(
            declaration, faked=building.is_faked(declaration.cls)
        )
        building.components[declaration.full_name] = component
        building.problems += problems
        for field in component.fields_of("reference"):
            target = _resolve(component, field, building)
            if target is not None:
                building.references[component.full_name, field.name] = target.full_name
                waiting.append(target)
    _check_listeners(building)
    order, cycles = _start_order(building)
    graph = Graph({name: building.components[name] for name in order}, building.references, cycles)
    return graph, building.problems


def implementations(type_: type[Any], place: str) -> list[registry.Declaration]:
    """The declared components that a reference of this type, written in `place`, may mean."""
    exact = registry.declaration_of(type_)
    if exact is not None:
        return [exact]
    return [
        d for d in registry.declared() if type_ in d.cls.__mro__ and registry.visible_from(d, place)
    ]


def _resolve(
    component: Component, field: Field, building: _Building
) -> registry.Declaration | None:
    if building.is_faked(field.type) and registry.declaration_of(field.type) is None:
        return registry.Declaration(
            field.type, generated_init=False, file="a fake", line=0, frames=()
        )
    problems = building.problems
    found = implementations(field.type, component.full_name)
    if len(found) == 1:
        return found[0]
    subject = f"{component.short_name}.{field.name}: {field.type.__name__}"
    if not found:
        problems.append(
            Problem(
                f"{subject} has no implementation",
                where=component.where,
                why="no imported component inherits it",
                fix=f"write a component that inherits {field.type.__name__}, and import its module",
            )
        )
        return None
    problems.append(
        Problem(
            f"{subject} has more than one implementation",
            where=component.where,
            why="; ".join(f"{d.full_name} ({d.where})" for d in found),
            fix=f"annotate `{field.name}` with the one that is meant, or import only that one",
        )
    )
    return None


def _duplicate(known: Component, other: registry.Declaration) -> Problem:
    return Problem(
        f"two components are both called {known.full_name}",
        where=other.where,
        why=f"the other one is at {known.where}",
        fix="give one of the classes another name",
    )


def _check_listeners(building: _Building) -> None:
    """A listener's name is its address in weaver.toml, so only one component may have it."""
    owners: dict[str, Component] = {}
    for component in building.components.values():
        for field in component.fields_of("listener"):
            other = owners.setdefault(field.name, component)
            if other is not component:
                building.problems.append(
                    Problem(
                        f'two components have a listener called "{field.name}": '
                        f"{other.short_name} and {component.short_name}",
                        where=component.where,
                        why=f"both would use [listeners.{field.name}]",
                        fix=f"rename the field of one, for example `{field.name}_admin`",
                    )
                )


def _start_order(building: _Building) -> tuple[list[str], tuple[tuple[str, ...], ...]]:
    """Referenced components first, those of one cycle together (Tarjan's algorithm)."""
    targets: dict[str, list[str]] = {name: [] for name in building.components}
    for (caller, _), callee in building.references.items():
        targets[caller].append(callee)
    low: dict[str, int] = {}
    stack: list[str] = []
    order: list[str] = []
    cycles: list[tuple[str, ...]] = []

    def visit(name: str) -> None:
        index = low[name] = len(low)
        stack.append(name)
        for callee in targets[name]:
            if callee not in low:
                visit(callee)
            if callee in stack:
                low[name] = min(low[name], low[callee])
        if low[name] == index:
            members = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            order.extend(reversed(members))
            if len(members) > 1 or name in targets[name]:
                cycles.append(tuple(members))

    for name in targets:
        if name not in low:
            visit(name)
    return order, tuple(cycles)


def unknown_component(type_: Any) -> Problem:
    """Why a class given to `weaver.get`, or named as an entry, is no component."""
    shown = getattr(type_, "__qualname__", None) or repr(type_)
    if is_interface(type_):
        return Problem(
            f"{shown} is an interface that no imported component implements",
            fix="import the module of the component that inherits it",
        )
    return Problem(
        f"{shown} is not a component",
        why="only classes declared with @weaver.component can be referred to",
        fix=f"write @weaver.component above `class {shown}`"
        if isinstance(type_, type)
        else "give the class itself, not an instance",
    )
