"""Which components share a process: the placement groups of one deployment.

What weaver.toml groups is taken as it is written; what it does not, goes where `[placement]
default` says. Decides the groups' names and what each one holds; it must not know how many
replicas run, nor on which hosts.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from weaver.component.graph import Graph
from weaver.config.configuration import Config
from weaver.config.names import Directory
from weaver.config.schema import GroupTable, ReplicaRange


class Routable(Protocol):
    """A component method, as far as placement asks."""

    @property
    def routed_by(self) -> str | None:
        """The parameter that decides the replica."""
        ...


class Placeable(Protocol):
    """A component, as far as placement asks: one of a PEX's manifest, or of `placeable`."""

    @property
    def name(self) -> str:
        """The full name."""
        ...

    @property
    def short_name(self) -> str:
        """The class name."""
        ...

    @property
    def references(self) -> Sequence[str]:
        """Full names of the components it refers to."""
        ...

    @property
    def listeners(self) -> Sequence[str]:
        """Names of its listeners."""
        ...

    @property
    def methods(self) -> Sequence[Routable]:
        """Its component methods."""
        ...


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """One placement group: what every replica of it hosts, and how many there may be.

    `components` by full name; `entry` is the component with `main`, if it is here; `calls` names
    the groups that they refer to, which may include this one; `listeners` maps names to addresses,
    and `tls` are those that it protects. `routed`: it has methods whose keys are assigned to
    replicas. `external` is the address of a process that nobody here starts and that always takes
    calls, in place of replicas; it is the replica `EXTERNAL`.
    """

    components: tuple[str, ...]
    replicas: int = 1
    least: int = 1
    most: int | None = None
    target_load: float = 0.7
    entry: str = ""
    hosts: tuple[str, ...] = ()
    prefer: str = "any"
    preload: bool = True
    listeners: dict[str, str] = {}
    tls: tuple[str, ...] = ()
    routed: bool = False
    calls: tuple[str, ...] = ()
    external: str = ""


EXTERNAL: Final = "external"
"""The replica id of an external process; those of replicas end in a number."""


class GraphComponent(msgspec.Struct, frozen=True):
    """A component of an imported application, as a `Placeable`."""

    name: str
    short_name: str
    references: tuple[str, ...]
    listeners: tuple[str, ...]
    methods: tuple[Any, ...]


def placeable(graph: Graph) -> list[GraphComponent]:
    """The components of an imported application, for `place`."""
    return [
        GraphComponent(
            component.full_name,
            component.short_name,
            tuple(graph.targets(component.full_name)),
            tuple(field.name for field in component.fields_of("listener")),
            component.methods,
        )
        for component in graph.components.values()
    ]


def place(config: Config, components: Iterable[Placeable], entry: str = "") -> dict[str, Group]:
    """The placement groups by name, those of weaver.toml first.

    `entry` is the full name of the component with `main`. Names in `config` must have been checked
    (`Config.check_names`): unknown ones are left out.
    """
    by_name = {component.name: component for component in components}
    directory = Directory({name: component.short_name for name, component in by_name.items()})
    members: dict[str, tuple[str, ...]] = {}
    for name, table in config.groups.items():
        found = [directory.find(written) for written in table.components]
        members[name] = tuple(names[0] for names in found if len(names) == 1)
    placed = {name for names in members.values() for name in names}
    rest = [name for name in by_name if name not in placed]
    for names in _default_groups(config.placement.default, rest, by_name):
        members[_group_name(names, directory, members)] = names
    home = {component: name for name, names in members.items() for component in names}
    return {
        name: _group(config, config.groups.get(name), [by_name[c] for c in names], entry, home)
        for name, names in members.items()
        if names
    }


def anywhere(groups: Mapping[str, Group]) -> dict[str, Group]:
    """The same groups for one machine, where there are no hosts to choose among."""
    return {name: msgspec.structs.replace(group, hosts=()) for name, group in groups.items()}


def _group(
    config: Config,
    table: GroupTable | None,
    components: list[Placeable],
    entry: str,
    home: Mapping[str, str],
) -> Group:
    table = table or GroupTable(components=())
    written = table.replicas
    scaling = written if isinstance(written, ReplicaRange) else None
    replicas = written.min if isinstance(written, ReplicaRange) else written
    names = tuple(component.name for component in components)
    listeners = [name for component in components for name in component.listeners]
    return Group(
        components=names,
        replicas=replicas,
        least=scaling.min if scaling else 1,
        most=scaling.max if scaling else None,
        target_load=float(scaling.target_load) if scaling else 0.7,
        entry=entry if entry in names else "",
        hosts=table.hosts,
        prefer=table.prefer,
        preload=table.preload,
        listeners={name: str(config.listener(name).address) for name in listeners},
        tls=tuple(name for name in listeners if config.listener(name).tls is not None),
        calls=tuple(sorted({home[r] for c in components for r in c.references if r in home})),
        routed=any(m.routed_by is not None for c in components for m in c.methods),
    )


def _default_groups(
    default: str, rest: list[str], components: Mapping[str, Placeable]
) -> list[tuple[str, ...]]:
    """What no group names: each alone, all together, or by the call graph."""
    if default == "together":
        return [tuple(rest)] if rest else []
    if default == "split":
        return [(name,) for name in rest]
    return _by_call_graph(rest, components)


def _by_call_graph(rest: list[str], components: Mapping[str, Placeable]) -> list[tuple[str, ...]]:
    """A component that only one other one calls shares its process: no call between them travels.

    One that several call, or that a group of weaver.toml calls, stays alone, to be scaled alone.
    """
    callers: dict[str, set[str]] = {name: set() for name in components}
    for component in components.values():
        for target in component.references:
            if target != component.name and target in callers:
                callers[target].add(component.name)
    leader = {name: name for name in rest}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for name in rest:
        if len(callers[name]) == 1:
            (caller,) = callers[name]
            if caller in leader:
                # Two that only call each other have the same leader by then.
                leader[find(name)] = find(caller)
    groups: dict[str, list[str]] = {}
    for name in rest:
        groups.setdefault(find(name), []).append(name)
    return [tuple(names) for names in groups.values()]


def _group_name(names: tuple[str, ...], directory: Directory, taken: Mapping[str, object]) -> str:
    """A component alone gives its group its name; several are called "main"."""
    (first, *more) = names
    short = first.rpartition(".")[2]
    alone = [short] if len(directory.find(short)) == 1 else []
    candidates = ["main", short] if more else alone
    candidates += [first, *(f"{first}.{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in candidates if name not in taken)
