"""Ctrl-C while `weaver deploy --ssh` is at work on hosts: none is waited for.

Decides what is said of what is left there: it is whole, or is made anew by the next deploy.
"""

import contextlib
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Protocol

import click

from weaver.cli.failed_hosts import remember
from weaver.cli.leaving import tell_left

if TYPE_CHECKING:
    from weaver.cli.host_table import HostTable
    from weaver.deployers.ssh.preparation import Preparation


class Steps(Protocol):
    """How far a deploy is."""

    @property
    def failed(self) -> Mapping[str, str]:
        """Hosts that have failed, and why."""
        ...

    @property
    def starts(self) -> bool:
        """Whether a manager has been started, which goes on by itself."""
        ...


@contextlib.contextmanager
def remembering(
    app: str, work: "Preparation", table: "HostTable", steps: Steps, *, only_told: bool
) -> Generator[None]:
    """Remember which hosts have failed, however a deploy ends; Ctrl-C ends it at once.

    Nothing is remembered of one that `only_told` what it would do.
    """
    names = list(work.hosts)
    try:
        yield
    except KeyboardInterrupt:
        names = []  # how it would have gone on the others, nobody knows
        leave(app, work, table, starts=steps.starts)
        raise
    finally:
        if not only_told:
            remember(app, names, steps.failed)


def leave(app: str, work: "Preparation", table: "HostTable", *, starts: bool) -> None:
    """End the work on all hosts at once, and say on stderr what becomes of it.

    `starts`: a manager has been started, which goes on by itself.
    """
    begun = table.doing("uploading", "installing", "installed")
    installing = table.doing("installing")
    locked = work.leave()
    if starts:
        tell_left(app)
        return
    kept = f"; what {', '.join(begun)} got is not sent again by the next deploy" if begun else ""
    click.echo(f"interrupted: nothing was started{kept}", err=True)
    if installing:
        hosts = ", ".join(installing)
        click.echo(
            f"{hosts}: the installation ends by itself; the next deploy waits for it, or makes it "
            "anew",
            err=True,
        )
    if locked:
        click.echo(
            f"{', '.join(locked)}: the lock could not be given back in time; if the next deploy "
            "is refused: weaver deploy --steal",
            err=True,
        )
