"""`weaver deploy --ssh`: from a project to its replicas on hosts, each step shown and each undone.

Nothing is changed on any host before all of them have been examined and the plan holds.
"""

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from weaver.cli import conclusion
from weaver.cli.comparing import compare, judge
from weaver.cli.deploy_plan import places_of, show_plan
from weaver.cli.detached import follow_logs, live_record, nothing_to_do, start_beside, wait_live
from weaver.cli.failed_hosts import FAILED, only_failed
from weaver.cli.former import refuse_keeping, refuse_moved
from weaver.cli.host_table import HostTable
from weaver.cli.joining import differences, extended, take_in, wait_joined
from weaver.cli.local_deploy import folder_of
from weaver.cli.making_way import make_way
from weaver.cli.serving import serving
from weaver.cli.ssh_formers import formers_on, no_more
from weaver.cli.ssh_interrupt import remembering
from weaver.cli.ssh_options import Options
from weaver.cli.ssh_units import enable
from weaver.cli.succession import ManagerGone
from weaver.cli.taking_over import forget_gone
from weaver.errors import UsageError, WeaverError

if TYPE_CHECKING:
    from weaver.cli.comparing import Comparison
    from weaver.deployers.estate import Estate
    from weaver.deployers.manager_process import Former
    from weaver.deployers.registry import Record
    from weaver.deployers.ssh.inventory import Host
    from weaver.deployers.ssh.preflight.run import Preflight
    from weaver.deployers.ssh.preparation import Preparation
    from weaver.deployers.ssh.site import Site
    from weaver.deployers.ssh.upload import Parcel
    from weaver.manager.hosts import HostSpec
    from weaver.manager.state import Spec
    from weaver.packaging.build import Built

MANAGER: Final = [sys.executable, "-I", "-m", "weaver.application.main", "manager"]
"""Here, and not from the PEX: a PEX does not carry what SSH needs."""


def deploy(config: Path | None, hosts: "Sequence[Host]", options: Options) -> int:
    """Build, and deploy to the hosts; the exit code."""
    from weaver.packaging.build import build

    def say(text: str) -> None:
        if not options.as_json:
            click.echo(click.style(text, dim=True), err=True)

    built = build(config, progress=say)
    return deploy_built(built, hosts, msgspec.structs.replace(options, folder=folder_of(config)))


def deploy_built(built: "Built", hosts: "Sequence[Host]", options: Options) -> int:
    """Examine the hosts, upload, start, and wait until it is live; the exit code."""
    from weaver.cli.hosts import passphrases_of
    from weaver.deployers.ssh.client import Client
    from weaver.deployers.ssh.preparation import Preparation

    ask, passphrases = passphrases_of()
    app = built.manifest.app
    live = live_record(built)
    chosen = only_failed(app, hosts) if options.only_failed else hosts
    joining, others = differences(live, chosen)
    if live is not None and (joining or others):
        # Those that it runs on already have to be asked what runs there.
        hosts = [host for host in hosts if host.name in {*live.hosts, *joining}]
    elif live is not None and not options.only_failed and not options.plan_only:
        nothing_to_do(live, as_json=options.as_json)
        return 0
    else:
        hosts = chosen
    client = Client(accept_new=options.accept_new, ask=ask)
    table = HostTable([host.name for host in hosts], quiet=options.as_json)
    with Preparation(app, hosts, client, table, at_once=options.batch) as work:
        steps = _Deploy(built, work, table, options, passphrases, hosts)
        steps.joins, steps.joining = bool(joining or others), joining
        with remembering(app, work, table, steps, only_told=options.plan_only):
            code = steps.run()
    if steps.record is None or code:
        return code
    if steps.joins:
        wait_joined(steps.record, steps.joining, others, as_json=options.as_json)
    elif steps.former and not options.detach:  # without the locks
        code = conclusion.wait(steps.record, as_json=options.as_json)
    elif steps.former and not options.as_json:
        conclusion.leave(app)
    if options.follow and not code:
        follow_logs(steps.record, as_json=options.as_json)
    return code


