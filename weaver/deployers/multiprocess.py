"""Deploys on this machine: the envelope is a subprocess, reached over its Unix socket."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from weaver.deployers.deployer import (
    Command,
    Completed,
    Link,
    connect_unix,
    not_started,
    too_late,
)
from weaver.errors import WeaverError

HOST: Final = "local"
"""The name of this machine in a deployment without other hosts."""

POLL: Final = 0.002
"""Seconds between two looks for the socket of an envelope that starts."""


class Multiprocess:
    """Starts envelopes by `command`, with their sockets in `directory`.

    `daemon`: the envelope outlives this process; else it ends with it.
    """

    def __init__(self, command: Sequence[str], directory: Path, *, daemon: bool = False) -> None:
        self._command = list(command)
        self._directory = directory
        self._daemon = daemon
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    async def start_envelope(self, host: str) -> None:
        """Start the envelope of this machine; it accepts connections when this returns."""
        path = self._socket(host)
        command = [*self._command, "--socket", str(path), "--host", host]
        if self._daemon:
            command.append("--daemon")
        else:
            command += ["--parent", str(os.getpid())]
        process = self._processes[host] = await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.DEVNULL,
            stdout=None if not self._daemon else subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the manager, which ends replicas in order
        )
        ended = asyncio.ensure_future(process.wait())
        try:
            while not await self._listens(path):
                if ended.done() and (ended.result() or not self._daemon):
                    raise WeaverError(
                        "the envelope could not be started",
                        where=" ".join(command),
                        why=f"it ended with exit code {ended.result()}; see its message above",
                    )
                await asyncio.sleep(POLL)
        finally:
            if not ended.done() and self._daemon:
                await ended
            ended.cancel()

    def control_path(self, host: str) -> str:
        """Where the envelope listens."""
        return str(self._socket(host))

    async def connect(self, host: str) -> Link | None:
        """A link to the envelope, or None where none runs. Raises WeaverError."""
        return await connect_unix(self._socket(host))

    async def has_ended(self, host: str) -> bool:
        """Whether the envelope's process has ended: a moment after its link it has, or lives."""
        process = self._processes.get(host)
        if process is not None and not self._daemon:
            try:
                async with asyncio.timeout(1.0):
                    await process.wait()
            except TimeoutError:
                return False
            return True
        return not await self._listens(self._socket(host))

    async def execute(self, host: str, command: Command) -> Completed:
        """Run a command on this machine, in a process group of its own."""
        del host
        environment = {**os.environ, **command.environment}
        programs = str(Path(self._command[0]).parent)
        environment["PATH"] = f"{programs}:{environment.get('PATH', os.defpath)}"
        try:
            process = await asyncio.create_subprocess_exec(
                *command.words,
                env=environment,
                cwd=Path(self._command[0]).parents[2],  # the release: no sources are importable
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise not_started(command, error.strerror or str(error)) from error
        try:
            async with asyncio.timeout(command.seconds):
                stdout, stderr = await process.communicate()
        except TimeoutError as error:
            raise too_late(command) from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and what it has left behind
        return Completed(process.returncode or 0, stdout, stderr)

    async def aclose(self, seconds: float = 15.0) -> None:
        """Wait for envelopes that end with this process; kill what does not end in time."""
        if self._daemon:
            return
        for process in self._processes.values():
            try:
                async with asyncio.timeout(seconds):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    def _socket(self, host: str) -> Path:
        return self._directory / f"{host}.sock"

    @staticmethod
    async def _listens(path: Path) -> bool:
        link = await connect_unix(path)
        if link is not None:
            link.close()
        return link is not None
