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
from typing import Final

import msgspec

from weaver.control.ingress import FailedRequest
from weaver.control.messages import Fault
from weaver.deployers import registry
from weaver.deployers.control_loop import LOGS_KEPT, ControlLoop, Outcome
from weaver.deployers.deployer import OwnedDeployer
from weaver.deployers.directories import runtime_directory, state_directory
from weaver.deployers.estate import Estate
from weaver.deployers.journal import Journal
from weaver.deployers.kept_logs import KeptLogs
from weaver.deployers.left_logs import leave_only
from weaver.deployers.manager_server import Managed, ManagerServer, Steered
from weaver.errors import WeaverError

log = logging.getLogger("weaver.manager")

LINES: Final = 20
"""Last lines of log that a record has of a deployment that failed."""

MOST_SHIFTS: Final = 50
"""Steps of a rollout that are kept: one that falters goes back and forth."""

Watch = Callable[[ControlLoop], Awaitable[None]]
"""Runs beside the control loop; it is cancelled when the deployment has ended."""

DeployerIn = Callable[[Path], OwnedDeployer]
"""Makes a deployer, given the directory for sockets of this machine."""


class Session:
    """One deployment under this process; await `run` once, or `close` it.

    Its epoch is larger than `above`, and than that of all its earlier managers.
    Raises WeaverError for a directory that cannot be used, and where another manager writes there.
    """

    def __init__(self, estate: Estate, deployer_in: DeployerIn, *, above: int = 0) -> None:
        estate = msgspec.structs.replace(estate, started=estate.started or time.time())
        self.spec = estate.spec
        application = self.spec.application
        self.deployment = application.deployment
        self._folder = state_directory("journals", application.app, application.deployment)
        self.sockets = runtime_directory(application.deployment)
        try:
            self.deployer = deployer_in(self.sockets)
            self.record = _record(estate, self.sockets)
            self.journal = Journal(self._folder)
        except BaseException:
            self._leave_nothing()
            raise
        try:
            self.journal.inherit(estate.desired, estate.epoch, estate.rollout)
            left = None if self.spec.foreground else estate
            self.loop = ControlLoop(
                self.spec,
                self.journal,
                self.deployer,
                started=self.record.started,
                estate=left,
                above=above,
            )
        except BaseException:
            self.close()
            raise
        self._kept: KeptLogs | None = None
        if not self.spec.foreground:  # else whoever watches has seen it, and nothing goes on
            self.loop.logs = self._kept = KeptLogs(LOGS_KEPT, self._folder)
        self.result = ""
        """What the registry is told instead of "stopped"."""
        self.verdict: Fault | None = None
        self._retired = False

    def close(self) -> None:
        """Give journal and log back; what runs is left as it is."""
        self._close_logs()
        self.journal.close()

    async def run(
        self,
        *,
        served: Managed | None = None,
        steered: Steered | None = None,
        watch: Watch | None = None,
        finished: Callable[[Outcome], Awaitable[None]] | None = None,
    ) -> Outcome:
        """Run the deployment until it has ended, or go on with one whose manager has.

        The command line is served with `served`, or else with the control loop. `finished` is
        awaited when all has ended, before anybody is told.
        """
        try:
            with self.journal:
                try:
                    outcome = await self._serve(served or self.loop, steered, watch, finished)
                finally:
                    self._close_logs()
            await self.deployer.aclose()
        except BaseException:
            await self.deployer.aclose(2.0)
            if self.spec.foreground:
                self._clear(journal=True)
            raise
        fenced = outcome.result == "fenced"
        if self.spec.foreground or not fenced:
            self._clear(journal=self.spec.foreground or self._is_over(outcome))
        elif self.record.hosts and self._is_ours():  # else replicas serve on here, on sockets there
            self._clear(journal=False)
        return outcome

    def retire(self) -> None:
        """Leave the deployment to another manager on this machine: cancel `run` after this."""
        self._retired = True

    def note_good(self, *, good: bool) -> None:
        """Write down whether it was seen to serve as its users want it."""
        when = time.time() if good else 0.0
        self.record = msgspec.structs.replace(self.record, good=when)
        self.loop.bequeath(good=when)
        with contextlib.suppress(WeaverError):
            registry.write(self.record)

    def note_shift(self, phase: str, share: float) -> None:
        """Write down a step of the rollout to it: its share of the requests from now on."""
        shifts = (*self.record.shifts, registry.Shift(time.time(), phase, share))
        self.record = msgspec.structs.replace(self.record, shifts=shifts[-MOST_SHIFTS:])
        with contextlib.suppress(WeaverError):
            registry.write(self.record)

    def note_evidence(self, evidence: tuple[FailedRequest, ...], lines: tuple[str, ...]) -> None:
        """Have the record say what speaks against it, once it is written again."""
        self.record = msgspec.structs.replace(self.record, evidence=evidence, lines=lines)

    def last_lines(self) -> tuple[str, ...]:
        """What the application has logged last, and which replica did."""
        latest = list(self.loop.logs.latest)[-LINES:]
        return tuple(f"{record.replica} {record.message}".strip() for record in latest)

    def _close_logs(self) -> None:
        if self._kept is not None:
            self._kept.close()

    async def _serve(
        self,
        served: Managed,
        steered: Steered | None,
        watch: Watch | None,
        finished: Callable[[Outcome], Awaitable[None]] | None,
    ) -> Outcome:
        async with ManagerServer(served, Path(self.record.socket), steered) as server:
            registry.write(self.record)
            watching = asyncio.ensure_future(watch(self.loop)) if watch is not None else None
            try:
                outcome = await self.loop.run()
                if finished is not None:
                    await finished(outcome)
                self._note_end(outcome)
            except BaseException:
                self._note_end(None)
                raise
            finally:
                if watching is not None:
                    watching.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await watching
                if self._retired:
                    await server.settle(2.0)
            await server.settle(2.0)
        return outcome

    def _is_over(self, outcome: Outcome) -> bool:
        """Whether nothing of it is left to be looked at: one that failed may be."""
        return outcome.result in {"stopped", "ended"} and not outcome.unended

    def _is_ours(self) -> bool:
        """Whether no other manager of this machine has taken over: its record is there then."""
        return registry.latest(self.record).pid == os.getpid()

    def _note_end(self, outcome: Outcome | None) -> None:
        """Write down how it ended; where that cannot be, it has ended all the same."""
        if self._retired or not self._is_ours():
            return
        if outcome is None:
            outcome = Outcome("", None)
        self._close_logs()  # whoever reads of the end may read the log
        unended = outcome.unended if self.record.hosts else ()
        result: str = outcome.result or "interrupted"
        fault = outcome.fault
        if result == "stopped" and self.result:
            result, fault = self.result, self.verdict
        if result == "failed" and not self.record.lines:
            self.note_evidence(self.record.evidence, self.last_lines())
        try:
            # What its rollout has to note yet must not have it run again.
            self.record = registry.ended(self.record, result, fault, unended)
        except WeaverError as error:
            log.warning("%s: %s", error.what, error.why)

    def _leave_nothing(self) -> None:
        """Remove the directories of a deployment that has not begun; others are not empty."""
        if self.spec.foreground:
            self._clear(journal=True)
        for folder in (self.sockets, self._folder):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _clear(self, *, journal: bool) -> None:
        shutil.rmtree(self.sockets, ignore_errors=True)
        if journal and not self.spec.foreground:
            leave_only(self._folder)  # the log can be read still
        elif journal:
            shutil.rmtree(self._folder, ignore_errors=True)


