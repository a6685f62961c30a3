"""One deploy on its hosts, up to where envelopes can be started: examine, lock, upload, install.

Decides the order, which hosts take part, and that every lock is given back. Each host is worked on
in a thread of its own, and one that fails hides nothing of the others. Whoever interrupts it waits
for none of them.
"""

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final, Protocol, Self, TypeVar

import msgspec

from weaver.deployers.ssh import deploy_lock, heirs, releases, service
from weaver.deployers.ssh.client import Client
from weaver.deployers.ssh.connection import Connection
from weaver.deployers.ssh.host_call import TIMEOUT, RemotePython
from weaver.deployers.ssh.inventory import Host
from weaver.deployers.ssh.preflight.judge import Examined
from weaver.deployers.ssh.preflight.needs import Needs
from weaver.deployers.ssh.preflight.run import Preflight, run_preflight
from weaver.deployers.ssh.site import Site
from weaver.deployers.ssh.upload import Parcel, Plan, Uploaded, plan, upload
from weaver.errors import WeaverError

AT_ONCE: Final = 16
RENEW: Final = 10.0
"""Seconds between two signs of life to the locks."""

LEAVING: Final = 2.0
"""Seconds for all hosts together to take their locks back, where a deploy is interrupted."""

T = TypeVar("T")


class Watch(Protocol):
    """Who is told how far a deploy is on each host; called in several threads."""

    def step(self, host: str, step: str, detail: str = "") -> None:
        """A host does this now."""
        ...

    def failed(self, host: str, error: WeaverError) -> None:
        """A host has failed, and takes no further part."""
        ...


