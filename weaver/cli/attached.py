"""What a new manager makes of the versions it has taken over: which of them serves.

One of them may be on its way out, and end at any moment: what has become of it, its record says.
"""

import contextlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from weaver.cli import succession
from weaver.cli.detached import START_TIMEOUT, failure, settled, tell_live
from weaver.cli.render_rollout import TAKEN_BACK, headline, title, versions_of
from weaver.cli.rollout_follow import rollout_of
from weaver.cli.versions import short
from weaver.control.rollout import ENDED
from weaver.deployers import registry
from weaver.deployers.manager_client import ask_status
from weaver.errors import Unreachable

HEARD: Final = 10.0
"""Seconds for envelopes to tell what runs: a host may be out of reach."""

if TYPE_CHECKING:
    from weaver.control.messages import Fault
    from weaver.control.operator import Status
    from weaver.deployers.manager_process import Task
    from weaver.deployers.registry import Record


def wait_attached(record: "Record", task: "Task", *, as_json: bool) -> int:
    """Wait until a version of `task` serves, the newest that is not taken back; the exit code.

    `record` is the newest one. Raises WeaverError, why it has failed, where none is left.
    """
    versions = [task.estate.spec.application.deployment]
    versions += [one.estate.spec.application.deployment for one in task.former]
    status = _serving(record, versions)
    if status.report.deployment != record.deployment:
        ended = succession.is_over(registry.latest(record))
        became = "has been taken back meanwhile" if ended else "is being taken back"
        click.echo(f"{record.app} {short(record.version)} {became}", err=True)
    status = _heard(status, record)
    tell_live(status, as_json=as_json)
    late = [f"{host} ({does})" for host, does in status.report.hosts.items() if does != "attached"]
    if late:
        click.echo(
            f"not heard of yet: {', '.join(late)}; see: weaver status {record.app}", err=True
        )
    if not as_json and len(versions) > 1:
        _tell_rollout(record)
    return 0


def _heard(status: "Status", record: "Record") -> "Status":
    """The status once the envelopes of a live version have answered, or the last one there was."""
    found = {each.deployment: each for each in registry.records(record.app)}
    deadline = time.monotonic() + HEARD
    while any(does != "attached" for does in status.report.hosts.values()):
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
        try:
            now = ask_status(found[status.report.deployment])
        except Unreachable:
            break  # it has ended since, or its manager has
        if now.report.state != "live":
            break
        status = now
    return status


def _tell_rollout(record: "Record") -> None:
    """What goes on between the versions, and how it is followed."""
    with contextlib.suppress(Unreachable):  # it is over
        report = rollout_of(registry.latest(record))
        if report.phase not in ENDED:
            click.echo(f"rollout {title(report)}: {headline(report, time.time())}")
            click.echo(f"to follow it: weaver rollout -f {record.app}")


def _serving(record: "Record", versions: "Sequence[str]") -> "Status":
    """The status of the one that serves; every look at them is made anew from their records."""
    deadline: float | None = None
    while True:
        known = {each.deployment: each for each in registry.records(record.app)}
        left = [known[name] for name in versions if name in known]
        left = [each for each in left if not succession.is_over(each)]
        fault: Fault | None = None
        for each in left:
            status = settled(each)
            if status is None or status.report.state != "live":
                fault = fault or (status.report.fault if status is not None else None)
                continue  # it ends, or has ended
            on_its_way = _is_taken_back(each)
            if on_its_way is None:
                break  # its manager has gone, or it has ended: look again
            if not on_its_way:
                return status
        now = time.monotonic()
        deadline = deadline or now + START_TIMEOUT  # for those that end to do so
        if not left or now > deadline:
            raise failure(record, fault)
        time.sleep(0.02)


def _is_taken_back(record: "Record") -> bool | None:
    """Whether its rollout takes users away from a version that is live; None: nobody says."""
    try:
        report = rollout_of(registry.latest(record))
    except Unreachable:
        return None
    new, _ = versions_of(report)
    is_new = new is not None and new.deployment == record.deployment
    return is_new and report.phase in TAKEN_BACK
