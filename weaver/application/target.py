"""What the user names to run: a component, an existing web application, or a weaver.toml.

This file finds and imports it; it judges nothing about components.
"""

import dataclasses
import importlib
import os
import re
import sys
import traceback
from pathlib import Path
from typing import Any

from weaver.application.web_entry import web_entry
from weaver.component import registry
from weaver.config.configuration import Config
from weaver.config.load import load
from weaver.errors import ComponentError, UsageError, did_you_mean

CONFIG_FILE = "weaver.toml"


@dataclasses.dataclass(frozen=True)
class Target:
    """An imported application: its entry component, its configuration, and its project folder."""

    entry: type[Any]
    config: Config
    project: Path
    name: str

    @property
    def entry_name(self) -> str:
        """The full name of the entry component."""
        return registry.full_name(self.entry)

    @property
    def roots(self) -> list[type[Any]]:
        """The entry, and every other component that importing it declared."""
        return declared_roots(self.entry)


def load_target(target: str | None, *, config: str | None = None) -> Target:
    """Find and import what the user named.

    `target` is `package.module:Name`, the path of a weaver.toml, or None for `./weaver.toml`.
    Raises UsageError for a target that does not exist, ConfigError for a bad weaver.toml, and
    ComponentError when the application's own module fails to import.
    """
    if target is not None and (target.endswith(".toml") or Path(target).is_dir()):
        if config is not None:
            raise UsageError(
                f"two config files are named: {target} and {config}", fix="name one of them"
            )
        config, target = target, None
    path = _config_path(config)
    loaded = config_from(path)
    project = path.parent.resolve() if path else Path.cwd()
    named = target or loaded.app.entry
    if not named:
        raise UsageError(
            "there is nothing to run: no target was given"
            + ("" if path else f", and there is no {CONFIG_FILE} here"),
            where=str(path) if path else str(Path.cwd()),
            fix='name one, as in `weaver run shop.web:Web`, or set `entry = "shop.web:Web"` under '
            "[app] in weaver.toml",
        )
    for name, value in loaded.app.env.items():
        os.environ.setdefault(name, value)
    _importable(project)
    found = import_name(named)
    entry = _entry(found, named)
    return Target(entry, loaded, project, loaded.app.name or re.split(r"[.:]", named)[0])


def config_from(path: Path | None) -> Config:
    """The configuration in a file, or ./weaver.toml if there is one, or the defaults."""
    path = path or _config_path(None)
    if path is None:
        return load("", source=CONFIG_FILE, environ=os.environ)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read",
            why=str(error),
            fix="name a weaver.toml that exists and is UTF-8 text",
        ) from error
    return load(text, source=str(path), environ=os.environ)


def declared_roots(entry: type[Any] | None) -> list[type[Any]]:
    """The entry and all other declared components, less other entries and local classes.

    A component that nobody refers to is still part of the application: it may serve a web handler
    through `weaver.use`, or work in the background.
    """
    roots = [] if entry is None else [entry]
    for declaration in registry.declared():
        cls = declaration.cls
        if cls is not entry and "<locals>" not in cls.__qualname__ and not hasattr(cls, "main"):
            roots.append(cls)
    return roots


def import_name(name: str) -> Any:
    """Import `package.module:attribute`. Raises UsageError or ComponentError with the reason."""
    module_name, colon, attribute = name.partition(":")
    if not colon or not module_name or not attribute:
        raise UsageError(
            f'"{name}" is not a target',
            fix="write `package.module:Name`, or the path of a weaver.toml",
        )
    module = _import_module(module_name)
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            names = [n for n in _names(found) if not n.startswith("_")]
            raise UsageError(
                f'{module_name} has no "{attribute}"',
                where=str(getattr(module, "__file__", module_name)),
                fix=did_you_mean(part, names),
            )
        found = getattr(found, part)
    return found


def _names(module_or_class: Any) -> list[str]:
    owned: dict[str, object] = module_or_class.__dict__
    return list(owned)


def _import_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise UsageError(
                f"there is no module {error.name}",
                why=f"looked in {sys.path[0]} and the installed packages",
                fix="run in the project's folder, or check the name before the colon",
            ) from error
        raise _import_error(name, error) from error
    except Exception as error:
        raise _import_error(name, error) from error


def _import_error(name: str, error: Exception) -> ComponentError:
    frames = [
        f for f in traceback.extract_tb(error.__traceback__)
        if "importlib" not in f.filename and f.filename != __file__
    ]  # fmt: skip
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else name
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        fix = f"install what provides {error.name} in this environment, and list it as a dependency"
    else:
        fix = "mend the module; --debug shows the whole traceback"
    return ComponentError(
        f"importing {name} failed: {type(error).__name__}: {error}",
        component=name,
        where=where,
        fix=fix,
    )


def _config_path(config: str | None) -> Path | None:
    if config is None:
        here = Path(CONFIG_FILE)
        return here if here.is_file() else None
    path = Path(config)
    return path / CONFIG_FILE if path.is_dir() else path


def _importable(project: Path) -> None:
    if str(project) not in sys.path:
        sys.path.insert(0, str(project))


def _entry(found: Any, name: str) -> type[Any]:
    if registry.declaration_of(found) is not None:
        entry: type[Any] = found
        return entry
    if isinstance(found, type) or not callable(found):
        raise UsageError(
            f"{name} is neither a component nor a web application",
            why=f"it is {found!r}",
            fix="write @weaver.component above the class, or name an ASGI or WSGI application",
        )
    return web_entry(found, name)
