"""Runs the manager of one deployment: feeds it with what happens, and carries out what it decides.

The only place where the pure step meets clock, sockets and disk. It decides nothing about replicas;
it must not know in which environment envelopes run: that is its deployer's.
"""

import asyncio
import collections
import logging
import secrets
import time
from typing import Any, Final, NamedTuple

import msgspec

from weaver.config.load import load
from weaver.control.faults import error_of, fault_of
from weaver.control.messages import Attached, Fault, LogRecord, Profiled, Relay
from weaver.control.operator import Execute, Executed, HistoryEvent, Status
from weaver.control.stream import encode
from weaver.control.succession import Keep
from weaver.control.traffic import IngressReport
from weaver.deployers.deployer import Command, Deployer
from weaver.deployers.envelope_link import EnvelopeLink
from weaver.deployers.estate import Estate, encode_estate, share_of
from weaver.deployers.feed import Feed
from weaver.deployers.journal import Journal
from weaver.deployers.measured import Measured
from weaver.deployers.profiles import Profiles
from weaver.errors import UsageError, WeaverError
from weaver.manager import effects, events, scaling
from weaver.manager.choosing import host_for
from weaver.manager.state import Replica, Result, Spec, State, initial
from weaver.manager.status import report
from weaver.manager.step import step

log = logging.getLogger("weaver.manager")

LOGS_KEPT: Final = 10_000
INGRESS_KEPT: Final = 1_000
HISTORY_KEPT: Final = 1_000
FLUSH: Final = 0.2
"""Seconds until the log of events is written: several at once cost one wait for the disk."""

LOAD_EVERY: Final = 5.0
"""Seconds between two looks at how busy replicas are."""

QUIET_KINDS: Final = frozenset(
    {"ready", "scaled", "live", "listening", "stopped", "ended", "executed", "steered"}
    | {"before", "opening", "shifting", "closing", "after", "warm", "retiring", "done"}
)


class Outcome(NamedTuple):
    """How a deployment ended: why it failed, and which hosts may still run it."""

    result: Result
    fault: Fault | None
    unended: tuple[str, ...] = ()


