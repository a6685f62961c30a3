"""One deployment on this machine, from its first process to its last.

Puts control loop, journal, deployer, the manager's socket and the registry together; the foreground
run and the detached manager are the same but for who watches.
"""

import asyncio
import contextlib
import getpass
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from weaver.deployers import registry
from weaver.deployers.control_loop import ControlLoop, Outcome
from weaver.deployers.directories import runtime_directory, state_directory
from weaver.deployers.journal import Journal
from weaver.deployers.manager_server import ManagerServer
from weaver.deployers.multiprocess import Multiprocess
from weaver.manager.state import Spec

Watch = Callable[[ControlLoop], Awaitable[None]]
"""Runs beside the control loop; it is cancelled when the deployment has ended."""


async def manage(
    spec: Spec,
    command: Sequence[str],
    *,
    revision: str = "",
    watch: Watch | None = None,
    prepared: Callable[[ControlLoop], None] | None = None,
) -> Outcome:
    """Run a deployment until it has ended. `command` starts an envelope.

    `prepared` gets the control loop before anything is started. Raises WeaverError for a directory
    that cannot be used.
    """
    application = spec.application
    sockets = runtime_directory(application.deployment)
    folder = state_directory("journals", application.app, application.deployment)
    deployer = Multiprocess(command, sockets, daemon=not spec.foreground)
    record = registry.Record(
        app=application.app,
        deployment=application.deployment,
        version=application.version,
        pid=os.getpid(),
        socket=str(sockets / "manager.sock"),
        started=time.time(),
        foreground=spec.foreground,
        user=_user(),
        revision=revision,
    )
    try:
        with Journal(folder) as journal:
            loop = ControlLoop(spec, journal, deployer, started=record.started)
            if prepared is not None:
                prepared(loop)
            outcome = await _run(loop, record, watch)
        await deployer.aclose()
    except BaseException:
        await deployer.aclose(2.0)
        raise
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
        if spec.foreground:
            shutil.rmtree(folder, ignore_errors=True)
    return outcome


async def _run(loop: ControlLoop, record: registry.Record, watch: Watch | None) -> Outcome:
    async with ManagerServer(loop, Path(record.socket)) as server:
        registry.write(record)
        watching = asyncio.ensure_future(watch(loop)) if watch is not None else None
        try:
            outcome = await loop.run()
            registry.ended(record, outcome.result, outcome.fault)
        except BaseException:
            registry.ended(record, "interrupted")
            raise
        finally:
            if watching is not None:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching
        await server.settle(2.0)
    return outcome


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
