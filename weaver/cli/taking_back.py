"""Waits until a version has been taken back on somebody's command."""

from typing import TYPE_CHECKING

import click

from weaver.cli import render_rollout
from weaver.cli.conclusion import is_without
from weaver.cli.rollout_follow import follow
from weaver.cli.versions import short
from weaver.control.rollout import RolloutReport

if TYPE_CHECKING:
    from weaver.deployers.registry import Record


def wait_taken_back(record: "Record", *, as_json: bool) -> int:
    """Return once the old version serves everybody again; what is left ends by itself."""
    report = follow(record, serves_again, as_json=as_json)
    if as_json:
        return 0
    new, old = render_rollout.versions_of(report)
    if is_without(record, report):  # it has ended already, and the one before says so
        click.echo(f"{record.app} {short(record.version)} was taken back")
        new, old = None, new
    if new is not None:
        click.echo(f"{record.app} {short(new.version)} was taken back")
    if old is not None:
        click.echo(f"{record.app} {short(old.version)} serves everybody")
    return 0


def serves_again(report: RolloutReport) -> bool:
    """Whether the old version gets every request: requests that run in the new one may go on."""
    _, old = render_rollout.versions_of(report)
    return report.phase in render_rollout.TAKEN_BACK and (old is None or old.weight >= 1)
