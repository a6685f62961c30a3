"""The role `manager` of a PEX: the manager of a detached deployment, in a process of its own.

It is told what to run on its standard input, so that nothing secret is in its arguments or in a
file. What it says itself is in its log file in the state directory.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from weaver.deployers.control_loop import ControlLoop, Outcome
from weaver.deployers.deployer import OwnedDeployer
from weaver.deployers.estate import Estate
from weaver.deployers.multiprocess import Multiprocess
from weaver.deployers.session import manage
from weaver.deployers.ssh.site import Site
from weaver.errors import UsageError, WeaverError

if TYPE_CHECKING:
    from weaver.deployers.ssh.deployer import SshDeployer

log = logging.getLogger("weaver.manager")


class Task(msgspec.Struct, frozen=True):
    """What a manager process is started with."""

    estate: Estate
    sites: dict[str, Site] = {}
    """The hosts, where they are reached over SSH."""
    passphrases: dict[str, str] = {}
    """Of keys, by file: nobody can be asked any more."""


def main(argv: Sequence[str]) -> int:
    """Run the manager until its deployment has ended; 0 if that was asked for."""
    del argv
    data = sys.stdin.buffer.read()
    try:
        task = msgspec.msgpack.decode(data, type=Task)
    except msgspec.MsgspecError as error:
        raise UsageError(
            "a manager is started by `weaver deploy`, not by hand", why=str(error)
        ) from error
    os.close(0)
    os.open(os.devnull, os.O_RDONLY)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        return asyncio.run(_run(task))
    except WeaverError as error:
        log.error("%s", error)  # noqa: TRY400 # its four parts say more than a traceback
        return 1


async def _note_start(loop: ControlLoop) -> None:
    """Write the application's log down until it is live, for whoever asks why it is not."""
    with loop.logs.follow() as reader:
        while loop.state.phase == "starting":
            for record in await reader.take():
                log.info("%s %s: %s", record.level, record.replica, record.message)


async def _run(task: Task) -> int:
    def prepared(loop: ControlLoop) -> None:
        running = asyncio.get_running_loop()
        running.add_signal_handler(signal.SIGTERM, loop.request_stop)
        running.add_signal_handler(signal.SIGINT, lambda: None)

    deployers: list[SshDeployer] = []

    def deployer_in(sockets: Path) -> OwnedDeployer:
        if task.sites:
            deployers.append(_over_ssh(task))
            return deployers[0]
        return Multiprocess(task.estate.command, sockets, daemon=True)

    async def finished(outcome: Outcome) -> None:
        if outcome.result == "stopped":
            for deployer in deployers:
                await deployer.note("stop", "stopped")

    outcome = await manage(
        task.estate, deployer_in, prepared=prepared, watch=_note_start, finished=finished
    )
    return 1 if outcome.result == "failed" else 0


def _over_ssh(task: Task) -> "SshDeployer":
    from weaver.deployers.ssh.client import Client
    from weaver.deployers.ssh.deployer import SshDeployer

    client = Client(ask=lambda key: task.passphrases.get(str(key)))
    application = task.estate.spec.application
    return SshDeployer(
        task.sites,
        application.deployment,
        client.connect,
        app=application.app,
        version=application.version,
    )
