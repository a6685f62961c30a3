"""How far a deploy is on each host: a live table on a terminal, else a line for each step."""

import sys
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import click

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from weaver.errors import WeaverError

PER_SECOND = 10


class HostTable:
    """Follows a deploy for a person; use it as a context manager. Safe for several threads."""

    def __init__(self, hosts: Sequence[str], *, quiet: bool) -> None:
        self._quiet = quiet
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._steps: dict[str, tuple[str, str]] = dict.fromkeys(hosts, ("waiting", ""))
        self._width = max((len(host) for host in hosts), default=0)
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True, highlight=False)
            self._live = Live(
                get_renderable=self._table, console=console, refresh_per_second=PER_SECOND
            )
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def step(self, host: str, step: str, detail: str = "") -> None:
        """A host does this now."""
        with self._lock:
            former = self._steps.get(host, ("", ""))[0]
            self._steps[host] = (step, detail)
        if self._live is None and not self._quiet and step != former:
            click.echo(f"{host:<{self._width}}  {step}{'  ' + detail if detail else ''}", err=True)

    def failed(self, host: str, error: "WeaverError") -> None:
        """A host takes no further part."""
        self.step(host, "failed", error.what)

    def doing(self, *steps: str) -> tuple[str, ...]:
        """The hosts that do one of these now."""
        with self._lock:
            return tuple(host for host, (step, _) in self._steps.items() if step in steps)

    def _table(self) -> "Table":
        from rich.markup import escape
        from rich.table import Table

        seconds = time.monotonic() - self._began
        table = Table("HOST", "STEP", f"{seconds:.1f} s", box=None)
        with self._lock:
            steps = dict(self._steps)
        for host, (step, detail) in steps.items():
            shown = f"[red]{step}[/red]" if step == "failed" else step
            table.add_row(escape(host), shown, f"[dim]{escape(detail)}[/dim]")
        return table
