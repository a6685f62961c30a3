"""Finds and imports what an application names: its modules, its entry, all its components.

It judges nothing about components; every way in which an import fails has its words here.
"""

import importlib
import pkgutil
import sys
import traceback
from pathlib import Path
from typing import Any

from weaver.component import registry
from weaver.errors import ComponentError, UsageError, did_you_mean
from weaver.proclet.web_entry import web_entry


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
                fix=_near(error.name)
                or "run in the project's folder, or check the name before the colon",
            ) from error
        raise _import_error(name, error) from error
    except Exception as error:
        raise _import_error(name, error) from error


def _near(name: str) -> str:
    """A module beside the missing one whose name is like it; "" if there is none."""
    package, _, missing = name.rpartition(".")
    places = getattr(sys.modules.get(package), "__path__", ()) if package else sys.path[:1]
    names = [module.name for module in pkgutil.iter_modules(places)]
    near = did_you_mean(missing, names)
    return near.replace('"', f'"{package}.', 1) if package and near.startswith("did") else near


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
        fix = "mend the module"
    return ComponentError(
        f"importing {name} failed: {type(error).__name__}: {error}",
        component=name,
        where=where,
        fix=fix,
    )


def entry_of(found: Any, name: str) -> type[Any]:
    """The entry component: the object itself, or one that serves a web application."""
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


def make_importable(project: Path) -> None:
    """Let modules of a project be imported without installing it."""
    if str(project) not in sys.path:
        sys.path.insert(0, str(project))
