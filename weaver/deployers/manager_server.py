"""Answers the command line on the manager's Unix socket, one request on each connection.

It must not know how a deployment does what is asked: that is its `Managed`.
"""

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from typing import Final, Protocol, Self

import msgspec

from weaver.control.faults import fault_of
from weaver.control.messages import LogRecord, Profiled, Spans
from weaver.control.operator import (
    Done,
    Execute,
    Executed,
    GetEvents,
    GetLogs,
    GetProfile,
    GetSpans,
    GetStatus,
    History,
    HistoryEvent,
    Records,
    Refused,
    Request,
    Retire,
    Scale,
    Status,
    StopDeployment,
    admits,
)
from weaver.control.rollout import ENDED, Action, GetRollout, RolloutReport, Steer
from weaver.control.spans import decode_span
from weaver.control.stream import LENGTH, Codec, encode
from weaver.deployers.feed import Feed
from weaver.errors import ProtocolError, UsageError, WeaverError
from weaver.transport.acceptor import Acceptor
from weaver.transport.listening import bind

log = logging.getLogger("weaver.manager")

REQUEST_TIMEOUT: Final = 10.0
"""Seconds a client may take to send its request."""

MAX_REQUEST: Final = 64 * 1024


class Managed(Protocol):
    """A deployment as the command line acts on it."""

    logs: Feed[LogRecord]
    history: Feed[HistoryEvent]
    changes: Feed[None]
    spans: Feed[bytes]

    def status(self) -> Status:
        """The deployment now."""
        ...

    def scale(self, group: str, replicas: int) -> None:
        """Run so many replicas from now on. Raises UsageError for an unknown group."""
        ...

    async def stop(self, *, at_once: bool) -> None:
        """End every replica; returns when they have ended."""
        ...

    async def execute(self, request: Execute) -> Executed:
        """Run a command on the host of a replica. Raises WeaverError."""
        ...

    async def profile(self, replica: str, seconds: float) -> Profiled:
        """What a replica does for so many seconds. Raises WeaverError."""
        ...


class Steered(Protocol):
    """The versions of an application under one manager, as the command line acts on them."""

    rolled: Feed[None]
    """An entry for every change of the rollout."""

    def rollout(self) -> RolloutReport:
        """The rollout now."""
        ...

    def steer(self, action: Action) -> None:
        """Intervene in the rollout. Raises UsageError where that makes no sense now."""
        ...

    def retire(self) -> None:
        """Leave every version to another manager."""
        ...


class ManagerServer:
    """Serves `managed` on the Unix socket `path`; use as an async context manager.

    `steered` are the versions that it is one of, where there can be others.
    """

    def __init__(self, managed: Managed, path: Path, steered: Steered | None = None) -> None:
        self._managed = managed
        self._steered = steered
        self._path = path
        self._codec: Codec[Request] = Codec(Request)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._acceptor = Acceptor(bind(f"unix:{self._path}"), self._protocol)
        self._acceptor.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._acceptor.close()
        await self._acceptor.connected()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2.0)
        with contextlib.suppress(OSError):
            os.unlink(self._path)  # noqa: PTH108 # one system call, nothing to resolve

    async def settle(self, seconds: float) -> None:
        """Let answers that are on their way be sent."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def _protocol(self) -> asyncio.BaseProtocol:
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), self._accept)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def served(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            writer.close()  # also of one that was cancelled before it began

        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(served)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                request = await self._read(reader)
            gone = asyncio.ensure_future(reader.read())  # ends when the client does
            answering = asyncio.ensure_future(self._answer(request, writer))
            try:
                await asyncio.wait((gone, answering), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for future in (gone, answering):
                    future.cancel()
                await asyncio.wait((gone, answering))
        except (OSError, EOFError, TimeoutError, ProtocolError) as error:
            log.debug("a client of the manager was dropped: %s", error)

    async def _read(self, reader: asyncio.StreamReader) -> Request:
        (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        if length > MAX_REQUEST:
            raise ProtocolError(f"a request of {length} bytes is too long")
        return self._codec.decode(await reader.readexactly(length))

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        try:
            await self._carry_out(request, writer)
            writer.write(encode(Done()))
            await writer.drain()
        except WeaverError as error:
            writer.write(encode(Refused(fault_of(error), isinstance(error, UsageError))))
            await writer.drain()
        except (ConnectionError, BrokenPipeError):
            return

    async def _carry_out(self, request: Request, writer: asyncio.StreamWriter) -> None:
        match request:
            case GetStatus(follow=follow):
                await self._status(writer, follow=follow)
            case GetLogs():
                await self._logs(request, writer)
            case GetEvents(follow=follow):
                await self._events(writer, follow=follow)
            case GetSpans(trace=trace):
                writer.write(encode(Spans(_of_trace(self._managed.spans, trace))))
            case GetRollout(follow=follow):
                await self._rollout(writer, follow=follow)
            case _:
                await self._act(request, writer)

    async def _act(self, request: Request, writer: asyncio.StreamWriter) -> None:
        match request:
            case Scale(group=group, replicas=replicas):
                self._managed.scale(group, replicas)
            case StopDeployment(at_once=at_once):
                await self._managed.stop(at_once=at_once)
            case GetProfile(replica=replica, seconds=seconds):
                writer.write(encode(await self._managed.profile(replica, seconds)))
            case Execute():
                writer.write(encode(await self._managed.execute(request)))
            case Steer(action=action):
                self._versions().steer(action)
            case Retire():
                self._versions().retire()
            case _:
                pass  # those that read

    async def _status(self, writer: asyncio.StreamWriter, *, follow: bool) -> None:
        with self._managed.changes.follow() as reader:
            writer.write(encode(self._managed.status()))
            while follow:
                await writer.drain()
                await reader.take()
                writer.write(encode(self._managed.status()))

    def _versions(self) -> Steered:
        if self._steered is None:
            raise UsageError(
                "this is a run in the foreground: there is no rollout",
                fix="deploy the application: weaver deploy",
            )
        return self._steered

    async def _rollout(self, writer: asyncio.StreamWriter, *, follow: bool) -> None:
        versions = self._versions()
        with versions.rolled.follow() as reader:
            report = versions.rollout()
            writer.write(encode(report))
            while follow and report.phase not in ENDED:
                await writer.drain()
                await reader.take()
                report = versions.rollout()
                writer.write(encode(report))

    async def _logs(self, request: GetLogs, writer: asyncio.StreamWriter) -> None:
        wanted = request.filter
        with self._managed.logs.follow() as reader:
            found = [r for r in self._managed.logs.latest if admits(wanted, r)]
            if wanted.tail >= 0:
                found = found[len(found) - min(wanted.tail, len(found)) :]
            writer.write(encode(Records(tuple(found))))
            while request.follow:
                await writer.drain()
                new = [r for r in await reader.take() if admits(wanted, r)]
                if new:
                    writer.write(encode(Records(tuple(new))))

    async def _events(self, writer: asyncio.StreamWriter, *, follow: bool) -> None:
        with self._managed.history.follow() as reader:
            writer.write(encode(History(tuple(self._managed.history.latest))))
            while follow:
                await writer.drain()
                writer.write(encode(History(tuple(await reader.take()))))


def _of_trace(spans: Feed[bytes], trace: str) -> tuple[bytes, ...]:
    return tuple(span for span in spans.latest if _belongs(span, trace.lower()))


def _belongs(span: bytes, trace: str) -> bool:
    try:
        return decode_span(span).trace.startswith(trace)
    except msgspec.MsgspecError:  # of a replica of another version
        return False
