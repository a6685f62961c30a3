"""From TOML values to typed records, all problems at once.

Decides how a value becomes what its annotation says, and words every refusal. It must not know
which table it reads: paths, places and secrets come from the caller.
"""

import typing
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from weaver.component.values import Secret
from weaver.config.leaf import Hook, Mismatch, convert_leaf, expected, options, show
from weaver.config.locate import Path
from weaver.config.records import (
    Entry,
    container_of,
    element_of,
    ignored_keys,
    is_list,
    is_optional,
    is_pydantic,
    is_table,
    mapping_of,
    members,
    record_of,
    strip,
    type_name,
)
from weaver.config.remedy import remedy, remedy_of_variable
from weaver.config.sources import Sources, Variable, dotted, label, table_name, variable_name
from weaver.errors import Problem, did_you_mean

SecretReader = Callable[[Any, Any, Path], Any]
"""`(value, inner type, path) -> Secret`; raises SecretRefused, which never shows the value."""

FAILED: Final = object()
"""Returned for a value whose problem has been recorded."""


class SecretRefused(Exception):
    """A secret that cannot be used, with the problem to report."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


class Reader:
    """Converts one tree of values and collects what is wrong with it in `problems`.

    `refused` are the paths of the values that are: without them, the rest of the tree is right.
    `extra` are keys that are valid at a path although its record has no such field.
    """

    def __init__(
        self,
        sources: Sources,
        *,
        hook: Hook | None = None,
        secret: SecretReader | None = None,
        extra: Mapping[Path, Iterable[str]] = MappingProxyType({}),
    ) -> None:
        self.sources = sources
        self.hook = hook
        self.secret = secret
        self.extra = extra
        self.problems: list[Problem] = []
        self.refused: list[Path] = []

    def read(self, value: Any, type_: Any, path: Path) -> Any:
        """The value as `type_`, or FAILED after recording every problem in it."""
        for choice in map(strip, members(type_)) if value is not None else ():
            if choice is Secret or typing.get_origin(choice) is Secret:
                return self._secret(value, (typing.get_args(choice) or (str,))[0], path)
        if isinstance(value, Variable):
            return self._variable(value, type_, path)
        if is_table(value):
            return self._table(value, type_, path)
        if is_list(value):
            lists = [choice for choice in members(type_) if element_of(choice) is not None]
            if len(lists) == 1:
                return self._list(value, lists[0], path)
        return self._leaf(value, type_, path)

    def _table(self, value: dict[str, Any], type_: Any, path: Path) -> Any:
        known = len(self.problems)
        found = [(choice, self._entries(choice, path)) for choice in members(type_)]
        if len(self.problems) > known:
            return FAILED
        records = [(choice, entries) for choice, entries in found if entries is not None]
        if len(records) == 1:
            choice, entries = records[0]
            return self._record(value, strip(choice), entries, path)
        mappings = [choice for choice in members(type_) if mapping_of(choice) is not None]
        if len(mappings) == 1 and not records:
            inner = mapping_of(mappings[0])
            items = {key: self.read(item, inner, (*path, key)) for key, item in value.items()}
            return FAILED if any(item is FAILED for item in items.values()) else items
        return self._leaf(plain(value), type_, path)

    def _list(self, value: list[Any], type_: Any, path: Path) -> Any:
        element = element_of(type_)
        items = [self.read(item, element, (*path, index)) for index, item in enumerate(value)]
        return FAILED if any(item is FAILED for item in items) else container_of(type_)(items)

    def _record(self, value: dict[str, Any], type_: Any, entries: list[Entry], path: Path) -> Any:
        known = len(self.problems)
        self._unknown_keys(value, type_, entries, path)
        if is_pydantic(type_):
            model = self._pydantic(value, type_, path)
            return FAILED if len(self.problems) > known else model
        fields: dict[str, Any] = {}
        for entry in entries:
            if entry.key in value:
                inner = (*path, entry.key)
                fields[entry.keyword] = self.read(value[entry.key], entry.type, inner)
            elif entry.required:
                self._missing(entry.key, entry.type, path)
        if len(self.problems) > known:
            return FAILED
        try:
            return type_(**fields)
        except (ValueError, TypeError) as error:  # __post_init__ and validators of the user
            return self._fail(f"{label(path)}: {error}", path, fix=_change(path))

    def _pydantic(self, value: dict[str, Any], type_: Any, path: Path) -> Any:
        extra = set(self.extra.get(path, ()))
        try:
            return type_.model_validate({k: plain(v) for k, v in value.items() if k not in extra})
        except ValueError as error:
            details = getattr(error, "errors", None)
            if details is None:
                return self._fail(f"{label(path)}: {error}", path, fix=_change(path))
            for detail in details(include_url=False, include_input=False, include_context=False):
                inner: Path = (*path, *detail["loc"])
                if detail["type"] == "missing":
                    self._missing(str(inner[-1]), None, inner[:-1])
                elif detail["type"] != "extra_forbidden":  # those are reported with a suggestion
                    what = f"{label(inner)}: {detail['msg']}"
                    self._fail(what, inner, fix=_change(inner))
            return FAILED

    def _entries(self, type_: Any, path: Path) -> list[Entry] | None:
        try:
            return record_of(type_)
        except TypeError as error:
            self._fail(f"{label(path)}: {error}", path, fix="define that class in its module")
            return None

    def _variable(self, variable: Variable, type_: Any, path: Path) -> Any:
        """A variable's text read as TOML, or else as text that is converted leniently."""
        trial = Reader(self.sources, hook=self.hook, secret=self.secret, extra=self.extra)
        value = trial.read(variable.parsed, type_, path)
        if not trial.problems:
            return value
        for choice in members(type_):
            try:
                return convert_leaf(variable.raw, choice, self.hook, strict=False)
            except Mismatch:
                continue
        self.problems += trial.problems
        self.refused.append(path)
        return FAILED

    def _leaf(self, value: Any, type_: Any, path: Path) -> Any:
        """A scalar, or whatever else msgspec reads as a whole; the exact type is tried first."""
        if value is None and is_optional(type_):
            return None
        refusals: list[Mismatch] = []
        for choice in sorted(members(type_), key=lambda choice: strip(choice) is not type(value)):
            try:
                return convert_leaf(value, choice, self.hook)
            except Mismatch as mismatch:
                refusals.append(mismatch)
        told = [refusal.reason for refusal in refusals if refusal.reason]
        reason = told[0] if told else f"expected {expected(type_)}"
        fix = did_you_mean(value, options(type_)) if isinstance(value, str) else ""
        fix = fix or self._remedy(value, type_, reason, path)
        if reason.startswith("expected ") and not self._hidden(path):
            reason += f", got {show(value)}"
        return self._fail(f"{label(path)}: {reason}", path, fix=fix)

    def _remedy(self, value: Any, type_: Any, reason: str, path: Path) -> str:
        kind, _, name = self.sources.where(path).partition(" ")
        if kind == "environment":
            return remedy_of_variable(name, type_, reason, self.hook)
        return remedy(value, type_, reason, path, self.hook)

    def _hidden(self, path: Path) -> bool:
        """Whether a value stays out of messages: a component's variable may hold a secret."""
        return path[:1] == ("components",) and self.sources.where(path).startswith("environment")

    def _secret(self, value: Any, type_: Any, path: Path) -> Any:
        if self.secret is None:
            fix = "declare it as a field of the component: `name: weaver.Secret[str]`"
            return self._fail(f"{label(path)}: a secret cannot stand here", path, fix=fix)
        try:
            return self.secret(value, type_, path)
        except SecretRefused as refused:
            self.problems.append(refused.problem)
            self.refused.append(path)
            return FAILED

    def _unknown_keys(
        self, value: dict[str, Any], type_: Any, entries: list[Entry], path: Path
    ) -> None:
        valid = {entry.key for entry in entries} | set(self.extra.get(path, ()))
        ignored = ignored_keys(type_)
        for key, written in value.items():
            if key in valid or ignored is None or key in ignored:
                continue
            inner = (*path, key)
            what = f'unknown key "{key}" in {table_name(path)}'
            if not path:
                what = f"unknown table [{key}]" if is_table(written) else f'unknown key "{key}"'
            self._fail(what, inner, fix=did_you_mean(key, valid) or "remove it")

    def _missing(self, key: str, type_: Any, path: Path) -> None:
        is_component = path[:1] == ("components",)
        owner = dotted(path) if is_component else label(path)
        shown = type_name(strip(type_)) if is_component else expected(type_)
        shown = "" if type_ is None else f" ({shown})"
        name = variable_name((*path, key))
        self._fail(
            f"{owner}: field `{key}`{shown} is missing",
            path,
            fix=f"add `{key} = ...` under {table_name(path)} in {self.sources.file}, or set {name}",
        )

    def _fail(self, what: str, path: Path, *, fix: str = "") -> Any:
        self.problems.append(Problem(what, where=self.sources.where(path), fix=fix))
        self.refused.append(path)
        return FAILED


def _change(path: Path) -> str:
    """The fix of what the checks of a record refuse: they know more than we do."""
    return f"change the values of {label(path)}"


def plain(value: Any) -> Any:
    """A tree whose variables are replaced by what their text says."""
    if isinstance(value, Variable):
        parsed: Any = value.parsed
        return parsed if isinstance(parsed, (str, dict, list)) else value.raw  # pyright: ignore[reportUnknownVariableType] - Any, narrowed
    if is_table(value):
        return {key: plain(item) for key, item in value.items()}
    return value
