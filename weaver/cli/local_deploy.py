"""`weaver deploy` on this machine: from a project to a version that serves, beside the one before.

Decides the order of the steps. What traffic goes where is the rollout's, in the manager.
"""

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from weaver.cli import conclusion
from weaver.cli.comparing import compare, judge
from weaver.cli.deploy_plan import plain_plan, plan_lines
from weaver.cli.detached import follow_logs, live_record, nothing_to_do, start_beside, wait_live
from weaver.cli.former import formers_here, refuse_keeping, refuse_moved
from weaver.cli.leaving import told_if_left
from weaver.cli.making_way import make_way
from weaver.cli.serving import serving
from weaver.deployers.local_lock import deploying

if TYPE_CHECKING:
    from weaver.deployers.registry import Record
    from weaver.packaging.build import Built


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says of a deploy to this machine; `folder` is that of weaver.toml."""

    folder: Path | None = None
    plan_only: bool = False
    force: bool = False
    detach: bool = False
    follow: bool = False
    as_json: bool = False


def deploy(config: Path | None, options: Options) -> int:
    """Build, and deploy beside what runs, or say what that would do; the exit code."""
    from weaver.cli.source_lines import of_project
    from weaver.packaging.build import build
    from weaver.packaging.places import release_of

    def say(text: str) -> None:
        if not options.as_json:
            click.echo(click.style(text, dim=True), err=True)

    built = build(config, progress=say)
    if options.plan_only:
        return _show_plan(built, as_json=options.as_json)
    folder = folder_of(config)
    with of_project(release_of(built.build_id), folder):
        return deploy_built(built, msgspec.structs.replace(options, folder=folder))


def folder_of(config: Path | None) -> Path:
    """The folder of a weaver.toml, which is named as for `build`."""
    path = (config or Path("weaver.toml")).absolute()
    return path if path.is_dir() else path.parent


def deploy_built(built: "Built", options: Options) -> int:
    """Install, start a manager, wait until it is live and serves everybody; the exit code."""
    with contextlib.ExitStack() as lock:
        lock.enter_context(deploying(built.manifest.app))
        if (live := live_record(built)) is not None:
            nothing_to_do(live, as_json=options.as_json)
            return 0
        old = serving(built.manifest.app)
        judge(compare(old.version if old is not None else "", built), built, force=options.force)
        formers = formers_here(built.manifest.app)
        refuse_keeping(formers)
        refuse_moved(formers, built.manifest)
        record = _start(built, options.folder)
        if old is None:
            with told_if_left(record.app):
                code = wait_live(record, as_json=options.as_json, detach=options.detach)
        else:
            code = conclusion.wait(
                record, as_json=options.as_json, detach=options.detach, started=lock.close
            )
    if options.follow and not code:
        follow_logs(record, as_json=options.as_json)
    return code


def _show_plan(built: "Built", *, as_json: bool) -> int:
    from weaver.deployers.launch import config_of

    old = serving(built.manifest.app)
    found = compare(old.version if old is not None else "", built)
    rollout = config_of(built.manifest).rollout
    if as_json:
        click.echo(json.dumps(plain_plan(found, built, rollout), indent=2, ensure_ascii=False))
        return 0
    for line in plan_lines(found, built, rollout):
        click.echo(line)
    click.echo("nothing was changed: this was --plan")
    return 0


def _start(built: "Built", folder: Path | None) -> "Record":
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
    rollout = config_of(built.manifest).rollout
    make_way(app, rollout.max_versions)
    record = start_beside(command, Task(estate, former=formers_here(app, close=True)), folder)
    kept_versions.prune(app, rollout.keep_versions)
    return record
