"""The versions of one application that run under this manager, and the rollout between them.

Decides that all of them end with the application, and that each is reached on a socket of its own.
What traffic goes where is the rollout's.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from weaver.control.faults import fault_of
from weaver.control.messages import Profiled
from weaver.control.operator import Execute, Executed, Status
from weaver.control.rollout import Action, RolloutReport
from weaver.control.traffic import Traffic
from weaver.deployers.control_loop import ControlLoop, Outcome
from weaver.deployers.rollout_loop import RolloutLoop
from weaver.deployers.session import Session, Watch
from weaver.errors import WeaverError
from weaver.manager.events import TrafficOrdered

log = logging.getLogger("weaver.manager")


class Versions:
    """Runs sessions, the newest first, and the rollout of that one. Await `run` once."""

    def __init__(self, sessions: Sequence[Session], rolling: RolloutLoop) -> None:
        self.rolled = rolling.changes
        self._sessions = list(sessions)
        self._rolling = rolling
        self._tasks: list[asyncio.Task[Outcome]] = []
        self._stopping: asyncio.Task[None] | None = None

    async def run(
        self,
        *,
        watch: Watch | None = None,
        finished: Callable[[Session, Outcome], Awaitable[None]] | None = None,
    ) -> bool:
        """Run until every version has ended; whether none of them failed.

        `watch` sees the newest one; `finished` is awaited when a version has ended.
        """
        self._rolling.begin()  # its orders are the first ones that a new version's envelopes get
        for number, session in enumerate(self._sessions):
            running = self._run(session, None if number else watch, finished)
            self._tasks.append(asyncio.ensure_future(running))
        rolling = asyncio.ensure_future(self._rolling.run())
        try:
            await asyncio.wait(self._tasks)
        finally:
            for task in (rolling, *self._tasks, self._stopping):
                if task is not None and not task.done():
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
        return all(_went_well(task) for task in self._tasks)

    async def _run(
        self,
        session: Session,
        watch: Watch | None,
        finished: Callable[[Session, Outcome], Awaitable[None]] | None,
    ) -> Outcome:
        async def tell(outcome: Outcome) -> None:
            if finished is not None:
                await finished(session, outcome)

        try:
            return await session.run(
                served=_Served(self, session.loop), steered=self, watch=watch, finished=tell
            )
        except WeaverError as error:
            log.error("%s", error)  # noqa: TRY400 # its four parts say more than a traceback
            self._rolling.gone(session, fault_of(error))
            raise
        finally:
            self._rolling.ended(session)

    def share(self, loop: ControlLoop) -> float:
        """The share of users' requests that a version gets, from 0 to 1."""
        return self._rolling.share(loop)

    def request_stop(self, *, at_once: bool = False) -> None:
        """End every version, the newest first; `run` returns when they have ended."""
        if self._stopping is None:
            self._rolling.halt()
            self._stopping = asyncio.ensure_future(self._stop(at_once=at_once))
        elif at_once:
            for session in self._sessions:
                session.loop.request_stop(at_once=True)

    async def stop(self, *, at_once: bool) -> None:
        """End every version, the newest first; returns when they have ended."""
        self.request_stop(at_once=at_once)
        if self._stopping is not None:
            await asyncio.shield(self._stopping)

    async def _stop(self, *, at_once: bool) -> None:
        for session in self._sessions:
            if session.deployment in self._rolling.beneath:  # they would take connections
                await session.loop.stop(at_once=at_once)
        # Whoever ends leaves its connections to those that still run: they have to accept them.
        for session in self._sessions[1:]:
            accepting = dict.fromkeys(session.spec.hosts, Traffic())
            session.loop.happen(TrafficOrdered(accepting))
        for session in self._sessions:
            await session.loop.stop(at_once=at_once)

    def rollout(self) -> RolloutReport:
        """The rollout now."""
        return self._rolling.report()

    def steer(self, action: Action) -> None:
        """Intervene in the rollout. Raises UsageError where that makes no sense now."""
        self._rolling.steer(action)

    def retire(self) -> None:
        """Leave every version to another manager: `run` ends, and all serve on."""
        self._rolling.halt()
        for session in self._sessions:
            session.retire()
        running = asyncio.get_running_loop()
        for task in self._tasks:
            running.call_soon(task.cancel)


class _Served:
    """One version, as the command line acts on it: what ends it ends the others, too."""

    def __init__(self, versions: Versions, loop: ControlLoop) -> None:
        self.logs = loop.logs
        self.history = loop.history
        self.changes = loop.changes
        self.spans = loop.spans
        self._versions = versions
        self._loop = loop

    def status(self) -> Status:
        """The deployment now, with its share of the requests."""
        status = self._loop.status()
        share = self._versions.share(self._loop)
        report = msgspec.structs.replace(status.report, traffic=share)
        return msgspec.structs.replace(status, report=report)

    def scale(self, group: str, replicas: int) -> None:
        """Run so many replicas from now on. Raises UsageError for an unknown group."""
        self._loop.scale(group, replicas)

    async def stop(self, *, at_once: bool) -> None:
        """End the application."""
        await self._versions.stop(at_once=at_once)

    async def profile(self, replica: str, seconds: float) -> Profiled:
        """What a replica does for so many seconds. Raises WeaverError."""
        return await self._loop.profile(replica, seconds)

    async def execute(self, request: Execute) -> Executed:
        """Run a command on the host of a replica. Raises WeaverError."""
        return await self._loop.execute(request)


def _went_well(task: "asyncio.Task[Outcome]") -> bool:
    if task.cancelled():
        return True  # another manager has taken over
    return task.exception() is None and task.result().result != "failed"
