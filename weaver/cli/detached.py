"""A deployment that goes on without the command line: start its manager, wait until it is live.

What its manager is to run, others decide: `local_deploy`, `ssh_deploy`, `taking_over`.
"""

import contextlib
import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import click

from weaver.cli import conclusion, succession
from weaver.cli.deployment import plain_status, print_record
from weaver.cli.left_log import named_in
from weaver.cli.render_rollout import evidence_lines
from weaver.control.faults import error_of
from weaver.deployers import registry
from weaver.deployers.directories import state_directory
from weaver.deployers.manager_client import ask_status, is_managed
from weaver.errors import WeaverError

if TYPE_CHECKING:
    from weaver.control.messages import Fault
    from weaver.control.operator import Status
    from weaver.deployers.manager_process import Task
    from weaver.packaging.build import Built

START_TIMEOUT: Final = 30.0
"""Seconds for the manager's process to answer."""

LAST_LINES: Final = 20


def live_record(built: "Built") -> "registry.Record | None":
    """The deployment of this version, if it is the newest that runs, and not in the foreground."""
    running = [r for r in registry.records(built.manifest.app) if not r.ended and is_managed(r)]
    if not running or running[-1].foreground or running[-1].version != built.build_id:
        return None
    return running[-1]


def nothing_to_do(record: "registry.Record", *, as_json: bool = False) -> None:
    """Say that a version is deployed already."""
    if as_json:
        click.echo(json.dumps(plain_status(ask_status(record)), indent=2))
    else:
        click.echo(f"{record.app} {record.version[:12]} is deployed already: nothing to do")


def start_manager(
    command: Sequence[str], task: "Task", folder: Path | None = None
) -> registry.Record:
    """Start the manager's process and return its record. Raises WeaverError if it does not come.

    `folder` is that of weaver.toml, which the paths in it are relative to; by default this one.
    """
    import msgspec

    application = task.estate.spec.application
    before = _pid_of(application.app, application.deployment)
    path = state_directory("logs", application.app) / f"{application.deployment}.log"
    process = _spawn(command, msgspec.msgpack.encode(task), path, folder)
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        ended = process.poll() is not None  # before the look: it may end right after its record
        for record in registry.records(application.app):
            if record.deployment == application.deployment and record.pid != before:
                return record  # its own, or that of one that has taken over from it meanwhile
        if ended:
            break
        time.sleep(0.005)
    lines = path.read_text(errors="replace").splitlines()[-LAST_LINES:]
    if process.poll() is None:
        process.kill()
        process.wait()
    raise WeaverError(
        "the manager of the deployment did not start",
        where=str(path),
        why="\n".join(lines) or f"it ended with exit code {process.returncode} and said nothing",
        fix="see its log",
    )


def _spawn(
    command: Sequence[str], task: bytes, output: Path, folder: Path | None
) -> subprocess.Popen[bytes]:
    """A process that outlives this one, with `task` on its standard input. Raises WeaverError."""
    try:
        output.touch(mode=0o600)
        log = output.open("wb")
    except OSError as error:
        raise WeaverError(
            "the log of the manager cannot be written",
            where=str(output),
            why=error.strerror or str(error),
            fix="free space, or correct the permissions of the directory",
        ) from error
    with log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
        )
    stdin: IO[bytes] | None = process.stdin
    assert stdin is not None
    try:
        stdin.write(task)
        stdin.close()
    except BrokenPipeError:
        pass  # it has ended: its log says why
    return process


def _pid_of(app: str, deployment: str) -> int | None:
    """The process of its manager, or of the last one it had."""
    found = [r.pid for r in registry.records(app) if r.deployment == deployment]
    return found[0] if found else None


def start_beside(
    command: Sequence[str], task: "Task", folder: Path | None = None
) -> registry.Record:
    """Start a manager for a version and those before it, which keep one if it does not come up."""
    from weaver.deployers.manager_process import Task

    try:
        return start_manager(command, task, folder)
    except WeaverError:
        if task.former and not _managed(task.former[0].estate.spec.application.deployment):
            first, rest = task.former[0], task.former[1:]
            python = first.estate.command[:1] or command[:1]
            again = Task(first.estate, first.sites, task.passphrases, rest)
            with contextlib.suppress(WeaverError):  # `weaver attach` says why
                start_manager([*python, *command[1:]], again, folder)
        raise


def _managed(deployment: str) -> bool:
    found = [record for record in registry.records() if record.deployment == deployment]
    return any(is_managed(record) for record in found)


def wait_live(record: registry.Record, *, as_json: bool, detach: bool = False) -> int:
    """Wait until a first version is live and serves; with `detach`, until it is live.

    Raises WeaverError: why it has failed, or was taken back.
    """
    status = settled(record)
    if status is None or status.report.state != "live":
        raise failure(record, status.report.fault if status is not None else None)
    if not detach:
        conclusion.wait_served(record, as_json=as_json)
    tell_live(status, as_json=as_json)
    return 0


def tell_live(status: "Status", *, as_json: bool) -> None:
    """Say that a version is live, and where."""
    report = status.report
    if as_json:
        click.echo(json.dumps(plain_status(status), indent=2))
        return
    click.echo(f"{report.app} {report.version[:12]} is live (deployment {report.deployment})")
    for listener in report.listeners:
        click.echo(f"listener {listener.name}: {listener.url}")
    click.echo(f"see also: weaver status {report.app} · weaver logs -f {report.app}")


def settled(record: registry.Record) -> "Status | None":
    """The first status that is not "starting", or the last one there was before it ended.

    Whichever manager gives it. Raises ManagerGone where there is none for too long.
    """
    from weaver.control.operator import GetStatus, Status

    status: Status | None = None
    with contextlib.closing(succession.answers(record, GetStatus(follow=True))) as found:
        for answer in found:
            if isinstance(answer, Status):
                status = answer
                if status.report.state != "starting":
                    break
    return status


def follow_logs(record: registry.Record, *, as_json: bool) -> None:
    """Print the log as it grows, whichever manager has it, until the deployment ends or Ctrl-C."""
    from weaver.cli.following import entries
    from weaver.control.messages import LogRecord
    from weaver.control.operator import GetLogs, LogFilter

    for entry in entries(record, GetLogs(LogFilter(), follow=True)):
        if isinstance(entry, LogRecord):
            print_record(entry, as_json=as_json)


def failure(record: registry.Record, fault: "Fault | None") -> WeaverError:
    """Why it failed, once the application's last words are shown.

    `fault` is what its manager said last.
    """
    latest = _ended(record)
    for text in evidence_lines(latest.evidence, latest.lines):
        click.echo(text, err=True)
    known = latest.fault or fault
    if known is not None:
        error = error_of(known)
        error.fix = named_in(error.fix, record.app, record.version)
        return error
    if conclusion.was_taken_back(latest):
        return conclusion.by_command(latest)
    ended = f"it is {latest.result} now" if latest.result else ""
    where = str(log_of(record))
    return WeaverError("the deployment ended before it was live", where=where, why=ended)


def _ended(record: registry.Record) -> registry.Record:
    """Its record once it is over, which is written a moment after its end."""
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        latest = registry.latest(record)
        if succession.is_over(latest) or time.monotonic() > deadline:
            return latest
        time.sleep(0.02)


def log_of(record: registry.Record) -> Path:
    """The log file of a deployment's manager."""
    return state_directory("logs", record.app) / f"{record.deployment}.log"
