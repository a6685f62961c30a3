"""What of this machine's environment an application on other hosts must have: values and secrets.

They travel on control sockets only. Nothing of them is an argument, a file of the host or a log.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from weaver.config.configuration import Config
from weaver.config.locate import Path as Keys
from weaver.config.sources import PREFIX, label, variable_name
from weaver.errors import ConfigError, Problem


def forwarded(config: Config, environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The variables that replicas on other hosts need; `folder` is that of weaver.toml.

    Those are the ones that set values of it, those that its secrets name, and the secrets that it
    keeps in files here. Raises ConfigError for all that are missing.
    """
    found = {n: value for n, value in environ.items() if n[: len(PREFIX)].upper() == PREFIX}
    problems: list[Problem] = []
    for path, source in _secrets(config.components, ("components",)):
        match source:
            case {"env": str(name)} if name in environ:
                found[name] = environ[name]
            case {"env": str(name)}:
                problems.append(
                    _problem(config, path, f"variable {name} is not set", f"set {name}")
                )
            case {"file": str(name)} if variable_name(path) not in found:
                try:
                    text = (folder / name).read_text()
                except (OSError, UnicodeDecodeError) as error:
                    why = getattr(error, "strerror", None) or "it is not UTF-8 text"
                    fix = "create it with mode 0600"
                    problems.append(_problem(config, path, f"file {name}: {why}", fix))
                else:
                    found[variable_name(path)] = text.removesuffix("\n").removesuffix("\r")
            case _:
                pass
    if problems:
        raise ConfigError(problems)
    return found


def _secrets(tree: Any, path: Keys) -> Iterator[tuple[Keys, Any]]:
    """The tables that name the source of a secret, with where they stand."""
    if not isinstance(tree, Mapping):
        return
    table = cast("Mapping[str, Any]", tree)
    if len(path) > 2 and set(table) in ({"env"}, {"file"}):
        yield path, table
        return
    for name, value in table.items():
        yield from _secrets(value, (*path, name))


def _problem(config: Config, path: Keys, why: str, fix: str) -> Problem:
    where = config.sources.where(path)
    return Problem(f"{label(path)}: the secret cannot be read", where=where, why=why, fix=fix)
