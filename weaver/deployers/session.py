"""One deployment from its first process to its last, as the machine of its manager sees it.

Puts control loop, journal, deployer, the manager's socket and the registry together; the foreground
run and the detached manager are the same but for who watches.
"""

import asyncio
import contextlib
import getpass
import logging
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from weaver.control.messages import Fault
from weaver.deployers import registry
from weaver.deployers.control_loop import ControlLoop, Outcome
from weaver.deployers.deployer import OwnedDeployer
from weaver.deployers.directories import runtime_directory, state_directory
from weaver.deployers.estate import Estate
from weaver.deployers.journal import Journal
from weaver.deployers.manager_server import ManagerServer
from weaver.errors import WeaverError

log = logging.getLogger("weaver.manager")

Watch = Callable[[ControlLoop], Awaitable[None]]
"""Runs beside the control loop; it is cancelled when the deployment has ended."""


async def manage(
    estate: Estate,
    deployer_in: Callable[[Path], OwnedDeployer],
    *,
    watch: Watch | None = None,
    prepared: Callable[[ControlLoop], None] | None = None,
    finished: Callable[[Outcome], Awaitable[None]] | None = None,
) -> Outcome:
    """Run a deployment until it has ended, or go on with one whose manager has.

    `deployer_in` makes the deployer, given the directory for sockets of this machine. `prepared`
    gets the control loop before anything is started; `finished` is awaited when all has ended,
    before anybody is told. Raises WeaverError for a directory that cannot
    be used.
    """
    estate = msgspec.structs.replace(estate, started=estate.started or time.time())
    spec = estate.spec
    application = spec.application
    sockets = runtime_directory(application.deployment)
    folder = state_directory("journals", application.app, application.deployment)
    deployer = deployer_in(sockets)
    record = _record(estate, sockets)
    over = spec.foreground
    try:
        with Journal(folder) as journal:
            journal.inherit(estate.desired, estate.epoch)
            left = None if spec.foreground else estate
            loop = ControlLoop(spec, journal, deployer, started=record.started, estate=left)
            if prepared is not None:
                prepared(loop)
            outcome = await _run(loop, record, watch, finished)
        over = over or outcome.result != "fenced" or bool(record.hosts)
        await deployer.aclose()
    except BaseException:
        await deployer.aclose(2.0)
        raise
    finally:
        if over:  # else replicas serve on here, and their envelopes' sockets with them
            shutil.rmtree(sockets, ignore_errors=True)
        if spec.foreground:
            shutil.rmtree(folder, ignore_errors=True)
    return outcome


async def _run(
    loop: ControlLoop,
    record: registry.Record,
    watch: Watch | None,
    finished: Callable[[Outcome], Awaitable[None]] | None,
) -> Outcome:
    async with ManagerServer(loop, Path(record.socket)) as server:
        registry.write(record)
        watching = asyncio.ensure_future(watch(loop)) if watch is not None else None
        try:
            outcome = await loop.run()
            if finished is not None:
                await finished(outcome)
            _note_end(record, outcome.result, outcome.fault, outcome.unended)
        except BaseException:
            _note_end(record, "interrupted")
            raise
        finally:
            if watching is not None:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching
        await server.settle(2.0)
    return outcome


def _note_end(
    record: registry.Record,
    result: str,
    fault: Fault | None = None,
    unended: tuple[str, ...] = (),
) -> None:
    """Write down how it ended; where that cannot be, it has ended all the same."""
    try:
        registry.ended(record, result, fault, unended if record.hosts else ())
    except WeaverError as error:
        log.warning("%s: %s", error.what, error.why)


def _record(estate: Estate, sockets: Path) -> registry.Record:
    application = estate.spec.application
    return registry.Record(
        app=application.app,
        deployment=application.deployment,
        version=application.version,
        pid=os.getpid(),
        socket=str(sockets / "manager.sock"),
        started=estate.started,
        foreground=estate.spec.foreground,
        user=_user(),
        revision=estate.revision,
        hosts=tuple(estate.pythons),
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
