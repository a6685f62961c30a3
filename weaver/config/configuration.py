"""The effective configuration: the tables, and where each value of them was written.

Decides how other packages ask for values, their origin and their names. It must not know how the
tables were read.
"""

from collections.abc import Iterable, Mapping

from weaver.config.locate import Path
from weaver.config.names import Directory, host_problems, name_problems
from weaver.config.schema import ListenerTable, Tables
from weaver.config.sources import Sources, fold
from weaver.errors import ConfigError


class Config(Tables, frozen=True, kw_only=True):
    """A whole configuration: durations in seconds, sizes in bytes, shares from 0 to 1."""

    sources: Sources

    def provenance(self, path: str | Path) -> str:
        """Where the value at a dotted path was written.

        "weaver.toml:12", "environment WEAVER__APP__TIMEOUT" or "default". A key that itself holds
        a dot is quoted, or the path is given as a tuple of keys.
        """
        return self.sources.provenance(_split(path) if isinstance(path, str) else path)

    def check_names(
        self,
        components: Mapping[str, str],
        listeners: Iterable[str],
        hosts: Iterable[str] | None = None,
    ) -> None:
        """Check every component and listener named here; `components` maps full to short names.

        `hosts` is what groups may name as their hosts, where that is known. Raises ConfigError
        with all problems at once.
        """
        problems = name_problems(self, self.sources, Directory(components), listeners)
        if hosts is not None:
            problems += host_problems(self, self.sources, tuple(hosts))
        if problems:
            raise ConfigError(problems)

    def listener(self, name: str) -> ListenerTable:
        """The settings of a listener; the defaults if nothing is written about it.

        Names that come from the environment are found without regard to case.
        """
        if name in self.listeners:
            return self.listeners[name]
        folded = {
            fold(known): table
            for known, table in self.listeners.items()
            if self.sources.where(("listeners", known)).startswith("environment")
        }
        return folded.get(fold(name), ListenerTable())


def _split(path: str) -> Path:
    """The keys of a dotted path; a quoted one may hold dots."""
    parts: list[str] = []
    for index, piece in enumerate(path.split('"')):
        if index % 2:
            parts.append(piece)
        else:
            parts += [part for part in piece.split(".") if part]
    return tuple(int(part) if part.isdigit() else part for part in parts)
