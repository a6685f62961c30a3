"""`weaver logs`."""

import re
import time

import click

from weaver.cli.deployment import app_argument, print_record
from weaver.cli.target import json_option

_LEVELS = ("debug", "info", "warning", "error", "critical")


@click.command("logs")
@app_argument
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@click.option("-n", "--tail", type=click.IntRange(0), metavar="N", help="The last N lines only.")
@click.option("--component", metavar="NAME", default="", help="Of this component only.")
@click.option("--replica", metavar="ID", default="", help="Of this replica or group only.")
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
    """Show the log of the running deployment of APP."""
    from weaver.cli.following import answers
    from weaver.cli.log_names import check_log_names
    from weaver.cli.namesakes import meant
    from weaver.control.operator import GetLogs, LogFilter, Records
    from weaver.deployers.manager_client import ask_status

    wanted = LogFilter(
        component=component,
        replica=replica,
        level=level or "",
        text=grep,
        since=time.time() - _seconds(since) if since else 0.0,
        trace=trace,
        tail=-1 if tail is None else tail,
    )
    record = meant(app)
    if component or replica:
        check_log_names(record.app, component, replica, ask_status(record).report.groups)
    for answer in answers(record, GetLogs(wanted, follow), follow=follow):
        if isinstance(answer, Records):
            for entry in answer.records:
                print_record(entry, as_json=as_json)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h|d)", text)
    if found is None:
        raise click.BadParameter(
            f'"{text}" is not a duration such as 30s, 10m or 2h', param_hint="--since"
        )
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]
