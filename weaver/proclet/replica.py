"""One replica at work: its components, its connections, its link to the envelope.

It puts the parts together in the order in which they start, and takes them apart in the reverse
one. What each part does is its own file's business.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from weaver.control import messages as m
from weaver.errors import WeaverError
from weaver.proclet import context, current, tracing
from weaver.proclet.advertised import check_bound, listening_address
from weaver.proclet.control_link import ControlLink
from weaver.proclet.deployment import Deployment
from weaver.proclet.dispatcher import Dispatcher
from weaver.proclet.distributed import DistributedPlacement
from weaver.proclet.entry import run_entry
from weaver.proclet.fault import fault_of
from weaver.proclet.host import Host
from weaver.proclet.inherited import inherited_sockets
from weaver.proclet.injection import Injection
from weaver.proclet.log_capture import LogCapture
from weaver.proclet.network import Network
from weaver.proclet.preload import Preloaded
from weaver.proclet.profiling import Profiler, Stacks
from weaver.proclet.reporting import Reporting
from weaver.proclet.spinning import worth_it
from weaver.proclet.threads import Workers
from weaver.proclet.tuning import tune
from weaver.proclet.whose import Whose
from weaver.routing import Routing
from weaver.rpc.handshake import Hello
from weaver.rpc.limits import Limits
from weaver.transport.tls import identity_of

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
        self._grace = float(self._config.app.stop_timeout)
        self._until: float | None = None
        self._accepting = hosting.accepting
        self._others = False
        self._injection: Injection | None = None
        self._routing = Routing()
        self._profiler = Profiler()
        self._network: Network | None = None
        self.link = ControlLink(self._receive, self._orphaned)
        self._reporting = Reporting(self.link.send, hosting.heartbeat)

    async def run(self) -> int:
        """Start, serve until told to stop, stop in order."""
        application = self._hosting.application
        await self.link.open(self._control)
        origin = {
            "group": self._hosting.group,
            "replica": self._hosting.replica,
            "version": application.version,
        }
        components = self._definition.graph.components.values()
        tracing.configure(
            self._config.app.trace_sample,
            replica=self._hosting.replica,
            version=application.version,
        )
        capture = LogCapture(self.link.log, origin, Whose(components), self.link.flush)
        capture.install()
        self._loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        self._loop.add_signal_handler(signal.SIGINT, _ignore)  # the manager orders the end
        self._reporting.begin()
        try:
            return await self._serve()
        except Exception as error:
            if not isinstance(error, WeaverError):
                log.exception("the replica cannot go on")
            self.link.send(m.Failed(fault_of(error)))
            return 1
        finally:
            self._reporting.end()
            self._profiler.close()
            capture.remove()
            self.link.close()

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
            sockets=inherited_sockets(hosting),
            accepting=self._accepting,
        )
        values = self._injection.values()
        self._workers = Workers(config.app.threads)
        self._loop.set_default_executor(self._workers.executor)
        self._network = network = self._connect()
        network.update(self._routing)  # it may have come before this process could follow it
        self._placement = DistributedPlacement(
            network, strict_copies=hosting.application.strict_copies
        )
        self._host = Host(
            self._definition,
            values,
            self._placement,
            stop_timeout=self._grace,
            hosted=hosting.order.components,
        )
        self._reporting.observe(self._host, network)

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
            prefer=hosting.order.prefer,
            tls=identity_of(application.certificates),
            spin=worth_it(config.app.spin),
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
        assert self._network is not None
        assert self._injection is not None
        address = await self._network.listen(f"unix:{path}")
        remote = await self._listen_for_other_hosts(self._network)
        tune()
        application = self._hosting.application
        self.link.send(
            m.RegisterReplica(
                address,
                components=self._hosting.order.components,
                build=application.version,
                deployment=application.deployment,
                remote=remote,
                serving=self._injection.private_addresses(),
                beyond=self._injection.addresses_beyond(),
            )
        )

    async def _listen_for_other_hosts(self, network: Network) -> str:
        """Take calls at the host's address, if there are other hosts; where they dial it, or ""."""
        advertise = self._hosting.advertise
        if not advertise:
            return ""
        bound = await network.listen(listening_address(advertise, network.terms.identity))
        check_bound(advertise, bound)
        return bound

    async def _run_entry(self) -> None:
        entry = self._hosting.order.entry
        await run_entry(
            self._definition.graph.components.get(entry),
            self._host.instances.get(entry),
            self._stop,
            drain=self._drain_listeners,
            grace=self._left,
        )
        if not self._stop.is_set():
            self.link.send(m.Ended())
            await self._stop.wait()

    async def _drain(self) -> None:
        """Take nothing new, and let end what is in flight."""
        assert self._network is not None
        await self._drain_listeners()
        try:
            async with asyncio.timeout(self._left()):
                await self._network.drain()
        except TimeoutError:
            log.warning("calls in flight did not end within %g s; they are cancelled", self._grace)

    async def _drain_listeners(self) -> bool:
        assert self._injection is not None
        try:
            async with asyncio.timeout(self._left()):
                return await self._injection.drain(others=self._others)
        except TimeoutError:
            log.warning("requests did not end within %g s; they are cancelled", self._grace)
            return False

    def _left(self) -> float:
        """Seconds that what is in flight may still take."""
        if self._until is None:
            return self._grace
        return max(self._until - self._loop.time(), 0.1)  # for what ends when it is cancelled

    def _stop_within(self, grace: float) -> None:
        """End: what is in flight has this long in all, and then each component as long again."""
        self._until = self._loop.time() + min(grace, self._grace)
        self._grace = min(self._grace, max(grace, LEAST_GRACE))
        self._stop.set()

    async def _end(self) -> None:
        await self._drain()
        self._host.stop_timeout = self._grace
        await self._host.stop()
        if self._injection is not None:
            self._injection.close()
        await self._placement.aclose()
        self._loop.set_default_executor(ThreadPoolExecutor())
        self._workers.close()

    # --- the envelope's words ---

    def _receive(self, message: m.ToProclet) -> None:
        match message:
            case m.NewRouting(routing=routing):
                self._routing = max(self._routing, routing, key=lambda r: r.version)
                if self._network is not None:
                    self._network.update(routing)
            case m.Probe(nonce=nonce):
                application = self._hosting.application
                self.link.send(m.Probed(nonce, application.deployment, application.version))
            case m.Accept(accepting=accepting):
                self._accepting = accepting
                if self._injection is not None:
                    self._injection.accept(accepting=accepting)
            case m.Stop(grace=grace, others=others):
                self._others = others
                self._stop_within(grace)
            case m.Profile(seconds=seconds):
                if not self._profiler.start(seconds, self._profiled):
                    log.warning("a profile is being made already")
            case _:
                log.debug("ignored: %s", type(message).__name__)

    def _orphaned(self) -> None:
        """The envelope is gone: nobody restarts, routes to or stops this replica any more."""
        self._stop_within(ORPHAN_LIVES / 2)
        self._loop.call_later(ORPHAN_LIVES, os._exit, 1)

    def _profiled(self, stacks: Stacks) -> None:
        """Called in the profiler's thread; the loop may have ended meanwhile."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.link.send, m.Profiled(stacks))


LEAST_GRACE = 0.5
"""Seconds that each component may take to stop also where nobody waits for what is in flight."""

ORPHAN_LIVES = 2.5
"""Seconds that a replica without an envelope may take to end."""


def _ignore() -> None:
    """For a signal that is not meant for this process."""
