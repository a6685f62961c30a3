"""What `weaver doctor` asks for, and how its findings look."""

import contextlib
import itertools
import json
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from weaver.cli.errors import FAILED, as_problem, show_problems
from weaver.errors import Problem, ProblemsError, WeaverError

if TYPE_CHECKING:
    from weaver.deployers.ssh.connection import Connection
    from weaver.deployers.ssh.inventory import Host
    from weaver.deployers.ssh.preflight.findings import Finding
    from weaver.deployers.ssh.preflight.judge import Examined
    from weaver.deployers.ssh.preflight.needs import Needs

# Of these it is worth reading what was found when nothing is wrong.
_TELLING: Final = ("python", "system", "disk", "clock", "weaver")
_WORDS: Final = {"ok": "[green]ok[/green]", "warn": "[yellow]warn[/yellow]"}


def needs_and_faults(app: Path | None, *, as_json: bool) -> "tuple[Needs, list[Problem]]":
    """What an application needs, built first if it is none yet; and why it cannot be built.

    The hosts are examined all the same then, for what every application needs.
    """
    from weaver.deployers.ssh.preflight.needs import Needs, needs_of

    if app is None and not Path("weaver.toml").is_file():
        return Needs(), []

    def say(text: str) -> None:
        if not as_json:
            click.echo(click.style(text, dim=True), err=True)

    try:
        if app is not None and app.is_file() and app.suffix != ".toml":
            from weaver.packaging.manifest import check_whole

            check_whole(app)
            return needs_of(app), []
        from weaver.packaging.build import build

        return needs_of(build(app, progress=say).path), []
    except ProblemsError as error:
        return Needs(), list(error.problems)
    except WeaverError as error:
        return Needs(), [as_problem(error)]


def examine_this_machine(needs: "Needs") -> "Examined":
    """The findings of this machine. Raises WeaverError if it cannot be examined."""
    from weaver.deployers.ssh.preflight.this_machine import examine_here

    return examine_here(needs)


def examine_hosts(
    hosts: "Sequence[Host]", needs: "Needs", *, accept_new: bool
) -> "Sequence[Examined]":
    """The findings of all hosts, asked side by side."""
    from weaver.cli.hosts import ask_passphrase
    from weaver.deployers.ssh.client import Client
    from weaver.deployers.ssh.preflight.run import run_preflight

    client = Client(accept_new=accept_new, ask=ask_passphrase)
    with contextlib.ExitStack() as stack:
        connected: dict[str, Connection] = {}

        def connect(host: "Host") -> "Connection":
            connection = stack.enter_context(client.connect(host))
            connected[host.name] = connection
            return connection

        def dialled(host: "Host") -> str:
            return host.address or connected[host.name].config.hostname

        with _progress(len(hosts)) as told:
            return run_preflight(hosts, connect, needs, told=told, dialled=dialled).hosts


@contextlib.contextmanager
def _progress(count: int) -> "Generator[Callable[[Examined], None]]":
    """Count on the terminal, if there is one, the hosts that have answered."""
    answered = itertools.count(1)
    watched = sys.stderr.isatty()

    def say(text: str) -> None:
        if watched:
            click.echo(f"\r{text:<40}", nl=False, err=True)

    say(f"examining {_count(count, 'host')}")
    try:
        yield lambda _: say(f"{next(answered)} of {count} have answered")
    finally:
        say("")
        if watched:
            click.echo("\r", nl=False, err=True)


def show(examined: "Sequence[Examined]", faults: Sequence[Problem], *, as_json: bool) -> int:
    """Print findings and what to do about them; the exit code."""
    found = [each for host in examined for each in host.findings]
    failures = [_problem(each) for each in found if each.level == "fail"]
    warnings = [_problem(each) for each in found if each.level == "warn"]
    if as_json:
        plain = {
            "hosts": [_plain(host) for host in examined],
            "problems": [_parts(f) for f in faults],
        }
        click.echo(json.dumps(plain, indent=2))
        return FAILED if failures or faults else 0
    _show_table(examined)
    sys.stdout.flush()  # the problems go to another stream, and below
    show_problems([*faults, *failures])
    show_problems(warnings, label="warning")
    counts = [
        _count(len(faults) + len(failures), "problem"),
        _count(len(warnings), "warning"),
    ]
    click.echo(", ".join(counts))
    return FAILED if failures or faults else 0


def _show_table(examined: "Sequence[Examined]") -> None:
    from rich.table import Table

    from weaver.cli.whole_tables import console_for
    from weaver.deployers.ssh.preflight.findings import CHECKS

    made = {each.check for host in examined for each in host.findings}
    checks = [check for check in CHECKS if check in made]
    table = Table("HOST", *(check.upper() for check in checks), box=None)
    for host in examined:
        cells = [_cell([f for f in host.findings if f.check == check]) for check in checks]
        table.add_row(host.host, *cells)
    console_for(table).print(table)


def _cell(findings: "Sequence[Finding]") -> str:
    from rich.markup import escape

    levels = {each.level for each in findings}
    if "fail" in levels:
        return "[bold red]FAIL[/bold red]"
    if not findings:
        return "[dim]-[/dim]"
    if "warn" in levels or findings[0].check not in _TELLING:
        return _WORDS["warn" if "warn" in levels else "ok"]
    return f"[green]{escape(findings[0].what)}[/green]"


def _problem(found: "Finding") -> Problem:
    return Problem(f"{found.host}: {found.what}", where=found.check, why=found.why, fix=found.fix)


def _plain(host: "Examined") -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = {
        "host": host.host,
        "ok": not host.failed,
        "python": host.python.path if host.python is not None else None,
        "findings": msgspec.to_builtins(host.findings),
    }
    if host.facts is not None:
        facts: dict[str, Any] = msgspec.to_builtins(host.facts)
        plain["facts"] = facts.pop("values") | facts
    return plain


def _parts(problem: Problem) -> dict[str, str]:
    return {"what": problem.what, "where": problem.where, "why": problem.why, "fix": problem.fix}


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
