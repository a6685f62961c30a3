"""Waits for the rollout of a version that is live: until it serves everybody, or is taken back."""

import time
from typing import TYPE_CHECKING, Final

import click

from weaver.control.faults import error_of
from weaver.control.rollout import GetRollout, RolloutReport
from weaver.deployers import registry
from weaver.deployers.manager_client import ask
from weaver.errors import Unreachable, WeaverError

if TYPE_CHECKING:
    from weaver.control.messages import Fault
    from weaver.deployers.registry import Record

SERVES: Final = frozenset({"warm", "retiring", "done"})
TAKEN_BACK: Final = frozenset({"withdrawing", "removing", "withdrawn"})
LOST: Final = 30.0
"""Seconds for another manager to be there, where the one that was asked has gone."""


def wait_rolled_out(record: "Record", *, quiet: bool) -> RolloutReport:
    """Return when the new version serves everybody. Raises WeaverError that says why not."""
    lost = 0.0
    while True:
        try:
            for report in ask(record, GetRollout(follow=True), timeout=None):
                if not isinstance(report, RolloutReport):
                    continue
                lost = 0.0
                if report.phase in SERVES:
                    return report
                if report.phase in TAKEN_BACK:
                    raise _taken_back(record, report.verdict, report.lines, quiet=quiet)
        except Unreachable:
            lost = lost or time.monotonic()
            record = registry.latest(record)
            if record.ended:
                raise _taken_back(record, record.fault, (), quiet=quiet) from None
            if time.monotonic() - lost > LOST:
                raise
            time.sleep(0.05)


def _taken_back(
    record: "Record", verdict: "Fault | None", lines: tuple[str, ...], *, quiet: bool
) -> WeaverError:
    if not quiet:
        for line in lines:
            click.echo(line, err=True)
    if verdict is not None:
        return error_of(verdict)
    return WeaverError(
        f"{record.app} {record.version[:12]} was taken back",
        where=f"deployment {record.deployment}",
        why="by command, or another version was deployed",
    )
