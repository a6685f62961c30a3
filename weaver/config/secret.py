"""Where a secret's value comes from: the environment or a file, never weaver.toml itself.

Decides which sources count and words what is wrong with them. No message made here holds a value.
It must not open files: the caller passes `read_file`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from weaver.component.values import Secret
from weaver.config.convert import SecretRefused
from weaver.config.leaf import Hook, Mismatch, convert_leaf, expected
from weaver.config.locate import Path
from weaver.config.records import is_table, members
from weaver.config.sources import Sources, Variable, dotted, label, table_name, variable_name
from weaver.errors import Problem

ReadFile = Callable[[str], str]
"""Gives the text of a file named in weaver.toml, relative to it. May raise OSError."""


class SecretSource:
    """Finds and converts secrets; call it with what is written at a path."""

    def __init__(
        self,
        sources: Sources,
        environ: Mapping[str, str],
        read_file: ReadFile | None,
        hook: Hook | None = None,
    ) -> None:
        self.sources = sources
        self.environ = environ
        self.read_file = read_file
        self.hook = hook

    def __call__(self, value: Any, type_: Any, path: Path) -> Secret[Any]:
        """The secret that `value` (a variable or a table naming the source) leads to.

        Raises SecretRefused.
        """
        if isinstance(value, Secret):
            return value  # pyright: ignore[reportUnknownVariableType] - handed in by a test
        return Secret(self._convert(*self._text(value, path), type_, path))

    def missing(self, path: Path) -> SecretRefused:
        """The refusal of a secret that is written nowhere."""
        return self._refuse(
            f"{dotted(path[:-1])}: secret `{path[-1]}` is missing", path, _ways(path)
        )

    def _text(self, value: Any, path: Path) -> tuple[Any, str]:
        """What is written for the secret, and where it was found."""
        if isinstance(value, Variable):
            return value.raw, f"environment variable {value.name}"
        match value:
            case {"env": str(name), **rest} if not rest:
                if name not in self.environ:
                    what = f"{label(path)}: environment variable {name} is not set"
                    raise self._refuse(what, path, f"set {name}, or {_ways(path)}")
                return self.environ[name], f"environment variable {name}"
            case {"file": str(name), **rest} if not rest:
                return self._file(name, path), f"file {name}"
            case _ if self.sources.from_code and not is_table(value):
                return value, self.sources.file
            case _:
                raise self._refuse(
                    f"{label(path)}: a secret cannot stand in {self.sources.file}"
                    if not is_table(value)
                    else f"{label(path)}: expected {{ env = ... }} or {{ file = ... }}",
                    path,
                    _ways(path),
                    why="that file is shared, packaged and shown; secrets must not be",
                )

    def _file(self, name: str, path: Path) -> str:
        if self.read_file is None:
            raise self._refuse(f"{label(path)}: files cannot be read here", path, _ways(path))
        try:
            text = self.read_file(name)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise self._refuse(
                f"{label(path)}: file {name} cannot be read",
                path,
                f"create it with mode 0600 (paths are relative to {self.sources.file})",
                why=str(reason),
            ) from None
        return text.removesuffix("\n").removesuffix("\r")

    def _convert(self, text: Any, place: str, type_: Any, path: Path) -> Any:
        for choice in members(type_):
            try:
                return convert_leaf(text, choice, self.hook, strict=False)
            except Mismatch:
                continue
        raise self._refuse(f"{label(path)}: {place} does not hold {expected(type_)}", path)

    def _refuse(self, what: str, path: Path, fix: str = "", why: str = "") -> SecretRefused:
        return SecretRefused(Problem(what, where=self.sources.where(path), why=why, fix=fix))


def _ways(path: Path) -> str:
    table = table_name(path[:-1])
    return (
        f"set {variable_name(path)}, or write under {table}: "
        f'{path[-1]} = {{ env = "NAME" }} or {path[-1]} = {{ file = "path" }}'
    )
