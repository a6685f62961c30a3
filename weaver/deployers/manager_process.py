"""The role `manager` of a PEX: the manager of a detached deployment, in a process of its own.

It is told what to run on its standard input, so that nothing secret is in its arguments or in a
file. What it says itself is in its log file in the state directory.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from weaver.deployers.control_loop import ControlLoop, Outcome
from weaver.deployers.deployer import OwnedDeployer
from weaver.deployers.estate import Estate
from weaver.deployers.identities import acquainted
from weaver.deployers.multiprocess import Multiprocess
from weaver.deployers.retirement import retire
from weaver.deployers.rollout_loop import RolloutLoop
from weaver.deployers.session import Session, Watch
from weaver.deployers.ssh.site import Site
from weaver.deployers.versions import Versions
from weaver.errors import UsageError, WeaverError

if TYPE_CHECKING:
    from weaver.deployers.ssh.deployer import SshDeployer
    from weaver.deployers.ssh.host_connections import HostConnections

log = logging.getLogger("weaver.manager")


class Former(msgspec.Struct, frozen=True):
    """A version that runs already, as its envelopes recall it.

    `hands_over`: another version can take its listeners over from them.
    """

    estate: Estate
    sites: dict[str, Site] = {}
    hands_over: bool = True


class Task(msgspec.Struct, frozen=True):
    """What a manager process is started with. `former` are older versions, the newest first."""

    estate: Estate
    sites: dict[str, Site] = {}
    """The hosts, where they are reached over SSH."""
    passphrases: dict[str, str] = {}
    """Of keys, by file: nobody can be asked any more."""
    former: tuple[Former, ...] = ()
    lock: str = ""
    """What proves the command's lock on the hosts: it is given back if that is killed."""


def main(argv: Sequence[str]) -> int:
    """Run the manager until every version has ended; 0 if that was asked for."""
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
    versions = _versions(task)
    try:
        application = task.estate.spec.application
        retire(application.app, (v.estate.spec.application.deployment for v in versions))
        return asyncio.run(_run(versions, task.passphrases, task.lock))
    except WeaverError as error:
        log.error("%s", error)  # noqa: TRY400 # its four parts say more than a traceback
        return 1


def _versions(task: Task) -> list[Former]:
    """What is to run, the newest first; the hosts of each can reach those before it."""
    found = [Former(task.estate, task.sites), *task.former]
    estates = acquainted([each.estate for each in found])
    return [
        msgspec.structs.replace(each, estate=estate)
        for each, estate in zip(found, estates, strict=True)
    ]


async def _note_start(loop: ControlLoop) -> None:
    """Write the application's log down until it is live, for whoever asks why it is not."""
    with loop.logs.follow() as reader:
        while loop.state.phase == "starting":
            for record in await reader.take():
                log.info("%s %s: %s", record.level, record.replica, record.message)


async def _audit(loop: ControlLoop, deployer: "SshDeployer") -> None:
    """Keep in the audit logs of hosts how many replicas somebody has asked for."""
    with loop.history.follow() as reader:
        while True:
            for entry in await reader.take():
                if entry.kind == "scaled":
                    await deployer.note("scale", entry.text)


def _watching(over_ssh: Mapping[str, "SshDeployer"], lock: str) -> Watch:
    """What is written down of each version while it runs; `over_ssh` has their deployers.

    `lock` is that of the command which has started this process.
    """

    async def watch(loop: ControlLoop) -> None:
        deployer = over_ssh.get(loop.state.spec.application.deployment)
        async with asyncio.TaskGroup() as group:
            group.create_task(_note_start(loop))
            if deployer is not None:
                group.create_task(_audit(loop, deployer))
                if lock:
                    group.create_task(deployer.give_back_lock(lock))

    return watch


async def _run(found: Sequence[Former], passphrases: dict[str, str], lock: str) -> int:
    connections = _connections(passphrases) if any(one.sites for one in found) else None
    over_ssh: dict[str, SshDeployer] = {}

    def open_one(one: Former, above: int) -> Session:
        def deployer_in(sockets: Path) -> OwnedDeployer:
            if connections is None:
                return Multiprocess(one.estate.command, sockets, daemon=True)
            deployer = _over_ssh(one, connections)
            over_ssh[one.estate.spec.application.deployment] = deployer
            return deployer

        return Session(one.estate, deployer_in, above=above)

    async def finished(session: Session, outcome: Outcome) -> None:
        if session.deployment in over_ssh and outcome.result == "stopped":
            await over_ssh[session.deployment].note("stop", session.result or "stopped")

    marking: set[asyncio.Task[None]] = set()

    def good(session: Session) -> None:
        if session.deployment in over_ssh:
            before = tuple(marking)
            marking.add(asyncio.ensure_future(_mark(over_ssh[session.deployment], before)))

    with contextlib.ExitStack() as stack:
        sessions: list[Session] = []
        # Epochs of all versions rise together: the numbers that they begin must never fall.
        above = max(one.estate.epoch for one in found)
        for one in reversed(found):  # those that run before the one that may not be able to
            session = open_one(one, above)
            stack.callback(session.close)
            sessions.insert(0, session)
            above = max(above, session.loop.epoch - 1)
        versions = Versions(sessions, RolloutLoop(sessions, good))
        running = asyncio.get_running_loop()
        running.add_signal_handler(signal.SIGTERM, versions.request_stop)
        running.add_signal_handler(signal.SIGINT, lambda: None)
        went_well = await versions.run(watch=_watching(over_ssh, lock), finished=finished)
    return 0 if went_well else 1


async def _mark(deployer: "SshDeployer", before: Sequence[asyncio.Task[None]]) -> None:
    """Have hosts note which release is good, after the earlier ones: the last one counts."""
    for task in before:
        task.cancel()
    if before:
        await asyncio.wait(before)
    await deployer.note_good()


def _connections(passphrases: dict[str, str]) -> "HostConnections":
    from weaver.deployers.ssh.client import Client
    from weaver.deployers.ssh.host_connections import HostConnections

    client = Client(ask=lambda key: passphrases.get(str(key)))
    return HostConnections(client.connect)


def _over_ssh(one: Former, connections: "HostConnections") -> "SshDeployer":
    from weaver.deployers.ssh.deployer import SshDeployer

    application = one.estate.spec.application
    return SshDeployer(
        one.sites,
        application.deployment,
        connections,
        app=application.app,
        version=application.version,
    )
