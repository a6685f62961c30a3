"""What became of a rollout, told at its end: the new version serves alone, or it was taken back.

Decides the last words and the exit code of every command that waits for one.
"""

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import click

from weaver.cli import render_rollout
from weaver.cli.left_log import asking, named_in
from weaver.cli.render_rollout import SERVED, TAKEN_BACK
from weaver.cli.rollout_follow import follow
from weaver.cli.succession import ManagerGone, still
from weaver.cli.versions import short
from weaver.control.rollout import RolloutReport
from weaver.deployers.manager_client import ask_status, attaching, is_managed
from weaver.errors import Unreachable, WeaverError

if TYPE_CHECKING:
    from weaver.deployers.registry import Record

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as shells have it."""


COMMANDED: Final = {
    "aborted": "by command: weaver abort",
    "rolled back": "by command: weaver rollback",
    "superseded": "a newer version was deployed",
}
"""Why a version was taken back, by the result in its record, where nothing was wrong with it."""


def settled(report: RolloutReport) -> bool:
    """Whether it is known who serves from now on, and whoever does not is on its way out."""
    return report.phase in SERVED or (report.phase in TAKEN_BACK and not _draining(report))


def _draining(report: RolloutReport) -> bool:
    return report.phase == "withdrawing"


def wait(
    record: "Record",
    *,
    as_json: bool,
    detach: bool = False,
    started: Callable[[], None] = lambda: None,
) -> int:
    """Follow the rollout of a version until it is settled; the exit code.

    With `detach`, until the new version is up. `started` is called then, in any case. Raises
    WeaverError with the reason where it was taken back. Ctrl-C leaves it running.
    """

    def until(report: RolloutReport) -> bool:
        if report.phase != "starting":
            started()
        return settled(report) or (detach and report.phase not in {"starting", *TAKEN_BACK})

    app = record.app
    hint = f"Ctrl-C leaves it running · weaver pause {app} · promote {app} · abort {app}"
    try:
        report = follow(record, until, as_json=as_json, hint=hint)
    except KeyboardInterrupt:
        click.echo("", err=True)
        if is_managed(still(record) or record):
            leave(app, err=True)
        else:
            click.echo(f"its rollout waits for a manager: {attaching(record)}", err=True)
        return INTERRUPTED
    except ManagerGone:
        raise  # what its record says is of before
    except Unreachable as error:
        raise _ended(record) or error from error
    if is_without(record, report):
        raise _ended(record) or _lost(record)
    if report.phase in TAKEN_BACK:
        raise taken_back(report, as_json=as_json)
    _tell_hook(report)
    if not as_json:
        _last_words(record, report)
    return 0


def wait_up(record: "Record", *, as_json: bool) -> None:
    """Follow the rollout until the new version is up. Raises WeaverError where it does not come."""
    try:
        report = follow(record, lambda r: r.phase != "starting", as_json=as_json, transient=True)
    except ManagerGone:
        raise
    except Unreachable as error:
        raise _ended(record) or error from error
    if is_without(record, report):
        raise _ended(record) or _lost(record)
    if report.phase in TAKEN_BACK:
        raise taken_back(report, as_json=as_json)


def wait_served(record: "Record", *, as_json: bool) -> None:
    """Wait until a first version that is live serves. Raises WeaverError where it is taken back.

    Its hooks have to end, and what stands before it to take connections.
    """
    try:
        report = follow(record, settled, as_json=as_json, transient=True, quiet=True)
    except ManagerGone:
        raise
    except Unreachable:
        if (why := _ended(record)) is not None and was_taken_back(record):
            raise why from None
        return  # it has done what it had to do
    if report.phase in TAKEN_BACK:
        raise taken_back(report, as_json=as_json)
    _tell_hook(report)


def was_taken_back(record: "Record") -> bool:
    """Whether its record says that it was."""
    from weaver.deployers import registry

    return registry.latest(record).result in {"withdrawn", *COMMANDED}


def leave(app: str, *, err: bool = False) -> None:
    """Tell that the rollout goes on, and how it is followed and taken back."""
    click.echo(f"the rollout of {app} goes on without this command", err=err)
    click.echo(
        f"to follow it: weaver rollout -f {app} · to take it back: weaver abort {app}", err=err
    )


def _last_words(record: "Record", report: RolloutReport) -> None:
    if report.phase not in SERVED:
        leave(record.app)
        return
    deployment = f"(deployment {record.deployment})"
    click.echo(f"{record.app} {short(record.version)} serves alone {deployment}")
    with contextlib.suppress(WeaverError):  # it may have ended since
        for listener in ask_status(record).report.listeners:
            click.echo(f"listener {listener.name}: {listener.url}")
    if text := warm_words(report):
        click.echo(text)


def _tell_hook(report: RolloutReport) -> None:
    """That its last hook has failed, which takes nothing back."""
    if report.verdict is not None:
        for text in (report.verdict.what, *report.lines):
            click.echo(render_rollout.by_version(text, report), err=True)


def taken_back(report: RolloutReport, *, as_json: bool) -> WeaverError:
    """Why, once the evidence and the last lines of log have been shown."""
    if not as_json:
        for text in render_rollout.evidence_lines(report.evidence, report.lines):
            click.echo(text, err=True)
    new, old = render_rollout.versions_of(report)
    named = f"{report.app} {short(new.version)}" if new is not None else report.app
    serves = f"; {short(old.version)} serves everybody" if old is not None else ""
    what = f"{named} was taken back{serves}"
    verdict = report.verdict
    if verdict is None:
        return WeaverError(what, why=COMMANDED.get(report.outcome, "by command"))
    why = verdict.what + (f"\n{verdict.why}" if verdict.why else "")
    version = new.version if new is not None else ""
    return WeaverError(
        what,
        where=verdict.where,
        why=render_rollout.by_version(why, report),
        fix=named_in(verdict.fix, report.app, version) or _fix(report.app, version),
    )


def warm_words(report: RolloutReport) -> str:
    """That the version before can be had back at once, while that is so; or ""."""
    _, old = render_rollout.versions_of(report)
    if report.phase != "warm" or old is None:
        return ""
    left = f" for {render_rollout.seconds(report.next_at - time.time())}" if report.next_at else ""
    return f"{short(old.version)} is kept warm{left}: weaver rollback {report.app}"


def is_without(record: "Record", report: RolloutReport) -> bool:
    """Whether another manager has taken over, and has not found this version."""
    versions = report.versions
    return bool(versions) and all(v.deployment != record.deployment for v in versions)


def _lost(record: "Record") -> WeaverError:
    return WeaverError(
        f"{record.app} {short(record.version)} was lost before it could serve",
        why="its manager has ended, and the one that took over found nothing of it that ran",
        fix=f"deploy again; the version before serves on: weaver status {record.app}",
    )


def _ended(record: "Record") -> WeaverError | None:
    """What its record says where nobody is there to be asked any more; None if it says nothing."""
    from weaver.control.faults import error_of
    from weaver.deployers import registry

    latest = registry.latest(record)
    if latest.fault is not None:
        error = error_of(latest.fault)
        error.fix = named_in(error.fix, record.app, record.version)
        return error
    if not latest.ended or latest.result == "lost":
        return None
    if latest.result in COMMANDED:
        return by_command(latest)
    named, fix = f"{record.app} {short(record.version)}", _fix(record.app, record.version)
    return WeaverError(f"{named} has ended", why=f"it is {latest.result}", fix=fix)


def by_command(record: "Record") -> WeaverError:
    """That a version was taken back although nothing was wrong with it, as its record says."""
    named, fix = f"{record.app} {short(record.version)}", _fix(record.app, record.version)
    return WeaverError(f"{named} was taken back", why=COMMANDED.get(record.result, ""), fix=fix)


def _fix(app: str, version: str) -> str:
    return f"see: weaver history {app} · {asking(app, version)}"