async def manage(
    estate: Estate,
    deployer_in: DeployerIn,
    *,
    watch: Watch | None = None,
    prepared: Callable[[ControlLoop], None] | None = None,
    finished: Callable[[Outcome], Awaitable[None]] | None = None,
) -> Outcome:
    """Run one deployment by itself until it has ended.

    `prepared` gets the control loop before anything is started. Raises WeaverError for a directory
    that cannot be used.
    """
    session = Session(estate, deployer_in)
    if prepared is not None:
        prepared(session.loop)
    return await session.run(watch=watch, finished=finished)


def _record(estate: Estate, sockets: Path) -> registry.Record:
    """The record of a deployment under this manager; what an earlier one noted here, it keeps."""
    application = estate.spec.application
    found = registry.Record(
        app=application.app,
        deployment=application.deployment,
        version=application.version,
        pid=os.getpid(),
        # Of this process alone: one that takes over must not find the socket of the one before.
        socket=str(sockets / f"m{os.getpid()}.sock"),
        started=estate.started,
        foreground=estate.spec.foreground,
        user=_user(),
        revision=estate.revision,
        hosts=tuple(estate.pythons),
        listed={
            name: registry.Listed(host.labels, host.groups, host.slots)
            for name, host in estate.spec.hosts.items()
            if name in estate.pythons
        },
        good=estate.good,
    )
    known = registry.latest(found)
    return msgspec.structs.replace(found, user=known.user, shifts=known.shifts)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