class _Deploy:
    """One deploy: what is known of it, and its steps."""

    def __init__(
        self,
        built: "Built",
        work: "Preparation",
        table: HostTable,
        options: Options,
        passphrases: Mapping[str, str],
        listed: "Sequence[Host]",
    ) -> None:
        self.listed = listed
        self.joins = False
        """It goes on as it is, with hosts that are `joining`, or listed otherwise now."""
        self.joining: tuple[str, ...] = ()
        self.former: tuple[Former, ...] = ()
        self.built = built
        self.work = work
        self.table = table
        self.options = options
        self.passphrases = passphrases
        self.record: Record | None = None
        self.starts = False
        self.failed: dict[str, str] = {}
        self.skipped = 0
        """Hosts that did not answer, which are none of those that may fail."""

    def run(self) -> int:
        """All of it; the exit code."""
        from weaver.deployers.ssh.preflight.needs import needs_of
        from weaver.deployers.ssh.upload import Parcel

        with self.table:
            examined = self.work.examine(needs_of(self.built.path, service=self.options.service))
        if not self._passed(examined):
            return 1
        if not self.joins and not self.options.only_failed:
            self._spec({})  # whether it can be placed, before anything is changed
        if self.joins or not self.options.only_failed:
            self.former = self._formers()
        parcel = Parcel(self.built.manifest.app, self.built.path)
        comparison = compare(self._serving(), self.built)
        if self.options.plan_only:
            return self._show_plan(parcel, comparison)
        if not self.joins:
            judge(comparison, self.built, force=self.options.force)
            refuse_keeping(self.former)
            refuse_moved(self.former, self.built.manifest)
        sites = self._bring(parcel)
        if self.joins:
            self.record = self._join(sites)
            self._tell_missing()
            return 0
        if self.options.only_failed:
            return self._brought(sites)
        try:
            self.record = self._start(sites)
        finally:
            self._tell_missing()
        return 0

    def _passed(self, examined: "Preflight") -> bool:
        """Whether the deploy may go on; what speaks against it is shown."""
        from weaver.cli.examination import show
        from weaver.deployers.ssh.preparation import unreachable

        if self.options.skip_unreachable:
            for host in examined.failed:
                if unreachable(host):
                    self.work.drop(host.host, host.fault)
        self.skipped = len(self.work.faults)
        self.failed = {host.host: host.fault.what for host in examined.failed}
        failed = [host for host in examined.failed if host.host in self.work.hosts]
        if len(failed) <= self.options.max_fail and len(failed) < len(self.work.hosts):
            for host in failed:
                self.work.drop(host.host, host.fault)
            return True
        show(examined.hosts, [], as_json=self.options.as_json)
        return False

    def _bring(self, parcel: "Parcel") -> "Mapping[str, Site]":
        """Lock the hosts, and have the release on them; those that have it now."""
        if not self.options.steal:
            self.work.refuse_held()  # of all hosts before the first is locked
        revision = self.built.manifest.revision
        message = self.options.message or f"deploy {self.built.build_id[:12]} {revision}".strip()
        for host, holder in self.work.lock(message, steal=self.options.steal).items():
            click.echo(f"{host}: the lock was taken from {holder.owner}@{holder.host}", err=True)
        most = self.skipped + self.options.max_fail
        try:
            with self.table:
                return self.work.upload(parcel, most_failures=most)
        finally:
            self.failed = {host: error.what for host, error in self.work.faults.items()}

    def _brought(self, sites: "Mapping[str, Site]") -> int:
        """Tell that hosts which had failed have the release now, and how they take part."""
        build_id, app = self.built.build_id, self.built.manifest.app
        self.work.note(app, "upload", list(sites), build_id=build_id, result="installed")
        if self.options.as_json:
            plain = {"app": app, "version": build_id, "hosts": [*sites], "failed": self.failed}
            click.echo(json.dumps(plain, indent=2))
        else:
            click.echo(f"{app} {build_id[:12]} is installed on {', '.join(sites)}")
            click.echo("they take part when it is deployed: weaver deploy --ssh HOSTS")
        return 1 if self.failed else 0

    def _tell_missing(self) -> None:
        """Which hosts have no part in what is live, and how they get one."""
        for host, what in self.failed.items():
            click.echo(f"not on {host}: {what}", err=True)
        if self.failed and self.record is not None:
            if not self.joins:
                hosts = ", ".join(self.work.hosts)
                click.echo(f"what would have run there runs on {hosts}", err=True)
            fix = f"weaver deploy --ssh HOSTS --limit {FAILED}"
            click.echo(f"to try only these again, and have them join: {fix}", err=True)

    def _join(self, sites: "Mapping[str, Site]") -> "Record":
        """Have the application's next manager know the hosts that join, too. Raises WeaverError."""
        joining = {name: site for name, site in sites.items() if name in self.joining}
        first, build_id = self.former[0].estate, self.built.build_id
        if self.options.service or first.units:
            joining = enable(self.work, first.spec.application, joining)
        estate = extended(self.former[0], self._hosts({}), joining)
        given = dict(self.passphrases)
        self.starts = True
        record = take_in(
            MANAGER, estate, joining, self.former, passphrases=given, lock=self.work.token
        )
        self.joining = tuple(joining)
        self.work.join(build_id, self.joining, good=estate.good > 0)
        if not self.joining:
            app, hosts = self.built.manifest.app, list(self.work.hosts)
            self.work.note(app, "deploy", hosts, build_id=build_id, result="hosts listed anew")
        return record

    def _hosts(self, sites: "Mapping[str, Site]") -> "dict[str, HostSpec]":
        """What the manager is told of the hosts in `sites`, or of all."""
        from weaver.manager.hosts import HostSpec

        return {
            name: HostSpec(
                labels=host.labels,
                groups=host.groups,
                slots=host.slots,
                address=self.work.address(host),
            )
            for name, host in self.work.hosts.items()
            if not sites or name in sites
        }

    def _spec(self, sites: "Mapping[str, Site]") -> "Spec":
        from weaver.deployers.forwarded import forwarded
        from weaver.deployers.launch import config_of, spec_of

        manifest = self.built.manifest
        hosts = self._hosts(sites)
        spec = spec_of(manifest, self.built.build_id, foreground=False, hosts=hosts)
        folder = self.options.folder or Path.cwd()
        environment = forwarded(config_of(manifest, hosts), os.environ, folder)
        application = msgspec.structs.replace(spec.application, environment=environment)
        return msgspec.structs.replace(spec, application=application)

    def _formers(self) -> "tuple[Former, ...]":
        """What runs on the hosts already, whichever machine its manager is on. Raises WeaverError.

        What cannot be taken over must not be doubled.
        """
        app = self.built.manifest.app
        running, found = self.work.running(), self.work.deployments().values()
        former = formers_on(app, found, self.listed, steal=self.options.steal)
        known = {host for version in former for host in version.sites}
        if unknown := {h: builds for h, builds in running.items() if h not in known}:
            builds = sorted({build[:12] for builds in unknown.values() for build in builds})
            raise UsageError(
                f"{app} runs on these hosts already, as version {', '.join(builds)}",
                where=", ".join(unknown),
                why="it does not say what its manager has left: it may be starting, or ending",
                fix=f"look again in a while: weaver attach {app} --ssh HOSTS",
            )
        if not former and not self.options.plan_only:
            forget_gone(app, self.work.hosts)
        return former

    def _serving(self) -> str:
        """The build id of the version that the new one is to follow; "" for none."""
        if not self.former:
            return ""
        known = serving(self.built.manifest.app)
        versions = [each.estate.spec.application.version for each in self.former]
        return known.version if known is not None and known.version in versions else versions[0]

    def _show_plan(self, parcel: "Parcel", comparison: "Comparison") -> int:
        plans = self.work.plan(parcel)
        places = None if self.joins else places_of(self._spec({}))
        show_plan(
            comparison,
            self.built,
            plans,
            places,
            joining=self.joining,
            as_json=self.options.as_json,
        )
        return 0

    def _start(self, sites: "Mapping[str, Site]") -> "Record":
        from weaver.deployers import kept_versions
        from weaver.deployers.launch import config_of

        manifest, build_id = self.built.manifest, self.built.build_id
        kept_versions.keep(manifest.app, self.built.path, build_id)
        while True:
            estate, sites = self._estate(sites)
            try:
                record = self._begin(estate, sites)
                break
            except ManagerGone:
                raise  # what runs there goes on, and waits for another one
            except WeaverError as error:
                with contextlib.suppress(WeaverError):
                    self.work.remove_units(sites)
                    self.work.finish(build_id, f"failed: {error.what}", good=False)
                sites = self._without_failed(error, sites)
        # Beside another version, it is good once it serves everybody: its manager marks it then.
        self.work.finish(build_id, "live", good=not self.former)
        kept_versions.prune(manifest.app, config_of(manifest).rollout.keep_versions)
        return record

    def _without_failed(
        self, error: WeaverError, sites: "Mapping[str, Site]"
    ) -> "Mapping[str, Site]":
        """The hosts but for the one that has failed, if it may. Raises the error if not."""
        # A host's name stands before where it is listed, or what it is on the host that has failed.
        found = [name for name in sites if f"{error.where} ".startswith((f"{name} ", f"{name}: "))]
        failures = len(self.work.faults) - self.skipped
        if not found or failures >= self.options.max_fail or len(sites) == 1:
            raise error
        (host,) = found
        click.echo(f"{host}: {error.what}: it is started without this host", err=True)
        self.work.drop(host, error)
        self.failed[host] = error.what
        if self.former:
            self.former = self._formers()  # of which the one that has failed may be one still
        return {name: site for name, site in sites.items() if name != host}

    def _estate(self, sites: "Mapping[str, Site]") -> "tuple[Estate, Mapping[str, Site]]":
        """What the manager is told, and the hosts with the units that start envelopes there."""
        from weaver.deployers.estate import Estate
        from weaver.manager.state import Desired

        spec = self._spec(sites)
        if self.options.service:
            sites = enable(self.work, spec.application, sites)
        estate = Estate(
            spec=spec,
            desired=Desired(),
            epoch=0,
            revision=self.built.manifest.revision,
            pythons={name: site.python for name, site in sites.items()},
            units={name: site.unit for name, site in sites.items() if site.unit},
        )
        return estate, sites

    def _begin(self, estate: "Estate", sites: "Mapping[str, Site]") -> "Record":
        """Start a manager that takes over what runs, and wait until the new version is up."""
        from weaver.deployers.launch import config_of
        from weaver.deployers.manager_process import Task

        app = self.built.manifest.app
        if len(self.former) > 1:
            left = make_way(app, config_of(self.built.manifest).rollout.max_versions)
            self.former = no_more(app, self._formers(), left)
        task = Task(
            estate,
            sites=dict(sites),
            passphrases=dict(self.passphrases),
            former=self.former,
            lock=self.work.token,
        )
        self.starts = True
        record = start_beside(MANAGER, task)
        if self.former:
            conclusion.wait_up(record, as_json=self.options.as_json)
        else:
            wait_live(record, as_json=self.options.as_json, detach=self.options.detach)
        return record