class Preparation:
    """A deploy of one application to hosts, `at_once` of them at a time; a context manager.

    `faults` are those of hosts that take no part any more.
    """

    def __init__(
        self,
        app: str,
        hosts: Sequence[Host],
        client: Client,
        watch: Watch,
        *,
        at_once: int = AT_ONCE,
    ) -> None:
        self.hosts = {host.name: host for host in hosts}
        self.faults: dict[str, WeaverError] = {}
        self._app = app
        self._client = client
        self._watch = watch
        self._connections: dict[str, Connection] = {}
        self._pythons: dict[str, RemotePython] = {}
        self._token = ""
        self._locked: dict[str, RemotePython] = {}  # also those of hosts that were dropped since
        self._locking: Future[deploy_lock.Holder | None] | None = None
        self._over = threading.Event()
        self._renewing: threading.Thread | None = None
        self._pool = ThreadPoolExecutor(min(at_once, len(hosts) or 1), "weaver-deploy")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if kind is not None and not issubclass(kind, Exception):
            self.leave()
            return
        self._over.set()
        if self._renewing is not None:
            self._renewing.join()
        self._unlock()
        self._pool.shutdown(cancel_futures=True)
        for connection in self._connections.values():
            connection.close()

    def leave(self) -> tuple[str, ...]:
        """End at once, whatever hosts do; those whose lock may be held still.

        What they do is not waited for: they notice that nobody listens any more.
        """
        self._over.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        connections, self._connections = self._connections, {}
        if not connections:
            return ()
        if self._locking is not None:  # one that is taken after it was given back would stay
            wait([self._locking], LEAVING / 4)
        pool = ThreadPoolExecutor(2 * len(connections), "weaver-leave")  # some hosts may hang
        given = {host: pool.submit(self._give_back, host) for host in self._locked}
        done, _ = wait(given.values(), LEAVING)
        for connection in connections.values():
            pool.submit(connection.close)
        pool.shutdown(wait=False)
        left = [host for host, future in given.items() if future not in done or future.result()]
        self._locked = {}
        return tuple(left)

    def address(self, host: Host) -> str:
        """What other hosts dial: what hosts.txt says, else what we connect to."""
        connection = self._connections.get(host.name)
        found = connection.config.hostname if connection is not None else host.host
        return host.address or found

    def examine(self, needs: Needs) -> Preflight:
        """Connect to all hosts and look at them; those that cannot be reached are dropped."""

        def connect(host: Host) -> Connection:
            self._watch.step(host.name, "connecting")
            connection = self._connections[host.name] = self._client.connect(host)
            self._watch.step(host.name, "examining")
            return connection

        found = run_preflight(list(self.hosts.values()), connect, needs, dialled=self.address)
        for examined in found.hosts:
            if examined.python is not None:
                self._pythons[examined.host] = RemotePython(
                    self._connections[examined.host],
                    examined.python.path,
                    self.hosts[examined.host].directory,
                )
        return found

    def examine_briefly(self) -> None:
        """Find Python on all hosts; those that have none, or do not answer, are dropped."""
        for examined in self.examine(Needs()).hosts:
            if examined.python is None:
                self.drop(examined.host, examined.fault)

    def deployments(self) -> dict[str, heirs.Found]:
        """What runs on the hosts, and what its managers have left; drops those that do not say."""
        found, faults = heirs.find(self._connections, self._pythons)
        for host, error in faults.items():
            self.drop(host, error)
        return found

    def drop(self, host: str, error: WeaverError) -> None:
        """Go on without a host."""
        self.faults[host] = error
        self.hosts.pop(host, None)
        self._pythons.pop(host, None)
        self._watch.failed(host, error)

    def running(self) -> dict[str, tuple[str, ...]]:
        """The builds of the application that run on each host now. Raises WeaverError."""
        found = self._each(
            lambda python, _host: releases.releases(python, self._app), list(self._pythons)
        )
        return {
            host: tuple(release.build_id for release in known if release.running)
            for host, known in found.items()
            if any(release.running for release in known)
        }

    def refuse_held(self) -> None:
        """Raise HostError "locked" where another deploy is at work; nothing is changed for that."""
        self._each(
            lambda python, _host: deploy_lock.refuse_held(python, self._app), list(self._pythons)
        )

    @property
    def token(self) -> str:
        """What proves that the locks are this command's; "" before there are any."""
        return self._token

    def lock(self, message: str, *, steal: bool = False) -> dict[str, deploy_lock.Holder]:
        """Lock the application on all hosts, or on none; who lost a lock by `steal`, by host.

        Raises HostError "locked", which names the owner.
        """
        self._token = deploy_lock.new_token()

        def take(python: RemotePython, host: str) -> deploy_lock.Holder | None:
            self._watch.step(host, "locking")
            self._locked[host] = python
            return deploy_lock.lock(python, self._app, self._token, message, steal=steal)

        # In one order for everybody, so that of two deploys one gets all of them.
        stolen: dict[str, deploy_lock.Holder | None] = {}
        for host in sorted(self._pythons):
            self._locking = self._pool.submit(take, self._pythons[host], host)
            stolen[host] = self._locking.result()
        self._renewing = threading.Thread(target=self._renew, name="weaver-deploy-lock")
        self._renewing.start()
        return {host: holder for host, holder in stolen.items() if holder is not None}

    def plan(self, parcel: Parcel) -> dict[str, Plan]:
        """What an upload would do on each host; nothing is changed. Raises WeaverError."""
        return self._each(lambda python, _host: plan(python, parcel), list(self._pythons))

    def upload(self, parcel: Parcel, *, most_failures: int = 0) -> dict[str, Site]:
        """Have the build installed on all hosts; where it is by host.

        Raises the first error once more than `most_failures` hosts have failed.
        """

        def bring(python: RemotePython, host: str) -> Uploaded:
            self._watch.step(host, "comparing")

            def progress(_host: str, sent: int, total: int) -> None:
                self._watch.step(host, "uploading", f"{_size(sent)} of {_size(total)}")
                if sent == total:
                    self._watch.step(host, "installing", f"{_size(total)} sent")

            done = upload(python, parcel, progress, token=self._token)
            what = "installed" if done.installed else "is there already"
            self._watch.step(host, what, f"{_size(done.sent)} sent")
            return done

        done = self._each(bring, list(self._pythons), most_failures)
        return {
            name: Site(host=self.hosts[name], python=done[name].python, address=self.address(host))
            for name, host in list(self.hosts.items())
            if name in done
        }

    def enable_units(
        self, app: str, deployment: str, sites: Mapping[str, Site]
    ) -> tuple[dict[str, Site], dict[str, str]]:
        """Have systemd start the envelopes, where it manages the user's units; why not, by host."""
        name = service.unit_name(app, deployment)

        def enable(python: RemotePython, host: str) -> tuple[Site, str]:
            site = msgspec.structs.replace(sites[host], unit=name)
            script = service.enabling(name, self.unit_of(app, deployment, site))
            done = python.remote.run("sh -s", stdin=script.encode(), timeout=TIMEOUT)
            said = done.stdout.decode("utf-8", "replace").splitlines()
            if service.ENABLED not in said:
                last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
                why = last[0] if done.exit_code and last else "systemd manages no units of the user"
                return sites[host], why
            if service.LINGERS not in said:
                return site, "it starts at login only: have an administrator enable lingering"
            return site, ""

        found = self._each(enable, list(sites))
        units = {host: site for host, (site, _) in found.items()}
        return units, {host: why for host, (_, why) in found.items() if why}

    @staticmethod
    def unit_of(app: str, deployment: str, site: Site) -> str:
        """The text of the unit that starts an envelope."""
        site = msgspec.structs.replace(site, unit=service.unit_name(app, deployment))
        return service.unit_text(app, site.command(deployment), str(site.root))

    def remove_units(self, sites: Mapping[str, Site]) -> None:
        """Remove units of a deployment that has failed."""

        def remove(python: RemotePython, host: str) -> None:
            script = service.removing(sites[host].unit).encode()
            python.remote.run("sh -s", stdin=script, timeout=TIMEOUT)

        known = [host for host, site in sites.items() if site.unit and host in self._pythons]
        self._each(remove, known, len(self.faults) + len(known))

    def finish(self, build_id: str, result: str, *, good: bool) -> None:
        """Note on every host how the deploy ended; a good build becomes the current one."""

        def note(python: RemotePython, _host: str) -> None:
            if good:
                releases.make_current(python, self._app, build_id, good=True, token=self._token)
            deploy_lock.record(python, self._app, "deploy", build_id=build_id, result=result)

        self._each(note, list(self._pythons), len(self._pythons))

    def join(self, build_id: str, hosts: Sequence[str], *, good: bool) -> None:
        """Note on hosts that they take part in what runs; a good build is the current one there."""

        def note(python: RemotePython, _host: str) -> None:
            if good:
                releases.make_current(python, self._app, build_id, good=True, token=self._token)
            deploy_lock.record(python, self._app, "join", build_id=build_id, result="joined")

        self._each(note, hosts, len(self.faults) + len(hosts))

    def note(
        self, app: str, what: str, hosts: Sequence[str], *, build_id: str, result: str
    ) -> None:
        """Write a line of the audit log of these hosts, where that can be."""

        def write(python: RemotePython, _host: str) -> None:
            deploy_lock.record(python, app, what, build_id=build_id, result=result)

        known = [host for host in hosts if host in self._pythons]
        self._each(write, known, len(self.faults) + len(known))

    def audits(self, app: str, most: int) -> dict[str, tuple[deploy_lock.Entry, ...]]:
        """The last entries of the audit log of each host, the oldest first."""
        return self._each(
            lambda python, _host: deploy_lock.audit(python, app, most),
            list(self._pythons),
            len(self.faults) + len(self._pythons),
        )

    def prune(
        self, app: str | None, *, keep: int, only_tell: bool
    ) -> dict[str, dict[str, releases.Pruned]]:
        """Remove old releases of an application, or of all; by host and application."""

        def remove(python: RemotePython, _host: str) -> dict[str, releases.Pruned]:
            kept = {release.app for release in releases.releases(python, app or "")}
            found = {
                name: releases.prune(python, name, keep=keep, only_tell=only_tell)
                for name in sorted(kept)
            }
            for name, pruned in found.items():
                if pruned.removed and not only_tell:
                    gone = f"removed {len(pruned.removed)}"
                    deploy_lock.record(python, name, "prune", result=gone)
            return found

        return self._each(remove, list(self._pythons), len(self.hosts))

    def _each(
        self,
        act: Callable[[RemotePython, str], T],
        hosts: Sequence[str],
        most_failures: int = 0,
    ) -> dict[str, T]:
        """Do the same on many hosts side by side; those that fail are dropped."""
        pythons: Mapping[str, RemotePython] = dict(self._pythons)
        futures = {host: self._pool.submit(act, pythons[host], host) for host in hosts}
        found: dict[str, T] = {}
        first: WeaverError | None = None
        for host, future in futures.items():
            try:
                found[host] = future.result()
            except WeaverError as error:
                first = first or error
                self.drop(host, error)
        if first is not None and len(self.faults) > most_failures:
            raise first
        return found

    def _renew(self) -> None:
        while not self._over.wait(RENEW):
            for python in list(self._pythons.values()):
                with contextlib.suppress(WeaverError):  # what comes next tells it
                    deploy_lock.renew(python, self._app, self._token)
                if self._over.is_set():
                    return

    def _unlock(self) -> None:
        for host in self._locked:
            if self._connections[host].alive:
                self._give_back(host)

    def _give_back(self, host: str) -> bool:
        """Whether the lock may be held still."""
        try:
            deploy_lock.unlock(self._locked[host], self._app, self._token)
        except WeaverError:
            return True
        return False


def unreachable(examined: Examined) -> bool:
    """Whether a host could not even be connected to."""
    return any(f.check == "connect" and f.level == "fail" for f in examined.findings)


def _size(count: int) -> str:
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.1f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"
