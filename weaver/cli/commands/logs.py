"""`weaver logs`."""

import re
import time
from typing import TYPE_CHECKING

import click

from weaver.cli import completing
from weaver.cli.deployment import print_record
from weaver.cli.target import json_option

if TYPE_CHECKING:
    from weaver.control.operator import LogFilter
    from weaver.deployers.registry import Record

_LEVELS = ("debug", "info", "warning", "error", "critical")


@click.command("logs")
@click.argument(
    "app", metavar="[APP[@VERSION]]", required=False, shell_complete=completing.known_apps
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@click.option("-n", "--tail", type=click.IntRange(0), metavar="N", help="The last N lines only.")
@click.option(
    "--component",
    metavar="NAME",
    default="",
    shell_complete=completing.components,
    help="Of this component only.",
)
@click.option(
    "--replica",
    metavar="ID",
    default="",
    shell_complete=completing.replicas,
    help="Of this replica or group only.",
)
@click.option("--level", type=click.Choice(_LEVELS), help="This severe or more.")
@click.option("--grep", metavar="TEXT", default="", help="Lines that contain TEXT.")
@click.option("--trace", metavar="ID", default="", help="Of this trace only; see weaver traces.")
@click.option("--since", metavar="TIME", help="Not older than, such as 30s, 10m or 2h.")
@json_option
def command(
    *,
    app: str | None,
    follow: bool,
    tail: int | None,
    component: str,
    replica: str,
    level: str | None,
    grep: str,
    trace: str,
    since: str | None,
    as_json: bool,
) -> None:
    """Show the log of the deployment of APP that runs, or else the last one that it has left.

    With --follow, until the deployment is over, whichever manager it has; where no VERSION is
    named, also of the versions that a rollout puts in its place.
    """
    from weaver.cli import left_log
    from weaver.cli.namesakes import meant
    from weaver.control.operator import LogFilter

    wanted = LogFilter(
        component=component,
        replica=replica,
        level=level or "",
        text=grep,
        since=time.time() - _seconds(since) if since else 0.0,
        trace=trace,
        tail=-1 if tail is None else tail,
    )
    if (record := left_log.over(app)) is None:
        record = meant(app)
        if follow and not record.foreground and "@" not in (app or ""):
            _follow(record, wanted, as_json=as_json)
            return
        if _show(record, wanted, follow=follow, as_json=as_json):
            return
    left_log.tell(record)
    for entry in left_log.records(record, wanted):
        print_record(entry, as_json=as_json)


def _show(record: "Record", wanted: "LogFilter", *, follow: bool, as_json: bool) -> bool:
    """Show what the manager knows; False where the deployment has ended before that."""
    from weaver.cli.following import entries
    from weaver.cli.succession import is_over
    from weaver.control.messages import LogRecord
    from weaver.control.operator import GetLogs
    from weaver.deployers import registry
    from weaver.errors import Unreachable

    try:
        _check_names(record, wanted)
        for entry in entries(record, GetLogs(wanted, follow)):
            if isinstance(entry, LogRecord):
                print_record(entry, as_json=as_json)
    except Unreachable:
        if follow or not is_over(registry.latest(record)):
            raise
        return False
    return True


def _follow(record: "Record", wanted: "LogFilter", *, as_json: bool) -> None:
    """Show the log of this version, and of those that run beside it, until all have ended."""
    from weaver.cli.following_versions import entries
    from weaver.cli.versions import short
    from weaver.control.messages import LogRecord
    from weaver.control.operator import GetLogs

    _check_names(record, wanted)
    for one, entry, several in entries(record, GetLogs(wanted, follow=True)):
        if isinstance(entry, LogRecord):
            print_record(entry, as_json=as_json, version=short(one.version) if several else "")


def _check_names(record: "Record", wanted: "LogFilter") -> None:
    from weaver.cli.log_names import check_log_names
    from weaver.deployers.manager_client import ask_status

    component, replica = wanted.component, wanted.replica
    if component or replica:
        check_log_names(record.app, component, replica, ask_status(record).report.groups)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h|d)", text)
    if found is None:
        raise click.BadParameter(
            f'"{text}" is not a duration such as 30s, 10m or 2h', param_hint="--since"
        )
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]
