"""Runs a whole application in this process, on the running event loop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, Self

from weaver.config.configuration import Config
from weaver.proclet import context, current
from weaver.proclet.definition import Definition
from weaver.proclet.deployment import Deployment
from weaver.proclet.entry import run_entry
from weaver.proclet.host import Host, Placement
from weaver.proclet.injection import Injection
from weaver.proclet.local import LocalPlacement
from weaver.proclet.loopback import LoopbackPlacement
from weaver.proclet.threads import Workers

Calls = Literal["local", "rpc"]


class InProcess:
    """One application in this process. `entry` is the full name of the component with `main`.

    `calls` is "local" (direct calls, what co-location uses) or "rpc" (every call through codec and
    connection, over memory). `folder` is that of weaver.toml. Use as an async context manager, or
    call `start`, `run_main`, `stop`.
    """

    def __init__(
        self,
        definition: Definition,
        config: Config,
        *,
        entry: str | None,
        calls: Calls = "local",
        strict_copies: bool = False,
        app: str = "",
        folder: Path | None = None,
    ) -> None:
        self.definition = definition
        self.config = config
        self.entry = entry
        self.deployment = Deployment(app=str(app or config.app.name or "app"))
        self._folder = folder
        self._calls = calls
        self._strict_copies = strict_copies
        self._stop_requested = asyncio.Event()
        self._stopped = False
        self._token: current.Token | None = None

    async def start(self) -> None:
        """Bind listeners, start components. Raises ConfigError, ListenerError, StartError."""
        context.observe_asyncio_timeouts()
        self._injection = Injection(self.definition.graph, self.config, folder=self._folder)
        values = self._injection.values()
        self._workers = Workers(self.config.app.threads)
        loop = asyncio.get_running_loop()
        loop.set_default_executor(self._workers.executor)
        self._placement = self._make_placement()
        self.host = Host(
            self.definition,
            values,
            self._placement,
            stop_timeout=self.config.app.stop_timeout,
        )
        self._token = current.enter(
            current.Running(self.host, self.definition, self.deployment, loop)
        )
        try:
            await self.host.start()
        except BaseException:
            await self._close()
            raise

    def _make_placement(self) -> Placement:
        if self._calls == "local":
            return LocalPlacement(strict_copies=self._strict_copies)
        return LoopbackPlacement(
            self.definition.table,
            self._workers,
            deployment=self.deployment.deployment,
            timeout=self.config.app.timeout,
            max_message=self.config.app.max_message,
        )

    @property
    def listeners(self) -> dict[str, str]:
        """The address of each listener by name."""
        return {name: bound.address for name, bound in self._injection.listeners.items()}

    def request_stop(self) -> None:
        """End `run_main` in order: drain listeners, let `main` return, then cancel it."""
        self._stop_requested.set()

    async def run_main(self) -> None:
        """Run the entry's `main` until it returns or a stop is requested.

        Without a `main`, waits for the stop. Raises ComponentError if `main` raises.
        """
        component = self.definition.graph.components.get(self.entry or "")
        await run_entry(
            component,
            self.host.instances.get(self.entry or ""),
            self._stop_requested,
            drain=self._injection.drain,
            grace=lambda: self.config.app.stop_timeout,
        )

    async def stop(self) -> None:
        """Drain listeners, then stop components, callers first. Safe to call twice."""
        if self._stopped:
            return
        self._stopped = True
        await self._injection.drain()
        await self.host.stop()
        await self._close()

    async def _close(self) -> None:
        self._injection.close()
        await self._placement.aclose()
        # The loop may outlive the application, and needs an executor that still works.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        self._workers.close()
        if self._token is not None:
            current.leave(self._token)
            self._token = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()
