"""`weaver deploy` on this machine: from a project to a version that serves, beside the one before.

Decides the order of the steps. What traffic goes where is the rollout's, in the manager.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from weaver.cli.detached import follow_logs, is_live, start_manager, wait_live
from weaver.cli.former import formers_here, running
from weaver.cli.rolling import wait_rolled_out
from weaver.cli.taking_over import take_over
from weaver.control.rollout import Steer
from weaver.deployers.local_lock import deploying
from weaver.deployers.manager_client import ask, is_managed
from weaver.errors import WeaverError

if TYPE_CHECKING:
    from weaver.deployers.registry import Record
    from weaver.packaging.build import Built

WAY: Final = 120.0
"""Seconds for a rollout that is under way to be taken back, and its version to be stopped."""


def deploy(config: Path | None, *, follow: bool, as_json: bool) -> int:
    """Build, and deploy beside what runs; the exit code."""
    from weaver.packaging.build import build

    def say(text: str) -> None:
        if not as_json:
            click.echo(click.style(text, dim=True), err=True)

    return deploy_built(build(config, progress=say), follow=follow, as_json=as_json)


def deploy_built(built: "Built", *, follow: bool, as_json: bool) -> int:
    """Install, start a manager, wait until it is live and serves everybody; the exit code."""
    with deploying(built.manifest.app):
        if is_live(built, as_json=as_json):
            return 0
        record = _start(built)
        wait_live(record, follow=False, as_json=as_json)
    wait_rolled_out(record, quiet=as_json)
    if follow:
        follow_logs(record, as_json=as_json)
    return 0


def _start(built: "Built") -> "Record":
    """Start a manager that takes over what runs here of the application. Raises WeaverError."""
    from weaver.deployers import kept_versions
    from weaver.deployers.estate import Estate
    from weaver.deployers.launch import config_of, envelope_command, spec_of
    from weaver.deployers.manager_process import Task
    from weaver.manager.state import Desired
    from weaver.packaging.installed import install

    python = install(built.path)
    estate = Estate(
        spec=spec_of(built.manifest, built.build_id, foreground=False),
        desired=Desired(),
        epoch=0,
        revision=built.manifest.revision,
        command=tuple(envelope_command(python)),
    )
    app = built.manifest.app
    command = [str(python), "-I", "-m", "weaver.application.main", "manager"]
    kept_versions.keep(app, built.path, built.build_id)
    make_way(app)
    record = start_manager(command, Task(estate, former=formers_here(app, close=True)))
    kept_versions.prune(app, config_of(built.manifest).rollout.keep_versions)
    return record


def make_way(app: str) -> None:
    """End a rollout that is under way here: the newest version supersedes it. Raises WeaverError.

    Returns when one version is left, and at once where no more than that runs.
    """
    found = running(app)
    if len(found) < 2:
        return
    if not is_managed(found[0]):
        if take_over(found[0]) is None:
            return
        found = running(app)
    for _ in ask(found[0], Steer("supersede")):
        pass
    deadline = time.monotonic() + WAY
    while len(running(app)) > 1:
        if time.monotonic() > deadline:
            raise WeaverError(
                f"the rollout of {app} that is under way does not end",
                where=f"deployment {found[0].deployment}",
                fix=f"see what it does: weaver status {app}; weaver events {app}",
            )
        time.sleep(0.02)
