"""Deploys to hosts over SSH: the envelope's socket is reached through a connection to its host.

The deployer of the control loop. Decides what is done on hosts for one deployment; what travels on
a link is the control protocol's.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from weaver.deployers.deployer import Command, Link
from weaver.deployers.ssh.connection import Connection
from weaver.deployers.ssh.deploy_lock import record
from weaver.deployers.ssh.host_call import RemotePython
from weaver.deployers.ssh.host_connections import HostConnections
from weaver.deployers.ssh.left_locks import give_back
from weaver.deployers.ssh.releases import make_current
from weaver.deployers.ssh.remote import Completed
from weaver.deployers.ssh.site import Site
from weaver.errors import Unreachable, WeaverError

START: Final = 60.0
"""Seconds for an envelope to take managers: its Python starts, on a host that may be busy."""
LOOK: Final = 5.0
NOTING: Final = 3.0
AGAIN: Final = (1.0, 4.0, *[15.0] * 20)
"""Seconds between attempts to have a host note which release is the current one."""


class SshDeployer:
    """Starts and reaches the envelopes of one deployment; other ones may share `connections`.

    With `app` and `version`, what is done to it is kept in the audit logs of the hosts.
    """

    def __init__(
        self,
        sites: Mapping[str, Site],
        deployment: str,
        connections: HostConnections,
        *,
        app: str = "",
        version: str = "",
    ) -> None:
        self._app = app
        self._version = version
        self._sites = sites
        self._deployment = deployment
        self._connections = connections.share()

    def control_path(self, host: str) -> str:
        """Where the envelope of a host listens, as processes of that host name it."""
        return self._sites[host].socket(self._deployment)

    async def start_envelope(self, host: str) -> None:
        """Start the envelope of a host; it accepts connections when this returns.

        It survives the connection. Raises WeaverError with its last words where it does not start.
        """
        done = await self._run(host, self._sites[host].start(self._deployment), START)
        if done.exit_code != 0:
            raise WeaverError(
                "the envelope could not be started",
                where=host,
                why=_last_lines(done),
                fix="see what the host lacks: weaver doctor",
            )

    async def connect(self, host: str) -> Link | None:
        """A link to the envelope of a host, or None where none runs.

        Raises OSError where the host cannot be reached now, WeaverError for what does not pass by
        itself.
        """
        site, pool = self._sites[host], self._connections
        connection = None
        try:
            connection = reached = await pool.reach(site.host)
            path, loop = site.socket(self._deployment), asyncio.get_running_loop()
            return await pool.in_thread(lambda: reached.open_unix(path, loop, python=site.python))
        except Unreachable as error:
            if connection is not None:
                await pool.drop(host, connection)  # it may be dead, and not known to be
            raise OSError(f"{error.what}: {error.why}" if error.why else error.what) from error

    async def has_ended(self, host: str) -> bool:
        """Whether the envelope has ended: the host says so. False where it cannot be asked."""
        script = self._sites[host].look(self._deployment)
        try:
            done = await self._run(host, script, LOOK)
        except (WeaverError, OSError):
            return False
        return done.exit_code == 1

    async def execute(self, host: str, command: Command) -> Completed:
        """Run a command on a host; one that takes too long loses its session, and so its output."""
        script = self._sites[host].execute(command)
        done = await self._run(host, script, command.seconds)
        # Arguments may be secret; the name of a program is not.
        await self._note(host, "exec", f"{command.words[0]}: exit code {done.exit_code}")
        return done

    async def give_back_lock(self, token: str) -> None:
        """Give the lock of the deploy back, should the command that holds it be gone."""

        async def on_each(act: Callable[[RemotePython], None]) -> int:
            done = await asyncio.gather(*(self._tell(host, act) for host in self._sites))
            return sum(done)

        await give_back(self._app, token, on_each)

    async def note(self, what: str, result: str) -> None:
        """Keep in the audit logs of hosts what was done, where they are connected."""
        await asyncio.gather(*(self._note(host, what, result) for host in self._sites))

    async def note_good(self) -> None:
        """Make this version's releases the current ones: they were seen to serve.

        Hosts that cannot be told now are told again. Cancel it where another version is to be: once
        it has ended, no host is told any more.
        """
        app, version = self._app, self._version

        def mark(python: RemotePython) -> None:
            make_current(python, app, version, good=True)

        left = list(self._sites)
        for pause in AGAIN:
            telling = asyncio.gather(*(self._tell(host, mark) for host in left))
            try:
                done = await asyncio.shield(telling)
            except asyncio.CancelledError:
                await asyncio.wait([telling])  # what a thread has begun, nobody can call back
                raise
            left = [host for host, told in zip(left, done, strict=True) if not told]
            if not left:
                return
            await asyncio.sleep(pause)

    async def _note(self, host: str, what: str, result: str) -> None:
        app, version = self._app, self._version

        def write(python: RemotePython) -> None:
            record(python, app, what, build_id=version, result=result, timeout=NOTING)

        await self._tell(host, write)

    async def _tell(self, host: str, act: Callable[[RemotePython], None]) -> bool:
        """Write something down on a host that is connected; what it is about is so all the same.

        Says whether it was written.
        """
        site = self._sites[host]
        if not self._app or self._connections.known(host) is None:
            return False

        def on(connection: Connection) -> None:
            act(RemotePython(connection, site.python, site.host.directory))

        try:
            await self._connections.use(site.host, on)
        except WeaverError:
            return False
        return True

    async def aclose(self, seconds: float = 15.0) -> None:
        """Give the connections back; envelopes go on."""
        del seconds
        self._connections.leave()

    async def _run(self, host: str, script: str, patience: float) -> Completed:
        return await self._connections.run(self._sites[host].host, script, patience)


def _last_lines(done: Completed) -> str:
    said = (done.stderr.strip() or done.stdout.strip()).decode("utf-8", "replace")
    return "\n".join(said.splitlines()[-10:]) or f"exit code {done.exit_code}"
