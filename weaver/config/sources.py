"""Where each value comes from: a line of weaver.toml, an environment variable, or a default.

Decides how a place is named in messages and in `weaver config`. It must not know what the values
mean; it holds environment values, and never shows them.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from weaver.config.locate import Path

PREFIX = "WEAVER__"
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class Variable:
    """One `WEAVER__...` environment variable, before the type of its value is known."""

    __slots__ = ("name", "raw")

    def __init__(self, name: str, raw: str) -> None:
        self.name = name
        self.raw = raw

    @property
    def key(self) -> str:
        """The name after the prefix, in the case it was written."""
        return self.name[len(PREFIX) :]

    @property
    def parsed(self) -> Any:
        """The value read as TOML where that is possible, else the text itself."""
        import tomli  # deferred: most runs have no such variable

        if "\n" in self.raw:
            return self.raw
        try:
            return tomli.loads(f"value = {self.raw}")["value"]
        except tomli.TOMLDecodeError:
            return self.raw

    def __repr__(self) -> str:
        return f"<environment {self.name}>"  # the value may be a secret


class Sources:
    """The origin of every value of one configuration. `Path` parts are keys and element indexes."""

    __slots__ = ("file", "from_code", "lines", "sections", "variables")

    def __init__(
        self,
        file: str,
        lines: Mapping[Path, int],
        variables: Mapping[Path, Variable],
        sections: Iterable[Variable],
        *,
        from_code: bool = False,
    ) -> None:
        self.file = file
        self.lines = lines
        """Line 0 is the whole of a source that has no lines."""
        self.variables = variables
        self.sections = tuple(sections)
        """Variables of component sections, which are matched when the components are known."""
        self.from_code = from_code
        """The values were written in Python, where a secret may stand as it is."""

    def provenance(self, path: Path) -> str:
        """Where the effective value at `path` was written, or "default"."""
        for length in range(len(path), 0, -1):
            variable = self.variables.get(path[:length]) or self._section_variable(path[:length])
            if variable is not None:
                return f"environment {variable.name}"
        if path in self.lines:
            return f"{self.file}:{self.lines[path]}" if self.lines[path] else self.file
        inside = (self.variables[at] for at in self.variables if at[: len(path)] == path)
        return next((f"environment {variable.name}" for variable in inside), "default")

    def where(self, path: Path) -> str:
        """The nearest place to point at for a problem at `path`: the value, or what encloses it."""
        for length in range(len(path), 0, -1):
            place = self.provenance(path[:length])
            if place != "default":
                return place
        return self.file

    def _section_variable(self, path: Path) -> Variable | None:
        """The variable that sets a component's field, by the name at hand or its class name."""
        if len(path) < 3 or path[0] != "components":
            return None
        name = str(path[1])
        fields = "__".join(fold(str(part)) for part in path[2:])
        keys = {f"components__{fold(part)}__{fields}" for part in (name, name.rpartition(".")[2])}
        return next((found for found in self.sections if fold(found.key) in keys), None)

    def __repr__(self) -> str:
        return f"<sources of {self.file}>"


def variables_of(environ: Mapping[str, str]) -> list[Variable]:
    """The `WEAVER__...` variables in order of their names."""
    return [
        Variable(name, environ[name])
        for name in sorted(environ)
        if name[: len(PREFIX)].upper() == PREFIX
    ]


def fold(name: str) -> str:
    """A name as an environment variable can spell it, without case: `shop.Cart` is `shop_cart`."""
    return "".join(char if char.isalnum() else "_" for char in name).lower()


def variable_name(path: Iterable[str | int]) -> str:
    """The environment variable that sets the value at `path`."""
    return PREFIX + "__".join(fold(str(part)).upper() for part in path)


def dotted(path: Path) -> str:
    """A path as TOML writes it: `groups.front.replicas`, with quotes where a key needs them."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += "." + (part if _BARE.fullmatch(part) else f'"{part}"')
    return text.removeprefix(".")


def table_name(path: Path) -> str:
    """`[groups.front]` for a path: how a message names a table."""
    return f"[{dotted(path)}]"


def label(path: Path) -> str:
    """`[groups.front] replicas.min` for a path: how a message names a value."""
    depth = 2 if path[:1] in (("groups",), ("listeners",), ("components",)) else 1
    return f"{table_name(path[:depth])} {dotted(path[depth:])}".rstrip()
