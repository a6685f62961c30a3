"""The config section of one component, as an instance of the type its author wrote.

Decides which section and variables belong to a component. It must not know which components exist:
`Config.check_names` has refused names that are wrong or ambiguous.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, cast

import msgspec

from weaver.component.values import Secret
from weaver.config.configuration import Config
from weaver.config.convert import FAILED, Reader, SecretRefused
from weaver.config.leaf import Hook
from weaver.config.locate import Path
from weaver.config.overrides import Overlay
from weaver.config.records import members
from weaver.config.secret import ReadFile, SecretSource
from weaver.config.sources import PREFIX, Sources, Variable, fold, variables_of
from weaver.errors import ConfigError

T = TypeVar("T")

_EMPTY: Mapping[str, str] = MappingProxyType({})


class NoFields(msgspec.Struct, frozen=True):
    """Stands for the config type of a component that has none."""


class Section:
    """What is written for one component: its table with the variables laid over it.

    `secrets` are the names of its secret fields, which stand in the same section.
    """

    def __init__(
        self,
        config: Config,
        component: str,
        short: str,
        type_: Any,
        *,
        secrets: Iterable[str] = (),
        environ: Mapping[str, str] = _EMPTY,
    ) -> None:
        key = component if component in config.components else short
        self.path: Path = ("components", key)
        self.type = type_
        self.secrets = tuple(secrets)
        overlay = Overlay(config.components.get(key, {}), type_, extra=self.secrets)
        known = {found.name: found for found in config.sources.sections}
        known |= {found.name: found for found in variables_of(environ)}
        for variable in known.values():
            head = _head(variable, component) or _head(variable, short)
            if head:
                overlay.add(variable, variable.key[len(head) :], prefix=PREFIX + head)
        self.tree = overlay.tree
        self.problems = overlay.problems
        variables = {(*self.path, *path): found for path, found in overlay.variables.items()}
        whole = config.sources
        self.sources = Sources(whole.file, whole.lines, variables, (), from_code=whole.from_code)

    def read(self, hook: Hook | None, secret: Callable[[Any, Any, Path], Any]) -> Any:
        """The instance. Raises ConfigError with every problem of the section."""
        reader = Reader(self.sources, hook=hook, secret=secret, extra={self.path: self.secrets})
        value = reader.read(self.tree, self.type, self.path)
        problems = self.problems + reader.problems
        if problems or value is FAILED:
            raise ConfigError(problems)
        return value


def build_section(
    config: Config,
    *,
    component: str,
    short: str,
    type_: type[T],
    dec_hook: Hook | None = None,
    secrets: Iterable[str] = (),
    environ: Mapping[str, str] = _EMPTY,
    read_file: ReadFile | None = None,
) -> T:
    """A component's config: its section and variables as an instance of `type_`.

    `component` and `short` are its full and class name. `type_` is a dataclass, msgspec.Struct,
    attrs class or pydantic model; `dec_hook(type, value)` builds types that msgspec does not know.
    `secrets` are the names of the component's own secret fields, which share its section; `environ`
    and `read_file` serve `Secret` fields inside `type_`. Raises ConfigError with every problem.
    """
    section = Section(config, component, short, type_, secrets=secrets, environ=environ)
    source = SecretSource(section.sources, environ, read_file, dec_hook)
    return cast("T", section.read(dec_hook, source))


def check_section(
    config: Config, *, component: str, short: str, secrets: Iterable[str] = ()
) -> None:
    """Check the section of a component without config type: only its secrets may stand there.

    Raises ConfigError with every problem.
    """
    build_section(config, component=component, short=short, type_=NoFields, secrets=secrets)


def secret_value(  # noqa: PLR0917 - the caller has exactly these, in this order
    config: Config,
    component: str,
    short: str,
    field: str,
    type_: Any,
    environ: Mapping[str, str],
    read_file: ReadFile,
) -> Any:
    """The value of a component's secret field, converted to `type_` (what the Secret holds).

    Taken from `WEAVER__COMPONENTS__CART__TOKEN`, else from what the section names:
    `token = { env = "NAME" }` or `token = { file = "path" }`, less one line end. `read_file` gets
    the path as written, which is relative to weaver.toml. Raises ConfigError, which never shows it.
    """
    section = Section(config, component, short, NoFields, secrets=(field,), environ=environ)
    source = SecretSource(section.sources, environ, read_file)
    path = (*section.path, field)
    inner = members(type_)[0]
    try:
        if field not in section.tree:
            raise source.missing(path)
        return source(section.tree[field], _held(inner), path).reveal()
    except SecretRefused as refused:
        raise ConfigError([refused.problem]) from None


def _held(type_: Any) -> Any:
    """What a Secret holds, for those who hand in `Secret[T]` rather than T."""
    if type_ is Secret:
        return str
    return type_.__args__[0] if getattr(type_, "__origin__", None) is Secret else type_


def _head(variable: Variable, name: str) -> str:
    """The part of a variable's key that names the component, if it is this one."""
    head = f"components__{fold(name)}__"
    return variable.key[: len(head)] if fold(variable.key).startswith(head) else ""
