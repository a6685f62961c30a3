"""Deploys to hosts over SSH: one connection to each, and the envelope's socket through it.

The deployer of the control loop. Decides when a connection is made anew; what travels on it is the
control protocol's.
"""

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from weaver.deployers.deployer import Command, Link
from weaver.deployers.ssh.connection import Connection
from weaver.deployers.ssh.deploy_lock import record
from weaver.deployers.ssh.host_call import RemotePython
from weaver.deployers.ssh.inventory import Host
from weaver.deployers.ssh.remote import Completed
from weaver.deployers.ssh.site import Site
from weaver.errors import Unreachable, WeaverError

START: Final = 60.0
"""Seconds for an envelope to take managers: its Python starts, on a host that may be busy."""
LOOK: Final = 5.0
NOTING: Final = 3.0
MOST_THREADS: Final = 16

T = TypeVar("T")


class SshDeployer:
    """Starts and reaches the envelopes of one deployment. `dial` blocks, and raises WeaverError.

    With `app` and `version`, what is done to it is kept in the audit logs of the hosts.
    """

    def __init__(
        self,
        sites: Mapping[str, Site],
        deployment: str,
        dial: Callable[[Host], Connection],
        *,
        app: str = "",
        version: str = "",
    ) -> None:
        self._app = app
        self._version = version
        self._sites = sites
        self._deployment = deployment
        self._dial = dial
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="weaver-ssh")
        self._connections: dict[str, Connection] = {}
        self._dialling: dict[str, asyncio.Lock] = {name: asyncio.Lock() for name in sites}

    async def start_envelope(self, host: str) -> None:
        """Start the envelope of a host; it accepts connections when this returns.

        It survives the connection. Raises WeaverError with its last words where it does not start.
        """
        site = self._sites[host]
        done = await self._run(host, site.start(self._deployment), START)
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
        site = self._sites[host]
        try:
            connection = await self._connection(host)
            path = site.socket(self._deployment)
            return await self._in_thread(
                lambda: connection.open_unix(path, self._loop, python=site.python)
            )
        except Unreachable as error:
            await self._drop(host)  # it may be dead, and not known to be
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

    async def note(self, what: str, result: str) -> None:
        """Keep in the audit logs of hosts what was done, where they are connected."""
        await asyncio.gather(*(self._note(host, what, result) for host in self._connections))

    async def _note(self, host: str, what: str, result: str) -> None:
        connection, site = self._connections.get(host), self._sites[host]
        if not self._app or connection is None or not connection.alive:
            return
        python = RemotePython(connection, site.python, site.host.directory)
        write = functools.partial(
            record, python, self._app, what, build_id=self._version, result=result, timeout=NOTING
        )
        with contextlib.suppress(WeaverError):  # it has been done all the same
            await self._in_thread(write)

    async def aclose(self, seconds: float = 15.0) -> None:
        """End every connection; envelopes go on."""
        del seconds
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, host: str, script: str, patience: float) -> Completed:
        connection = await self._connection(host)
        return await self._in_thread(
            lambda: connection.run("sh -s", stdin=script.encode(), timeout=patience)
        )

    async def _connection(self, host: str) -> Connection:
        """The connection to a host, made anew where it has been lost. Raises WeaverError."""
        async with self._dialling[host]:
            connection = self._connections.get(host)
            if connection is not None and connection.alive:
                return connection
            await self._drop(host)
            site = self._sites[host]
            dialling = self._loop.run_in_executor(self._threads, self._dial, site.host)
            try:
                connection = await asyncio.shield(dialling)
            except asyncio.CancelledError:
                dialling.add_done_callback(self._close_unused)
                raise
            self._connections[host] = connection
            return connection

    async def _drop(self, host: str) -> None:
        """Close the connection to a host: the next use makes another."""
        connection = self._connections.pop(host, None)
        if connection is not None:
            await self._in_thread(connection.close)

    def _close_unused(self, dialled: asyncio.Future[Connection]) -> None:
        """Close a connection that nobody waits for any more."""
        if not dialled.cancelled() and dialled.exception() is None:
            threading.Thread(target=dialled.result().close, name="weaver-ssh-closer").start()

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._threads, call)


def _last_lines(done: Completed) -> str:
    said = (done.stderr.strip() or done.stdout.strip()).decode("utf-8", "replace")
    return "\n".join(said.splitlines()[-10:]) or f"exit code {done.exit_code}"
