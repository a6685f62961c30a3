"""The application under test as many processes: replicas elsewhere, fakes and the test body here.

The test process takes part in the data plane like a replica that nobody starts: calls to fakes
come in on its socket, calls of the test go out over the routing that the manager computes.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Self

from weaver.config.configuration import Config
from weaver.control.faults import error_of
from weaver.control.messages import LogRecord
from weaver.deployers.control_loop import ControlLoop, Outcome
from weaver.deployers.journal import Journal
from weaver.deployers.multiprocess import Multiprocess
from weaver.errors import ComponentError, StartError, UsageError, WeaverError
from weaver.manager.placement import EXTERNAL
from weaver.manager.state import Replica, Spec
from weaver.proclet import context, current
from weaver.proclet.definition import Definition
from weaver.proclet.deployment import Deployment
from weaver.proclet.dispatcher import Dispatcher
from weaver.proclet.distributed import DistributedPlacement
from weaver.proclet.host import Host
from weaver.proclet.network import Network
from weaver.proclet.threads import Workers
from weaver.rpc.handshake import Hello
from weaver.rpc.limits import Limits
from weaver.testing.spec import spec_of, split

PATIENCE: Final = 30.0
"""Seconds that the manager may take to end, beyond what it gives replicas; and a kill to show."""

SOCKET: Final = "test.sock"

ENVELOPE: Final = (sys.executable, "-I", "-m", "weaver.application.main", "envelope")


class ManyProcesses:
    """One application under test in processes of this machine; `spec` says which.

    `folder` is a directory of its own for sockets and journal, removed at the end. The address of
    this process, `unix:FOLDER/test.sock`, is that of the group of fakes in `spec`.
    """

    def __init__(self, definition: Definition, config: Config, spec: Spec, folder: Path) -> None:
        self._definition = definition
        self._config = config
        self._spec = spec
        self._folder = folder
        self._ended = asyncio.Event()
        self._faults: dict[str, WeaverError] = {}

    @classmethod
    def of(
        cls, definition: Definition, tables: Mapping[str, Any], *, source: str, entry: str
    ) -> Self:
        """The application that a test describes. Raises UsageError and ConfigError."""
        folder = Path(tempfile.mkdtemp(prefix="weaver-test-"))  # short, for sockets
        address = f"unix:{folder / SOCKET}"
        try:
            spec, config = spec_of(
                definition, split(tables), source=source, entry=entry, address=address
            )
        except BaseException:
            folder.rmdir()
            raise
        return cls(definition, config, spec, folder)

    async def start(self) -> None:
        """Start all processes; returns when every component takes calls. Raises StartError."""
        context.observe_asyncio_timeouts()
        self._stack = contextlib.AsyncExitStack()
        try:
            self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
            await self._join()
            await self._deploy()
        except BaseException:
            await self._stack.aclose()
            raise

    async def _join(self) -> None:
        """Host the fakes, and take calls to them."""
        loop = asyncio.get_running_loop()
        workers = Workers(self._config.app.threads)
        self._stack.callback(workers.close)
        loop.set_default_executor(workers.executor)
        # The loop may outlive the application, and needs an executor that still works.
        self._stack.callback(lambda: loop.set_default_executor(ThreadPoolExecutor()))
        self._network = Network(
            self._definition,
            Dispatcher(self._definition.table, lambda name: self._host.instances[name], workers),
            hello=self._hello(),
            timeout=self._config.app.timeout,
            limits=Limits(
                max_message=self._config.app.max_message,
                max_reassembly=max(2 * self._config.app.max_message, 2**27),
            ),
            replica=EXTERNAL,
        )
        placement = DistributedPlacement(self._network, strict_copies=True)
        self._stack.push_async_callback(placement.aclose)
        self._host = Host(
            self._definition,
            {},
            placement,
            stop_timeout=self._config.app.stop_timeout,
            hosted=self._definition.fakes,
        )
        application = self._spec.application
        deployment = Deployment(
            app=application.app,
            version=application.version,
            deployment=application.deployment,
            group="test",
            replica=EXTERNAL,
        )
        token = current.enter(current.Running(self._host, self._definition, deployment, loop))
        self._stack.callback(current.leave, token)
        await self._host.start()
        self._stack.push_async_callback(self._host.stop)
        await self._network.listen(f"unix:{self._folder / SOCKET}")

    def _hello(self) -> Hello:
        application = self._spec.application
        return Hello(
            deployment=application.deployment,
            build=application.version,
            methods=self._definition.table.hash,
            replica=EXTERNAL,
        )

    async def _deploy(self) -> None:
        journal = self._stack.enter_context(Journal(self._folder))
        deployer = Multiprocess(ENVELOPE, self._folder)
        self._loop = ControlLoop(self._spec, journal, deployer)
        for task in (self._print(), self._follow()):  # until the last replica has ended
            self._stack.push_async_callback(_cancelled, asyncio.ensure_future(task))
        self._stack.push_async_callback(deployer.aclose)
        running = asyncio.ensure_future(self._loop.run())
        self._stack.push_async_callback(self._finish, running)
        live = asyncio.ensure_future(self._loop.wait_live())
        self._stack.callback(live.cancel)
        await asyncio.wait((live, running), return_when=asyncio.FIRST_COMPLETED)
        if not live.done():
            await asyncio.wait((live,), timeout=1.0)
        try:
            if not live.done():
                running.result()
            live.result()
        except WeaverError as error:
            fault = self._loop.state.fault
            component = fault.component if fault is not None else ""
            raise StartError(
                error.what, component=component, where=error.where, why=error.why, fix=error.fix
            ) from None
        self._look()

    async def _finish(self, running: "asyncio.Future[Outcome]") -> None:
        """End the replicas, in order if this has not been asked for yet."""
        self._loop.request_stop()
        limit = 3 * float(self._spec.stop_timeout) + PATIENCE
        await asyncio.wait((running,), timeout=limit)
        await _cancelled(running)

    # --- what the manager knows ---

    async def _follow(self) -> None:
        with self._loop.changes.follow() as reader:
            self._look()
            while True:
                await reader.take()
                self._look()

    def _look(self) -> None:
        state = self._loop.state
        self._network.update(state.routing)
        for replica in state.replicas.values():
            if replica.fault is not None and state.spec.groups[replica.group].entry:
                fault = replica.fault
                self._faults.setdefault(
                    replica.group,
                    ComponentError(
                        fault.what,
                        component=fault.component,
                        where=fault.where,
                        why=fault.why,
                        fix=fault.fix,
                    ),
                )
        if state.phase in {"stopping", "stopped"}:
            self._ended.set()

    async def _print(self) -> None:
        """Show what replicas say where pytest shows what tests say."""
        with self._loop.logs.follow() as reader:
            while True:
                for record in await reader.take():
                    _show(record)

    # --- the application, as a test sees it ---

    @property
    def listeners(self) -> dict[str, str]:
        """The address of each listener by name."""
        envelopes = self._loop.state.envelopes.values()
        return {name: where for e in envelopes for name, where in e.listeners.items()}

    def request_stop(self) -> None:
        """End `run_main`."""
        self._ended.set()

    async def run_main(self) -> None:
        """Wait for the stop; `main` runs in its replica. Raises ComponentError if it has failed."""
        await self._ended.wait()
        for error in self._faults.values():
            raise error
        fault = self._loop.state.fault
        if fault is not None:
            raise error_of(fault)

    async def stop(self) -> None:
        """End every replica, callers first, then the fakes. Safe to call twice."""
        await self._stack.aclose()

    async def kill(self, component: str) -> int:
        """SIGKILL one replica that hosts a component; its pid, when the manager knows it is gone.

        Calls go to the others from then on; a new one is being started. Raises UsageError if no
        replica hosts it.
        """
        victim = next(iter(self._ready(component)), None)
        if victim is None:
            raise UsageError(
                f"no replica of {component} can be killed",
                why="it is a fake, which is in this process, or none of its replicas is ready",
            )
        with self._loop.changes.follow() as reader:
            os.kill(victim.pid, signal.SIGKILL)
            async with asyncio.timeout(PATIENCE):
                while self._is_up(victim):
                    await reader.take()
        self._look()
        return victim.pid

    def _ready(self, component: str) -> list[Replica]:
        state = self._loop.state
        return [
            replica
            for replica in state.replicas.values()
            if replica.stage == "ready" and component in state.spec.groups[replica.group].components
        ]

    def _is_up(self, replica: Replica) -> bool:
        found = self._loop.state.replicas.get(replica.id)
        return found is not None and found.pid == replica.pid


async def _cancelled(task: "asyncio.Future[Any]") -> None:
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled() and task.exception() is not None:
        raise task.exception() or AssertionError


def _show(record: LogRecord) -> None:
    """Log records go to the logging of this process, which pytest captures; prints are shown."""
    text = f"[{record.replica or 'envelope'}] {record.message}"
    if record.stream == "log":
        level = logging.getLevelNamesMapping().get(record.level.upper(), logging.INFO)
        logging.getLogger(record.logger or "weaver").log(level, "%s", text)
    else:
        print(text, file=sys.stderr)  # noqa: T201 - the output of the application
