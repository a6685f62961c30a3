"""An application as defined: its graph and method table, with all problems found before it runs."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from weaver.component import registry
from weaver.component.fields import is_interface
from weaver.component.graph import Graph, build_graph, implementations, unknown_component
from weaver.component.model import Component
from weaver.errors import DefinitionError, Problem
from weaver.rpc.methods import MethodTable, compile_table, travel_problems


@dataclasses.dataclass(frozen=True)
class Definition:
    """A definition without problems. `fakes` holds the objects that stand for components."""

    graph: Graph
    table: MethodTable
    fakes: Mapping[str, object]
    roots: tuple[str, ...]


class Fakes:
    """The objects a test puts in place of components, found by type.

    A list entry stands for every component or interface it is an instance of; a mapping says for
    which class each object stands.
    """

    def __init__(self, fakes: Sequence[object] | Mapping[type[Any], object] = ()) -> None:
        self._by_type: dict[type[Any], object] = {}
        self._others: list[object] = []
        if isinstance(fakes, Mapping):
            self._by_type.update(fakes)  # pyright: ignore[reportUnknownArgumentType]
        else:
            self._others.extend(fakes)
        self.used: set[int] = set()

    def find(self, type_: type[Any]) -> object | None:
        """The fake that stands for this component or interface, if any."""
        if registry.declaration_of(type_) is None and not is_interface(type_):
            return None
        found = self._by_type.get(type_)
        if found is None:
            found = next((fake for fake in self._others if isinstance(fake, type_)), None)
        if found is not None:
            self.used.add(id(found))
        return found

    def unused(self) -> list[object]:
        """Fakes that stand for nothing in the application."""
        return [f for f in (*self._by_type.values(), *self._others) if id(f) not in self.used]


class Elsewhere(Fakes):
    """Fakes that another process hosts: `names` are the full names of what they stand for."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self._names = frozenset(names)

    def find(self, type_: type[Any]) -> object | None:
        """Something in place of a fake, which its own process has checked."""
        return _Absent() if registry.full_name(type_) in self._names else None


class _Absent:
    """In place of an object that is in another process."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _no_call


def _no_call() -> None:
    """For methods that are only looked at."""


def define(roots: Iterable[type[Any]], fakes: Fakes | None = None) -> Definition:
    """Put an application together. Raises DefinitionError with every problem there is."""
    definition, problems = examine(roots, fakes or Fakes())
    if definition is None:
        raise DefinitionError(problems)
    return definition


def examine(roots: Iterable[type[Any]], fakes: Fakes) -> tuple[Definition | None, list[Problem]]:
    """The definition, or None and all its problems."""
    classes: list[type[Any]] = []
    problems: list[Problem] = []
    for root in roots:
        found = implementations(root, "") if isinstance(root, type) else []  # pyright: ignore[reportUnnecessaryIsInstance] # untyped callers
        if len(found) == 1:
            classes.append(found[0].cls)
        else:
            problems.append(unknown_component(root))
    graph, found_problems = build_graph(classes, lambda type_: fakes.find(type_) is not None)
    problems += found_problems
    components = list(graph.components.values())
    problems += travel_problems(components)
    problems += _fake_problems(components, fakes)
    if problems:
        return None, problems
    stand_ins = {c.full_name: fakes.find(c.cls) for c in components}
    roots_names = tuple(registry.full_name(cls) for cls in classes)
    return (
        Definition(
            graph=graph,
            table=compile_table(components),
            fakes={name: fake for name, fake in stand_ins.items() if fake is not None},
            roots=roots_names,
        ),
        [],
    )


def _fake_problems(components: list[Component], fakes: Fakes) -> list[Problem]:
    problems: list[Problem] = []
    for component in components:
        fake = fakes.find(component.cls)
        if fake is None:
            continue
        missing = [m.name for m in component.methods if not callable(getattr(fake, m.name, None))]
        if missing:
            problems.append(
                Problem(
                    f"the fake {type(fake).__name__} lacks methods of {component.short_name}: "
                    f"{', '.join(missing)}",
                    fix=f"let it inherit {component.short_name}, or add them",
                )
            )
    return problems + [_unused_fake(fake) for fake in fakes.unused()]


def _unused_fake(fake: Any) -> Problem:
    if isinstance(fake, type):
        return Problem(
            f"the fake {fake.__name__} is a class",
            why="a fake is the object that is called",
            fix=f"give an instance: fakes=[{fake.__name__}()]",
        )
    return Problem(
        f"the fake {type(fake).__name__} stands for no component of the application",
        why="a fake is found by type: it must be an instance of a component or interface",
        fix="let its class inherit the component, or give fakes={Component: fake}",
    )
