"""What the user names to run: a component, an existing web application, or a weaver.toml.

This file finds and imports it; it judges nothing about components.
"""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

from weaver.component import registry
from weaver.config.configuration import Config
from weaver.config.load import load, load_what_is_right
from weaver.errors import ConfigError, Problem, UsageError
from weaver.proclet.importing import declared_roots, entry_of, import_name, make_importable

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


def load_target(
    target: str | None, *, config: str | None = None, faults: list[Problem] | None = None
) -> Target:
    """Find and import what the user named.

    `target` is `package.module:Name`, the path of a weaver.toml, or None for `./weaver.toml`.
    Raises UsageError for a target that does not exist, ConfigError for a bad weaver.toml, and
    ComponentError when the application's own module fails to import. With `faults`, what is wrong
    with weaver.toml is added to them, and the application is loaded with the rest of it.
    """
    if target is not None and (target.endswith(".toml") or Path(target).is_dir()):
        if config is not None:
            raise UsageError(
                f"two config files are named: {target} and {config}", fix="name one of them"
            )
        config, target = target, None
    path = _config_path(config)
    loaded = config_from(path, faults)
    project = path.parent.resolve() if path else Path.cwd()
    named = target or loaded.app.entry
    if not named and faults:  # one of them is that of the entry, or hides it
        raise ConfigError(faults)
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
    make_importable(project)
    try:
        entry = entry_of(import_name(named), named)
    except UsageError as error:
        if error.where or target is not None:
            raise
        where = loaded.provenance("app.entry")
        raise UsageError(error.what, where=where, why=error.why, fix=error.fix) from None
    return Target(entry, loaded, project, loaded.app.name or re.split(r"[.:]", named)[0])


def config_from(path: Path | None, faults: list[Problem] | None = None) -> Config:
    """The configuration in a file, or ./weaver.toml if there is one, or the defaults.

    With `faults`, what is wrong with it is added to them, and what is left is returned.
    """
    path = path or _config_path(None)
    if path is None:
        return load("", source=CONFIG_FILE, environ=os.environ)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read",
            why=getattr(error, "strerror", None) or str(error),
            fix="name a weaver.toml that exists and is UTF-8 text",
        ) from error
    if faults is None:
        return load(text, source=str(path), environ=os.environ)
    loaded, found = load_what_is_right(text, source=str(path), environ=os.environ)
    faults += found
    return loaded


def _config_path(config: str | None) -> Path | None:
    if config is None:
        here = Path(CONFIG_FILE)
        return here if here.is_file() else None
    path = Path(config)
    return path / CONFIG_FILE if path.is_dir() else path
