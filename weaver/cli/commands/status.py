"""`weaver status`."""

import json
import time
from typing import TYPE_CHECKING, Any

import click

from weaver.cli.deployment import ago, app_argument, plain_status
from weaver.cli.errors import as_problem, exit_code_of, show_problems
from weaver.cli.target import json_option

if TYPE_CHECKING:
    from rich.table import Table

    from weaver.control.operator import DeploymentReport, Status
    from weaver.deployers.registry import Record

MOST_METHODS = 20


@click.command("status")
@app_argument
@json_option
def command(*, app: str | None, as_json: bool) -> int:
    """Show the versions of APP on this machine, or all, the newest first: replicas, methods.

    The exit code is 1 if the manager of one of them cannot be reached.
    """
    from weaver.deployers import registry
    from weaver.errors import Unreachable

    if app is not None and "@" in app:
        running = [registry.current(app)]
    else:
        running = [r for r in reversed(registry.records(app)) if not r.ended]
    if app is not None and not running:
        registry.current(app)  # raises, and names what there is
    found: list[Status] = []
    code = 0
    for record in running:
        try:
            found += _status_of(record)
        except Unreachable as error:
            show_problems([as_problem(error)], label="warning")
            code = exit_code_of(error)
    if as_json:
        click.echo(json.dumps([plain_status(status) for status in found], indent=2))
        return code
    if not running:
        click.echo("no deployment runs on this machine")
    for status in found:
        _show(status)
    for text in (*_rollouts(running), *(_several(running) if "@" not in (app or "") else ())):
        click.echo(text)
    return code


def _status_of(record: "Record") -> "list[Status]":
    """What its manager says, which may be another one by now; nothing once it is over."""
    from weaver.cli.succession import still
    from weaver.deployers.manager_client import ask_status
    from weaver.errors import Unreachable

    try:
        return [ask_status(record)]
    except Unreachable:
        latest = still(record)
        if latest is not None and latest.pid == record.pid:
            raise
        return [ask_status(latest)] if latest is not None else []


def _several(running: "list[Record]") -> list[str]:
    """What a name means that several deployments have."""
    from weaver.cli.namesakes import lines_of, namesakes

    newest = {record.app: record for record in reversed(running)}
    return [text for r in newest.values() for text in lines_of(r, namesakes(r, r.app))]


def _rollouts(running: "list[Record]") -> list[str]:
    """A line for each application of which a rollout moves the users."""
    from weaver.cli.render_rollout import headline, title
    from weaver.cli.rollout_follow import rollout_of
    from weaver.errors import WeaverError

    lines: list[str] = []
    for app in dict.fromkeys(record.app for record in running):
        own = [record for record in running if record.app == app and not record.foreground]
        if len(own) < 2:
            continue
        try:
            report = rollout_of(own[-1])
        except WeaverError:  # it has been said already that nobody manages it
            continue
        lines.append(f"rollout {title(report)}: {headline(report, time.time())}")
        lines.append(f"to follow it: weaver rollout -f {app}")
    return lines


def _show(status: "Status") -> None:
    from weaver.cli.whole_tables import console_for

    report, now = status.report, time.time()
    methods = plain_status(status)["methods"]
    replicas, called = _replicas(report, now), _methods(methods)
    console = console_for(replicas, *([called] if called is not None else []))
    console.print(
        f"[bold]{report.app}[/bold]  version {report.version[:12]}  deployment "
        f"{report.deployment}  {report.state}  traffic {report.traffic:.0%}"
        + (f"  since {ago(now - report.started)}" if report.started else ""),
        soft_wrap=True,
    )
    for listener in report.listeners:
        console.print(f"  {listener.name}: {listener.url}", soft_wrap=True)
    console.print(replicas)
    if called is not None:
        console.print(called)
        more = sum(1 for method in methods if method["calls"]) - MOST_METHODS
        if more > 0:
            console.print(f"… and {more} more methods: --json has all")


def _replicas(report: "DeploymentReport", now: float) -> "Table":
    from rich.table import Table

    table = Table("GROUP", "REPLICA", "PID", "HOST", "STATE", "RESTARTS", "AGE", box=None)
    for group in report.groups:
        for replica in group.replicas:
            age = ago(now - replica.started) if replica.started else "-"
            row = (replica.id, str(replica.pid or "-"), replica.host, replica.state)
            table.add_row(group.name, *row, str(replica.restarts), age)
        if len(group.replicas) < group.wanted:
            table.add_row(group.name, f"{len(group.replicas)} of {group.wanted}")
    return table


def _methods(methods: list[dict[str, Any]]) -> "Table | None":
    from rich.table import Table

    called = sorted((m for m in methods if m["calls"]), key=lambda m: -m["calls"])
    if not called:
        return None
    table = Table(
        "CALLER", "METHOD", "CALLS", "RATE", "ERRORS", "P50 ms", "P99 ms", "REMOTE", box=None
    )
    for m in called[:MOST_METHODS]:
        table.add_row(
            _short(m["caller"]) or "(outside)",
            f"{_short(m['component'])}.{m['method']}",
            str(m["calls"]),
            f"{m['rate']:.1f}/s",
            str(m["errors"]),
            *(f"{m[name]:.2f}" if m[name] else "-" for name in ("p50_ms", "p99_ms")),  # not timed
            f"{m['remote'] / m['calls']:.0%}",
        )
    return table


def _short(name: str) -> str:
    return name.rpartition(".")[2]
