"""From what a test gives to `weaver_app` to what a manager is told to run."""

import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from weaver.config.configuration import Config
from weaver.config.load import load_mapping
from weaver.control.messages import Application
from weaver.control.restarts import Heartbeats
from weaver.deployers.multiprocess import HOST
from weaver.errors import ConfigError, UsageError
from weaver.manager.hosts import HostSpec
from weaver.manager.placement import Group, anywhere, place, placeable
from weaver.manager.state import Spec
from weaver.proclet.definition import Definition
from weaver.proclet.injection import Injection

BUILD: Final = "test"
"""In place of a build id: replicas import the sources that the test has imported."""

FAKES: Final = "fakes of the test"
"""The group of the fakes: no group of a weaver.toml has such a name by accident."""


def split(tables: Mapping[str, Any]) -> dict[str, Any]:
    """The tables with each component in a group of its own, where they say nothing of it."""
    return {"placement": {"default": "split"}, **tables}


def spec_of(
    definition: Definition,
    tables: Mapping[str, Any],
    *,
    source: str,
    entry: str,
    address: str,
) -> tuple[Spec, Config]:
    """What to run, and the configuration. `address` is where the fakes take calls.

    Raises UsageError for components that another process cannot import, ConfigError for all that is
    wrong with the configuration.
    """
    config = load_mapping(tables, source=source)
    own = [c for c in placeable(definition.graph) if c.name not in definition.fakes]
    problems = Injection(definition.graph, config, hosted=[c.name for c in own]).problems()
    if problems:
        raise ConfigError(problems)
    groups = anywhere(place(config, own, entry))
    if definition.fakes:
        groups[FAKES] = Group(
            components=tuple(definition.fakes), replicas=0, least=0, external=address
        )
    return Spec(
        application=_application(definition, config, tables, source),
        groups=groups,
        hosts={HOST: HostSpec()},
        heartbeats=Heartbeats.hung_after(float(config.app.hung_after)),
        stop_timeout=float(config.app.stop_timeout),
        foreground=True,
        outlives_entry=True,
    ), config


def _application(
    definition: Definition, config: Config, tables: Mapping[str, Any], source: str
) -> Application:
    return Application(
        app=str(config.app.name or "test"),
        version=BUILD,
        deployment=secrets.token_hex(4),
        target="",
        source=source,
        strict_copies=True,
        tables=_as_json(tables, source),
        roots=_names(definition, definition.roots),
        fakes=tuple(definition.fakes),
        path=tuple(str(Path(place or ".").absolute()) for place in sys.path),
    )


def _names(definition: Definition, roots: Sequence[str]) -> tuple[str, ...]:
    """The names by which another process imports the components, roots first."""
    components = definition.graph.components
    found = {name: components[name].cls for name in (*roots, *components)}
    _check_importable(found.values())
    real = [cls for name, cls in found.items() if name not in definition.fakes or name in roots]
    return tuple(f"{cls.__module__}:{cls.__qualname__}" for cls in real)


def _check_importable(classes: Iterable[type[Any]]) -> None:
    for cls in classes:
        if "<locals>" in cls.__qualname__:
            raise UsageError(
                f"{cls.__name__} cannot run in another process: it is defined inside a function",
                where=f"{cls.__module__}.{cls.__qualname__}",
                why="the runner multi imports components by name in the processes it starts",
                fix="define the class at the top of a module, or mark the test with "
                '@pytest.mark.weaver_runners("local", "rpc")',
            )
        if cls.__module__ == "__main__" or cls.__module__.startswith("weaver."):
            raise UsageError(
                f"{cls.__name__} cannot run in another process: no module has it by name",
                where=cls.__module__,
                fix='pass a web application as "package.module:name", and a component of a module',
            )


def _as_json(tables: Mapping[str, Any], source: str) -> str:
    try:
        return msgspec.json.encode(tables, enc_hook=_plain).decode()
    except (TypeError, ValueError) as error:
        raise UsageError(
            "the configuration of this test cannot travel to other processes",
            where=source,
            why=str(error),
            fix="write the values as they would stand in weaver.toml",
        ) from error


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    dump = getattr(value, "model_dump", None)  # a pydantic model
    if dump is not None:
        return dump()
    raise TypeError(f"{type(value).__name__} has no form in weaver.toml")