class ControlLoop:
    """The manager of one deployment on the running event loop. Await `run` once.

    `logs`, `history`, `changes`, `spans` and `ingress` (what ingress workers of each host report)
    are feeds for whoever follows: `changes` has an entry for every change of state. Serve it with
    `ManagerServer`. `estate` is what envelopes shall keep for the next manager, but for what only
    this loop knows; None where there can be none. The epoch is larger than `above`.
    """

    def __init__(
        self,
        spec: Spec,
        journal: Journal,
        deployer: Deployer,
        *,
        started: float | None = None,
        estate: Estate | None = None,
        above: int = 0,
    ) -> None:
        self.logs: Feed[LogRecord] = Feed(LOGS_KEPT)
        self.history: Feed[HistoryEvent] = Feed(HISTORY_KEPT)
        self.changes: Feed[None] = Feed(1)
        self.spans: Feed[bytes] = Feed(LOGS_KEPT)
        self.ingress: Feed[tuple[str, IngressReport]] = Feed(INGRESS_KEPT)
        self.measured = Measured()
        self.profiles = Profiles()
        self.started = time.time() if started is None else started
        self._journal = journal
        self._deployer = deployer
        self.history.add(journal.history()[-HISTORY_KEPT:])
        self.epoch = journal.raise_epoch(above)
        self.initial = initial(
            spec, epoch=self.epoch, seed=secrets.token_hex(8), desired=journal.desired()
        )
        self.state: State = self.initial
        self._estate = estate
        self._links: dict[str, EnvelopeLink] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._waiting: collections.deque[events.Event] = collections.deque()
        self._busy = True  # until `run`: what happens before waits
        self._now = 0.0
        self._flush: asyncio.TimerHandle | None = None
        self._load: asyncio.TimerHandle | None = None
        self._unsaved: list[tuple[float, events.Event]] = []
        self._untold: list[HistoryEvent] = []
        self._changed = asyncio.Event()
        self._over = asyncio.Event()

    async def run(self) -> Outcome:
        """Bring the deployment up and keep it so, until it has ended.

        When this is cancelled, envelopes lose their manager and do what their orders say of that.
        """
        self._loop = asyncio.get_running_loop()
        try:
            self._busy = False
            self._waiting.appendleft(events.Began())
            self._go_on()
            if any(group.most is not None for group in self.state.spec.groups.values()):
                self._load = self._loop.call_later(LOAD_EVERY, self._measure_load)
            await self._over.wait()
        finally:
            await self._close()
        return Outcome(self.state.result, self.state.fault, self.state.unended)

    async def wait_live(self) -> None:
        """Return when the deployment is live. Raises WeaverError if it ends before: why it did."""
        while self.state.phase == "starting":
            self._changed.clear()
            await self._changed.wait()
        if self.state.phase == "live":
            return
        fault = self.state.fault or Fault("the deployment was stopped before it was live")
        raise error_of(fault)

    def status(self) -> Status:
        """The deployment now, and what its replicas have measured."""
        methods = self.measured.methods(asyncio.get_running_loop().time())
        return Status(report(self.state, started=self.started), methods)

    def scale(self, group: str, replicas: int) -> None:
        """Run so many replicas of a group from now on. Raises UsageError if that cannot be."""
        fault = scaling.refusal(self.state, group, replicas)
        if fault is not None:
            raise UsageError(fault.what, why=fault.why, fix=fault.fix)
        self.happen(events.ScaleRequested(group, replicas))

    def request_stop(self, *, at_once: bool = False) -> None:
        """End every replica; `run` returns when they have ended. A second time: `at_once`."""
        self.happen(events.StopRequested(at_once))

    async def stop(self, *, at_once: bool) -> None:
        """End every replica; returns when they have ended."""
        self.request_stop(at_once=at_once)
        await self._over.wait()

    async def execute(self, request: Execute) -> Executed:
        """Run a command beside a replica of a group, as the application's replicas are run.

        Raises UsageError for a group or replica that does not exist, WeaverError where none runs.
        """
        host = host_for(self.state, request.group, request.replica)
        application = self.state.spec.application
        config = load(application.config, source=application.source)
        environment = {**config.app.env, **application.environment}
        command = Command(request.words, environment, request.seconds)
        done = await self._deployer.execute(host, command)
        code = f"exit code {done.exit_code}"
        self.tell("executed", f"{request.words[0]} on {host} for {request.group}: {code}")
        return Executed(host, done.exit_code, done.stdout, done.stderr)

    async def profile(self, replica: str, seconds: float) -> Profiled:
        """What a replica does for so many seconds. Raises UsageError, WeaverError."""

        def send(found: Replica, order: Relay) -> None:
            if found.host in self._links:
                self._links[found.host].send(encode(order))

        return await self.profiles.of(self.state, replica, seconds, send)

    def tell(self, kind: str, text: str, *, logged: bool = True) -> None:
        """Add something to the history that happened to the deployment elsewhere."""
        self._report(HistoryEvent(time.time(), kind, text), logged=logged)

    def bequeath(self, **changes: Any) -> None:
        """Change what is left with envelopes for the next manager: fields of `Estate`."""
        if self._estate is not None:
            self._estate = msgspec.structs.replace(self._estate, **changes)
            self._keep_on(list(self._links))

    def happen(self, event: events.Event) -> None:
        """Take an event, and carry out what follows from it."""
        self._waiting.append(event)
        if not self._busy:  # else carrying out an effect has caused it: after the others
            self._go_on()

    def _go_on(self) -> None:
        self._busy = True
        try:
            while self._waiting and not self._over.is_set():
                self._step(self._waiting.popleft())
        finally:
            self._busy = False

    def _step(self, event: events.Event) -> None:
        self._now = now = max(self._now, self._loop.time())
        before = self.state
        self.state, done = step(before, event, now)
        self._unsaved.append((now, event))
        for effect in done:
            self._carry_out(effect)
        self._leave(event, before)
        if self._flush is None:
            self._flush = self._loop.call_later(FLUSH, self._write_log)
        if self.state.replicas is not before.replicas:
            self._forget_ended(before)
        if self.state is not before:
            self._changed.set()
            self.changes.add([None])

    def _leave(self, event: events.Event, before: State) -> None:
        """Let envelopes keep what the next manager must know: new ones, and all when it changes."""
        if self._estate is None:
            return
        changed = self.state.desired is not before.desired
        heirs = list(self._links) if changed else []
        match event:
            case events.HostSaid(host=host, message=Attached()) if not changed:
                heirs = [host]
            case _:
                pass
        self._keep_on(heirs)

    def _keep_on(self, hosts: list[str]) -> None:
        if self._estate is None or not hosts:
            return
        estate = msgspec.structs.replace(self._estate, desired=self.state.desired, epoch=self.epoch)
        for host in hosts:
            if host in self._links:
                share = encode_estate(share_of(estate, host))
                self._links[host].send(encode(Keep(share)))

    def _forget_ended(self, before: State) -> None:
        """Incarnations of a replica that has gone, or whose envelope has, are counted anew."""
        for name, replica in before.replicas.items():
            now = self.state.replicas.get(name)
            if now is None or now.incarnation < replica.incarnation:
                self.measured.forget(name)

    def _carry_out(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Send(host=host, session=session, message=message):
                link = self._links.get(host)
                if link is not None and link.session == session:
                    link.send(encode(message))
            case effects.Reach(host=host, session=session):
                self._reach(host, session)
            case effects.SetTimer(name=name, when=when):
                self._cancel(name)
                self._timers[name] = self._loop.call_at(when, self._fire, name, when)
            case effects.CancelTimer(name=name):
                self._cancel(name)
            case effects.Save(desired=desired):
                try:
                    self._journal.save(desired)
                except WeaverError as error:
                    self.happen(events.Broke(fault_of(error)))
            case effects.Report(kind=kind, text=text, replica=replica):
                self._report(HistoryEvent(time.time(), kind, text, replica))
            case effects.Finished():
                self._over.set()

    def _reach(self, host: str, session: int) -> None:
        former = self._links.pop(host, None)
        seen = 0
        if former is not None:
            seen = former.seen
            former.close()
        self._links[host] = EnvelopeLink(self, self._deployer, host, session, seen)

    def _fire(self, name: str, when: float) -> None:
        del self._timers[name]
        self._now = max(self._now, when)  # loops fire a little early: within their resolution
        self.happen(events.TimerFired(name))

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _report(self, entry: HistoryEvent, *, logged: bool = True) -> None:
        level = logging.INFO if entry.kind in QUIET_KINDS else logging.WARNING
        if logged:
            log.log(level, "%s: %s", entry.kind, entry.text)
        self.history.add([entry])
        self._untold.append(entry)

    def _measure_load(self) -> None:
        self._load = self._loop.call_later(LOAD_EVERY, self._measure_load)
        loads = self.measured.loads()
        if loads and self.state.phase == "live":
            self.happen(events.LoadMeasured(loads))

    def _write_log(self) -> None:
        """Write what has happened; a log that cannot be written does not stop a deployment."""
        self._flush = None
        unsaved, self._unsaved = self._unsaved, []
        untold, self._untold = self._untold, []
        try:
            self._journal.append(self.epoch, unsaved, untold)
        except WeaverError as error:
            log.warning("what happened cannot be kept: %s", error)

    async def _close(self) -> None:
        self._over.set()
        self._changed.set()
        for name in list(self._timers):
            self._cancel(name)
        for timer in (self._flush, self._load):
            if timer is not None:
                timer.cancel()
        self._write_log()
        links = list(self._links.values())
        for link in links:
            link.close()
        for link in links:
            await link.wait_closed()
