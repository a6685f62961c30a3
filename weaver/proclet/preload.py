"""Imports an application once, so that replicas can be forked from the process that did it.

Nothing here starts a thread, a loop or a connection: a fork would not take them along.
"""

import dataclasses
import os
import sys
from pathlib import Path

import msgspec

from weaver.config.configuration import Config
from weaver.config.load import load as load_config
from weaver.config.load import load_mapping
from weaver.control.messages import Application
from weaver.proclet.definition import Definition, Elsewhere, define
from weaver.proclet.importing import declared_roots, entry_of, import_name, make_importable


@dataclasses.dataclass(frozen=True)
class Preloaded:
    """An imported application; `folder` is that of weaver.toml."""

    definition: Definition
    config: Config
    folder: Path


def load(application: Application) -> Preloaded:
    """Import the application and put it together; the environment has been set before.

    Raises ConfigError, ComponentError, UsageError and DefinitionError.
    """
    for place in application.path:
        if place not in sys.path:
            sys.path.append(place)
    config = _config(application)
    for name, value in config.app.env.items():
        os.environ.setdefault(name, value)
    folder = Path(application.project or ".")
    if application.project:
        make_importable(folder)
    if application.roots:
        roots = [entry_of(import_name(name), name) for name in application.roots]
    else:
        roots = declared_roots(entry_of(import_name(application.target), application.target))
    definition = define(roots, Elsewhere(application.fakes))
    if any(component.fields_of("listener") for component in definition.graph.components.values()):
        from weaver.proclet.http import prepare

        prepare()
    return Preloaded(definition, config, folder)


def _config(application: Application) -> Config:
    if application.tables:
        tables = msgspec.json.decode(application.tables)
        return load_mapping(tables, source=application.source)
    return load_config(application.config, source=application.source, environ=os.environ)
