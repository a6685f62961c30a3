"""Whether the components, groups and listeners that a configuration names exist.

Decides how a written name finds its component: by class name, or by full name where two classes
share one. It must not know how components are found or what they hold.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from weaver.config.records import is_table
from weaver.config.schema import Tables
from weaver.config.sources import Sources, Variable, fold, label, table_name, variable_name
from weaver.errors import Problem, did_you_mean


class Directory:
    """The components of an application by every name that may be written for them."""

    def __init__(self, components: Mapping[str, str]) -> None:
        self.full_names = components
        self.by_short: dict[str, list[str]] = {}
        for full, short in components.items():
            self.by_short.setdefault(short, []).append(full)

    def find(self, name: str) -> list[str]:
        """Full names that `name` may mean: one if it is good, several if it is ambiguous."""
        return [name] if name in self.full_names else self.by_short.get(name, [])

    def find_variable(self, variable: Variable) -> list[str]:
        """Full names that a section's variable may mean."""
        key = fold(variable.key)
        for names in (self.full_names, self.by_short):
            found = [name for name in names if key.startswith(f"components__{fold(name)}__")]
            if found:
                return [full for name in found for full in self.find(name)]
        return []

    def suggestions(self) -> list[str]:
        """Names that are valid as they are."""
        return [
            short if len(self.by_short[short]) == 1 else full
            for full, short in self.full_names.items()
        ]


def name_problems(
    tables: Tables, sources: Sources, directory: Directory, listeners: Iterable[str]
) -> list[Problem]:
    """Everything that is named and does not exist, or is named twice."""
    return [
        *_sections(tables, sources, directory),
        *_variables(sources, directory),
        *_groups(tables, sources, directory),
        *_listeners(tables, sources, list(listeners)),
    ]


def host_problems(tables: Tables, sources: Sources, known: Collection[str]) -> list[Problem]:
    """Hosts, groups of hosts and tags that groups name and nobody knows."""
    return [
        Problem(
            f'unknown host "{name}" in {label(path[:3])}',
            where=sources.where(path),
            why="" if known else "there are no hosts",
            fix=did_you_mean(name, known)
            or 'name a host or a group of the hosts file, or "tag:" and a label of it',
        )
        for group, table in tables.groups.items()
        for index, name in enumerate(table.hosts)
        if name not in known and (path := ("groups", group, "hosts", index))
    ]


def _sections(tables: Tables, sources: Sources, directory: Directory) -> Iterable[Problem]:
    claimed: dict[str, str] = {}
    for key, section in tables.components.items():
        where = sources.where(("components", key))
        found = directory.find(key)
        if len(found) == 1:
            first = claimed.setdefault(found[0], key)
            if first != key:
                yield Problem(
                    f"component {found[0]} has two sections",
                    where=where,
                    why=f"the other one is {table_name(('components', first))}",
                    fix="keep one of the two",
                )
            continue
        dotted = _dotted(key, section, directory)
        if dotted:
            yield Problem(
                f'unknown component "{key}" in [components]',
                where=where,
                why=f"without quotes, the dots of {dotted} make nested tables",
                fix=f"quote it: {table_name(('components', dotted))}",
            )
        else:
            yield _not_one(key, found, directory, what="in [components]", where=where)


def _dotted(key: str, section: Mapping[str, Any], directory: Directory) -> str:
    """The full name that nested tables spell, if they do."""
    for inner, value in section.items():
        name = f"{key}.{inner}"
        if name in directory.full_names:
            return name
        found = _dotted(name, value, directory) if is_table(value) else ""
        if found:
            return found
    return ""


def _variables(sources: Sources, directory: Directory) -> Iterable[Problem]:
    for variable in sources.sections:
        where = f"environment {variable.name}"
        found = directory.find_variable(variable)
        if len(found) == 1:
            continue
        if found:
            valid = " or ".join(variable_name(("components", full)) + "__..." for full in found)
            yield Problem(
                f"environment variable {variable.name} may mean several components",
                where=where,
                why=f"candidates: {', '.join(found)}",
                fix=f"write the full name: {valid}",
            )
            continue
        names = {fold(name).upper(): name for name in directory.suggestions()}
        head = variable.key.partition("__")[2].partition("__")[0]
        yield Problem(
            f"environment variable {variable.name} matches nothing",
            where=where,
            why="it must be WEAVER__COMPONENTS__COMPONENT__FIELD, and there is no such component"
            if head.upper() not in names
            else "it names a component, but no field of its section",
            fix=did_you_mean(head, names) if head.upper() not in names else "add __ and the field",
        )


def _groups(tables: Tables, sources: Sources, directory: Directory) -> Iterable[Problem]:
    placed: dict[str, tuple[str, str]] = {}
    for group, table in tables.groups.items():
        for index, name in enumerate(table.components):
            path = ("groups", group, "components", index)
            where = sources.where(path)
            found = directory.find(name)
            if len(found) != 1:
                what = f"in {label(path[:3])}"
                yield _not_one(name, found, directory, what=what, where=where)
                continue
            other, place = placed.setdefault(found[0], (group, where))
            if (other, place) != (group, where) or table.components.index(name) != index:
                yield Problem(
                    f'component "{name}" is in two groups'
                    if other != group
                    else f'component "{name}" is twice in {table_name(path[:2])}',
                    where=where,
                    why=f"it is already in {table_name(('groups', other))} at {place}",
                    fix="name it once",
                )


def _listeners(tables: Tables, sources: Sources, listeners: list[str]) -> Iterable[Problem]:
    known = {fold(name) for name in listeners}
    for name in tables.listeners:
        where = sources.where(("listeners", name))
        if name in listeners or (where.startswith("environment") and fold(name) in known):
            continue
        yield Problem(
            f'unknown listener "{name}" in [listeners]',
            where=where,
            why="" if listeners else "the application has no listeners",
            fix=did_you_mean(name, listeners)
            or "remove it, or add a field of type weaver.Listener",
        )


def _not_one(
    name: str, found: list[str], directory: Directory, *, what: str, where: str
) -> Problem:
    if found:
        valid = " or ".join(f'"{full}"' for full in found)
        return Problem(
            f'component name "{name}" {what} is ambiguous',
            where=where,
            why=f"candidates: {', '.join(found)}",
            fix=f"write the full name: {valid}",
        )
    return Problem(
        f'unknown component "{name}" {what}',
        where=where,
        fix=did_you_mean(name, directory.suggestions()) or "remove it",
    )
