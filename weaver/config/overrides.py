"""Environment variables laid over the tables of weaver.toml.

Decides which key a variable such as `WEAVER__APP__TIMEOUT` means, from the types of the tables. It
must not convert values: that happens once, with those of the file.
"""

from collections.abc import Iterable
from typing import Any

from weaver.config.locate import Path
from weaver.config.records import is_table, mapping_of, members, record_of, strip
from weaver.config.sources import PREFIX, Variable, fold
from weaver.errors import Problem, did_you_mean


class Overlay:
    """A tree of TOML values in which variables take the place of what they override.

    `extra` are names that are valid at the top although `type_` has no such field.
    """

    def __init__(self, tree: dict[str, Any], type_: Any, *, extra: Iterable[str] = ()) -> None:
        self.tree = _copy(tree)
        self.type = type_
        self.extra = {fold(name): name for name in extra}
        self.variables: dict[Path, Variable] = {}
        self.problems: list[Problem] = []

    def add(self, variable: Variable, key: str, *, prefix: str = PREFIX) -> None:
        """Put a variable where `key` points to, seen from the top; `prefix` is for messages."""
        name = self.extra.get(fold(key))
        found = [name] if name else find(self.type, self.tree, key)
        if isinstance(found, Unknown):
            more = () if found.before else tuple(self.extra)
            self.problems.append(_unknown(variable, found, more, prefix))
            return
        node: Any = self.tree
        for part in found[:-1]:
            if not isinstance(node.get(part), (dict, Variable)):
                node[part] = {}
            node = node[part]
            if isinstance(node, Variable):
                self.problems.append(_contradiction(variable, node))
                return
        previous = node.get(found[-1])
        if isinstance(previous, Variable):
            self.problems.append(_contradiction(variable, previous))
            return
        node[found[-1]] = variable
        self.variables[tuple(found)] = variable


class Unknown:
    """No key is meant: the part that fits nothing, what precedes it, and what would fit there."""

    __slots__ = ("before", "candidates", "part")

    def __init__(self, part: str, before: str, candidates: Iterable[str]) -> None:
        self.part = part
        self.before = before
        self.candidates = tuple(candidates)


def find(type_: Any, tree: Any, key: str, before: str = "") -> list[str] | Unknown:
    """The path that `key` (`GROUPS__FRONT__REPLICAS`) means in a tree of the given type.

    Known names win, longest first, so that a name may itself hold two underscores.
    """
    known, rest_type = _names(type_, tree)
    if known is None:
        return Unknown(key, before, ())
    for name in sorted(known, key=len, reverse=True):
        folded = fold(name)
        if fold(key) == folded:
            return [name]
        if fold(key).startswith(folded + "__"):
            rest = key[len(folded) + 2 :]
            inner = tree.get(name) if is_table(tree) else None
            found = find(known[name], inner, rest, f"{before}{key[: len(folded) + 2]}")
            return found if isinstance(found, Unknown) else [name, *found]
    head, _, rest = key.partition("__")
    if rest_type is None or not head:
        return Unknown(head, before, known)
    if not rest:
        return [head]
    found = find(rest_type, None, rest, f"{before}{head}__")
    return found if isinstance(found, Unknown) else [head.lower(), *found]


def _names(type_: Any, tree: Any) -> tuple[dict[str, Any] | None, Any | None]:
    """The names at one level with their types, and the type of further names if they are free."""
    for member in members(strip(type_)):
        try:
            entries = record_of(member)
        except TypeError:
            continue  # the reader reports annotations that cannot be resolved
        if entries is not None:
            return {entry.key: entry.type for entry in entries}, None
        value_type = mapping_of(member)
        if value_type is not None:
            keys: Iterable[str] = tree if is_table(tree) else ()
            return dict.fromkeys(keys, value_type), value_type
    return None, None


def _unknown(variable: Variable, unknown: Unknown, more: tuple[str, ...], prefix: str) -> Problem:
    valid = (*unknown.candidates, *more)
    names = [f"{prefix}{unknown.before}{fold(name)}".upper() for name in valid]
    why = f'nothing is called "{unknown.part.lower()}" there' if names else "that is not a table"
    return Problem(
        f"environment variable {variable.name} matches nothing",
        where=f"environment {variable.name}",
        why=why,
        fix=did_you_mean(f"{prefix}{unknown.before}{unknown.part}", names)
        or f"unset {variable.name}",
    )


def _contradiction(variable: Variable, other: Variable) -> Problem:
    return Problem(
        f"environment variables {other.name} and {variable.name} set the same value",
        where=f"environment {variable.name}",
        fix="keep one of the two",
    )


def _copy(tree: dict[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if is_table(value) else value for key, value in tree.items()}
