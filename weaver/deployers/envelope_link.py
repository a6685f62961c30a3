"""One session with an envelope: connect or start it, attach, and pass on what it says.

Decides what of it the manager hears (what replicas are), and what goes straight to those who
follow (logs, statistics, spans, what the ingress counts).
"""

import asyncio
import logging
from typing import Any, Final, Protocol

from weaver.control import messages
from weaver.control.messages import Attach, Fault, FromEnvelope, FromProclet, LogRecord
from weaver.control.stream import Codec, Receiver, encode
from weaver.control.traffic import IngressReport
from weaver.deployers.deployer import Deployer, Link
from weaver.deployers.feed import Feed
from weaver.deployers.measured import Measured
from weaver.deployers.profiles import Profiles
from weaver.errors import ProtocolError, WeaverError
from weaver.manager import events
from weaver.manager.state import State

log = logging.getLogger("weaver.manager")

SILENCE: Final = 6.0
"""Seconds; envelopes say something every second."""

SILENCE_OF_ONE: Final = 3.0
"""The same where there are several hosts: others can take the calls of one that is frozen."""

LATE: Final = 0.5
"""Seconds by which a timer is late when it is this process that did not run."""

_from_envelope: Final[Codec[Any]] = Codec(FromEnvelope)
_from_proclet: Final[Codec[Any]] = Codec(FromProclet)


class Hearing(Protocol):
    """Who takes what envelopes say."""

    logs: Feed[LogRecord]
    spans: Feed[bytes]
    ingress: Feed[tuple[str, IngressReport]]
    measured: Measured
    profiles: Profiles
    state: State

    def happen(self, event: events.Event) -> None:
        """Take an event."""
        ...


class EnvelopeLink:
    """The attempt `session` to reach the envelope of a host, and the connection it becomes.

    `seen` is the number of the last event that has been heard. Ends with an `EnvelopeLost` or
    `ReachFailed`, unless it is closed.
    """

    def __init__(
        self, hearing: Hearing, deployer: Deployer, host: str, session: int, seen: int
    ) -> None:
        self.host = host
        self.session = session
        self.seen = seen
        self._hearing = hearing
        self._deployer = deployer
        self._link: Link | None = None
        self._task = asyncio.get_running_loop().create_task(
            self._run(), name=f"weaver envelope {host}"
        )

    def send(self, data: bytes) -> None:
        """Send an encoded message."""
        if self._link is not None:
            self._link.send(data)

    def close(self) -> None:
        """End the session; nothing more is heard from it."""
        self._task.cancel()
        if self._link is not None:
            self._link.close()

    async def wait_closed(self) -> None:
        """Return when nothing of it is left."""
        await asyncio.wait((self._task,))

    async def _run(self) -> None:
        end: events.Event
        try:
            self._link = await self._connect()
            if self._link is None:
                reason, gone, silent = "nothing of it runs", True, False
            else:
                reason, silent = await self._listen(self._link)
                # Of one that is silent, its end would have ended the link; asking would take long.
                gone = not silent and await self._deployer.has_ended(self.host)
            if gone:
                self.seen = 0
            end = events.EnvelopeLost(self.host, self.session, reason, gone, silent)
        except WeaverError as error:
            fault = Fault(error.what, error.where or self.host, error.why, error.fix)
            end = events.ReachFailed(self.host, self.session, fault)
        except OSError as error:
            end = events.EnvelopeLost(self.host, self.session, error.strerror or str(error))
        except Exception as error:  # a fault of a deployer must not leave the manager waiting
            log.exception("the link to the envelope on %s failed", self.host)
            end = events.EnvelopeLost(self.host, self.session, repr(error))
        finally:
            if self._link is not None:
                self._link.close()
        self._hearing.happen(end)

    async def _connect(self) -> Link | None:
        """A link to the envelope, started if need be; None where it shall end, and has."""
        link = await self._deployer.connect(self.host)
        if link is None:
            self.seen = 0
            if self._hearing.state.phase == "stopping":
                return None
            await self._deployer.start_envelope(self.host)
            link = await self._deployer.connect(self.host)
        if link is None:
            raise WeaverError(
                "an envelope has been started, but nobody listens on its socket",
                where=self.host,
                fix="its last lines of output say why it ended",
            )
        return link

    async def _listen(self, link: Link) -> tuple[str, bool]:
        """Attach, and pass on what comes until the stream ends; why it did, and if by silence."""
        state = self._hearing.state
        deployment = state.spec.application.deployment
        link.send(encode(Attach(deployment, state.epoch, self.seen)))
        receiver: Receiver[Any] = Receiver(_from_envelope)
        silence = SILENCE_OF_ONE if len(state.spec.hosts) > 1 else SILENCE
        clock = asyncio.get_running_loop().time
        while True:
            until = clock() + silence
            try:
                async with asyncio.timeout_at(until):
                    data = await link.receive()
            except TimeoutError:
                if clock() > until + LATE:
                    continue  # what has come meanwhile waits to be read
                return f"nothing was heard of it for {silence:g} s", True
            except ConnectionError as error:  # it has ended with something unread, or unwritten
                return error.strerror or str(error), False
            if not data:
                return "it ended the connection", False
            try:
                for message in receiver.feed(data):
                    self._hear(message)
            except ProtocolError as error:
                return str(error), False

    def _hear(self, message: Any) -> None:
        match message:
            case messages.Event(number=number, message=inner):
                if number:
                    self.seen = number
                self._hear(_from_envelope.unpack(inner))
            case messages.Logs(records=records, lost=lost):
                self._hear_logs(records, lost)
            case messages.FromReplica():
                self._hear_replica(message)
            case IngressReport():
                self._hearing.ingress.add([(self.host, message)])
            case messages.Heartbeat():
                pass
            case _:
                self._hearing.happen(events.HostSaid(self.host, self.session, message))

    def _hear_replica(self, message: messages.FromReplica) -> None:
        replica, incarnation = message.replica, message.incarnation
        said = _from_proclet.unpack(message.message)
        hearing = self._hearing
        match said:
            case messages.Statistics():
                now = asyncio.get_running_loop().time()
                hearing.measured.take(replica, incarnation, said, now)
            case messages.Spans(spans=spans):
                hearing.spans.add(spans)
            case messages.Logs(records=records, lost=lost):
                self._hear_logs(records, lost)
            case messages.Profiled():
                hearing.profiles.take(replica, said)
            case messages.Heartbeat():
                pass
            case _:
                hearing.happen(
                    events.ReplicaSaid(self.host, self.session, replica, incarnation, said)
                )

    def _hear_logs(self, records: tuple[LogRecord, ...], lost: int) -> None:
        self._hearing.logs.add(records)
        if lost:
            log.warning("%d log records of %s were lost: a buffer was full", lost, self.host)
