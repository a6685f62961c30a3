"""One replica at work: its components, its connections, its link to the envelope.

It puts the parts together in the order in which they start, and takes them apart in the reverse
one. What each part does is its own file's business.
"""

import asyncio
import logging
import os
import resource
import secrets
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from weaver.control import messages as m
from weaver.control.certificates import Certificates
from weaver.errors import WeaverError
from weaver.proclet import context, current
from weaver.proclet.control_link import ControlLink
from weaver.proclet.deployment import Deployment
from weaver.proclet.dispatcher import Dispatcher
from weaver.proclet.distributed import DistributedPlacement
from weaver.proclet.entry import run_entry
from weaver.proclet.host import Host
from weaver.proclet.injection import Injection
from weaver.proclet.log_capture import LogCapture
from weaver.proclet.network import Network
from weaver.proclet.preload import Preloaded
from weaver.proclet.threads import Workers
from weaver.proclet.tuning import tune
from weaver.rpc.handshake import Hello
from weaver.rpc.limits import Limits
from weaver.transport.tls import Identity

log = logging.getLogger("weaver")


class Replica:
    """A replica of one group, on the running event loop: `run` returns its exit code."""

    def __init__(self, hosting: m.Hosting, control: socket.socket, preloaded: Preloaded) -> None:
        self._hosting = hosting
        self._control = control
        self._definition = preloaded.definition
        self._config = preloaded.config
        self._folder = preloaded.folder
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._grace = self._config.app.stop_timeout
        self._sent: tuple[m.MethodStatistics, ...] = ()
        self._beat: asyncio.TimerHandle | None = None
        self._due = 0.0
        self.link = ControlLink(self._receive, self._orphaned)

    async def run(self) -> int:
        """Start, serve until told to stop, stop in order."""
        application = self._hosting.application
        await self.link.open(self._control)
        origin = {
            "group": self._hosting.group,
            "replica": self._hosting.replica,
            "version": application.version,
        }
        capture = LogCapture(self.link.log, origin, self._places())
        capture.install()
        self._loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        self._loop.add_signal_handler(signal.SIGINT, _ignore)  # the manager orders the end
        self._heartbeat()
        try:
            return await self._serve()
        except WeaverError as error:
            component = getattr(error, "component", "")
            fault = m.Fault(error.what, error.where, error.why, error.fix, component)
            self.link.send(m.Failed(fault))
            return 1
        finally:
            if self._beat is not None:
                self._beat.cancel()
            capture.remove()
            self.link.close()

    def _places(self) -> dict[str, str]:
        """Source files that define one component."""
        found: dict[str, list[str]] = {}
        for component in self._definition.graph.components.values():
            found.setdefault(component.where.rpartition(":")[0], []).append(component.full_name)
        return {path: names[0] for path, names in found.items() if len(names) == 1}

    # --- life ---

    async def _serve(self) -> int:
        context.observe_asyncio_timeouts()
        self._assemble()
        token = current.enter(
            current.Running(self._host, self._definition, self._deployment(), self._loop)
        )
        try:
            starting = asyncio.ensure_future(self._host.start())
            stopping = asyncio.ensure_future(self._stop.wait())
            await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if not starting.done():
                starting.cancel()
                await asyncio.wait((starting,))
                return 0
            starting.result()
            await self._register()
            await self._run_entry()
            return 0
        finally:
            await self._end()
            current.leave(token)

    def _assemble(self) -> None:
        hosting, config = self._hosting, self._config
        self._injection = Injection(
            self._definition.graph,
            config,
            folder=self._folder,
            hosted=hosting.order.components,
            sockets={name: _listening(fd) for name, fd in hosting.listeners.items()},
        )
        values = self._injection.values()
        self._workers = Workers(config.app.threads)
        self._loop.set_default_executor(self._workers.executor)
        self.network = self._connect()
        self._placement = DistributedPlacement(
            self.network, strict_copies=hosting.application.strict_copies
        )
        self._host = Host(
            self._definition,
            values,
            self._placement,
            stop_timeout=self._grace,
            hosted=hosting.order.components,
        )

    def _connect(self) -> Network:
        hosting, config = self._hosting, self._config
        application, table = hosting.application, self._definition.table
        return Network(
            self._definition,
            Dispatcher(table, self._instance, self._workers),
            hello=Hello(
                deployment=application.deployment,
                build=application.version,
                methods=table.hash,
                replica=hosting.replica,
            ),
            timeout=config.app.timeout,
            limits=Limits(
                max_message=config.app.max_message,
                max_reassembly=max(2 * config.app.max_message, 2**27),
            ),
            replica=hosting.replica,
            host=hosting.host,
            tls=_identity(application.certificates),
            missing=lambda component: self.link.send(m.StartComponent(component)),
        )

    def _instance(self, component: str) -> object:
        return self._host.instances[component]

    def _deployment(self) -> Deployment:
        hosting = self._hosting
        application = hosting.application
        return Deployment(
            app=application.app,
            version=application.version,
            deployment=application.deployment,
            group=hosting.group,
            replica=hosting.replica,
            host=hosting.host,
        )

    async def _register(self) -> None:
        name = f"{self._hosting.replica}-{secrets.token_hex(4)}.sock"
        path = Path(self._hosting.directory) / name
        address = await self.network.listen(f"unix:{path}")
        tune()
        application = self._hosting.application
        self.link.send(
            m.RegisterReplica(
                address,
                components=self._hosting.order.components,
                build=application.version,
                deployment=application.deployment,
            )
        )

    async def _run_entry(self) -> None:
        entry = self._hosting.order.entry
        await run_entry(
            self._definition.graph.components.get(entry),
            self._host.instances.get(entry),
            self._stop,
            drain=self._injection.drain,
            grace=self._grace,
        )
        if not self._stop.is_set():
            self.link.send(m.Ended())
            await self._stop.wait()

    async def _end(self) -> None:
        await self._injection.drain()
        try:
            async with asyncio.timeout(self._grace):
                await self.network.drain()
        except TimeoutError:
            log.warning("calls in flight did not end within %g s; they are cancelled", self._grace)
        await self._host.stop()
        self._report()
        self._injection.close()
        await self._placement.aclose()
        self._loop.set_default_executor(ThreadPoolExecutor())
        self._workers.close()

    # --- the envelope's words ---

    def _receive(self, message: m.ToProclet) -> None:
        match message:
            case m.NewRouting(routing=routing):
                if hasattr(self, "network"):
                    self.network.update(routing)
            case m.Probe(nonce=nonce):
                application = self._hosting.application
                self.link.send(m.Probed(nonce, application.deployment, application.version))
            case m.Stop() | m.Drain():
                self._stop.set()
            case _:
                log.debug("ignored: %s", type(message).__name__)

    def _orphaned(self) -> None:
        """The envelope is gone: nobody restarts, routes to or stops this replica any more."""
        self._stop.set()
        # Draining may take longer than an orphan may live.
        self._loop.call_later(ORPHAN_LIVES, os._exit, 1)

    def _heartbeat(self) -> None:
        now = self._loop.time()
        lag = max(0.0, now - self._due) if self._due else 0.0
        self._due = now + self._hosting.heartbeat
        self._beat = self._loop.call_at(self._due, self._heartbeat)
        incoming = self.network.incoming if hasattr(self, "network") else 0
        self.link.send(m.Heartbeat(lag, incoming))
        self._report()

    def _report(self) -> None:
        if not hasattr(self, "_host"):
            return
        methods = tuple(edge.statistics() for edge in self._host.edges.values() if edge.calls)
        if methods == self._sent:
            return
        self._sent = methods
        usage = resource.getrusage(resource.RUSAGE_SELF)
        memory = usage.ru_maxrss * 1024
        cpu = usage.ru_utime + usage.ru_stime
        self.link.send(m.Statistics(methods, cpu, memory, self.network.incoming))


ORPHAN_LIVES = 2.5
"""Seconds that a replica without an envelope may take to end."""


def _identity(given: Certificates | None) -> Identity | None:
    if given is None:
        return None
    return Identity(given.name, given.ca, given.certificate, given.key, given.always)


def _listening(fd: int) -> socket.socket:
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    return sock


def _ignore() -> None:
    """For a signal that is not meant for this process."""
