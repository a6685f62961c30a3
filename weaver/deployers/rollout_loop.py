"""Runs the rollout of a version: feeds its machine with what happens, and carries out what follows.

The only place where the pure step of a rollout meets clock, disk and the versions' control loops.
It decides nothing about traffic.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from weaver.control.faults import fault_of
from weaver.control.messages import Fault
from weaver.control.operator import Execute
from weaver.control.rollout import Action, RolloutReport
from weaver.deployers.control_loop import ControlLoop
from weaver.deployers.feed import Feed
from weaver.deployers.kept_warm import beneath, saved
from weaver.deployers.lost_versions import TAKEN_BACK, result_of
from weaver.deployers.rollout_plan import hook_words, most_versions, plan_of
from weaver.deployers.rollout_report import report, share
from weaver.deployers.session import Session
from weaver.errors import UsageError, WeaverError
from weaver.manager.events import ScaleRequested, TrafficOrdered
from weaver.manager.observed import Observed, observe
from weaver.manager.rollout import effects, events
from weaver.manager.rollout.numbers import numbers
from weaver.manager.rollout.state import Rollout, State, initial
from weaver.manager.rollout.steering import refusal
from weaver.manager.rollout.step import step
from weaver.manager.rollout.traffic import standby

log = logging.getLogger("weaver.manager")

LINES: Final = 20
"""Last lines of a hook that are kept with its fault."""

SERVED: Final = frozenset({"warm", "retiring", "done"})
"""Phases in which the new version was seen to serve everybody; in those of TAKEN_BACK, no more."""

_encoder: Final = msgspec.msgpack.Encoder()


class RolloutLoop:
    """The rollout to the first of `sessions` from one of the others; `begin`, then await `run`.

    `good` is called with the version that serves everybody from now on. If the new one is taken
    back, the rollout to the one before goes on, where that has a version that is kept warm for it:
    those are `beneath`, the newest first, and take no part until then.
    """

    def __init__(
        self, sessions: Sequence[Session], good: Callable[[Session], None] | None = None
    ) -> None:
        self.changes: Feed[None] = Feed(1)
        self._new = sessions[0]
        self._sessions = {session.deployment: session for session in sessions}
        self._good = good
        self._is_good = self._new.record.good > 0
        self.state: State = _state_of(sessions)
        self.beneath = beneath(sessions, self.state.rollout, most_versions(self._new.spec))
        self._over = False
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._hooks: dict[str, asyncio.Task[None]] = {}
        self._waiting: list[events.Event] = []
        self._busy = False
        self._halted = False
        self._now = 0.0
        self._lines: tuple[str, ...] = ()

    def begin(self) -> None:
        """Order what follows from what is known, before the control loops run."""
        self._loop = asyncio.get_running_loop()
        rollout = self.state.rollout
        if not self._new.loop.state.desired.traffic:  # else its first replicas would serve
            first = {host: standby(self.state.plan, host) for host in self._new.spec.hosts}
            self._new.loop.happen(TrafficOrdered(first))
            old = self._sessions.get(rollout.old)
            grown = old.loop.state.desired.replicas if old is not None else {}
            for group, count in numbers(self._new.spec.groups, grown).items():
                self._new.loop.happen(ScaleRequested(group, count))
        self._go_on()
        for deployment, session in self._sessions.items():
            if deployment not in {rollout.new, rollout.old, *self.beneath}:
                session.loop.request_stop()  # of a rollout that was over

    def _go_on(self) -> None:
        """Begin where the rollout is, with what is known of its versions."""
        rollout = self.state.rollout
        self._happen(events.Began())
        for deployment in (rollout.new, rollout.old):
            if not deployment:
                continue
            session = self._sessions.get(deployment)
            seen = Observed(phase="stopped") if session is None else observe(session.loop.state)
            self._happen(events.VersionObserved(deployment, seen))

    async def run(self) -> None:
        """Follow both versions until this is cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for session in self._sessions.values():
                    tasks.create_task(self._observe(session))
                    tasks.create_task(self._hear_ingress(session))
        finally:
            self.halt()
            for hook in self._hooks.values():
                with contextlib.suppress(asyncio.CancelledError):
                    await hook

    def halt(self) -> None:
        """Let everything be as it is from now on."""
        self._halted = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for hook in self._hooks.values():
            hook.cancel()

    def gone(self, session: Session, fault: Fault | None) -> None:
        """A version cannot be managed any more: its session has failed."""
        seen = Observed(phase="stopped", result="failed", fault=fault)
        self._happen(events.VersionObserved(session.deployment, seen))

    def ended(self, session: Session) -> None:
        """A version has ended, and whoever asked for it has been told."""
        self._over = self._over or session is self._new
        self._descend()

    def _descend(self) -> None:
        """Go on with the rollout beneath one whose version has been taken back and has ended."""
        if not self.beneath or not self._over or self._halted:
            return
        if self.state.rollout.phase != "withdrawn":
            return
        self.halt()
        self._halted, self._over, self._lines = False, False, ()
        del self._sessions[self._new.deployment]
        sessions = list(self._sessions.values())
        self._new, self.beneath = sessions[0], self.beneath[1:]
        self._is_good = self._new.record.good > 0
        tables = self.state.tables  # numbers of tables never fall
        self.state = _state_of(sessions)
        self.state = msgspec.structs.replace(self.state, tables=max(tables, self.state.tables))
        self._go_on()
        self.changes.add([None])

    def _end_beneath(self, deployments: Sequence[str]) -> None:
        self.beneath = [name for name in self.beneath if name not in deployments]
        for deployment in deployments:
            self._sessions[deployment].result = "replaced"
            self._sessions[deployment].loop.request_stop()

    def steer(self, action: Action) -> None:
        """Intervene. Raises UsageError where that makes no sense now.

        What is superseded and serves everybody makes room by the version that is warm for longest.
        """
        if action == "supersede" and self.state.rollout.phase == "warm" and self.beneath:
            self._end_beneath(self.beneath[-1:])
            return
        fault = refusal(self.state, action)
        if fault is not None:
            raise UsageError(fault.what, where=fault.where, why=fault.why, fix=fault.fix)
        self._happen(events.Steered(action))

    def report(self) -> RolloutReport:
        """The rollout now, in the form that the command line shows."""
        now = self._loop.time()
        versions = {name: session.loop.state for name, session in self._sessions.items()}
        found = report(self.state, versions, now)
        next_at = time.time() + found.next_at - now if found.next_at else 0.0
        return msgspec.structs.replace(found, next_at=next_at, lines=self._lines)

    def share(self, loop: ControlLoop) -> float:
        """The share of users' requests that a version gets, from 0 to 1."""
        return share(self.state, loop.state.spec.application.deployment)

    async def _observe(self, session: Session) -> None:
        last: Observed | None = None
        with session.loop.changes.follow() as changes:
            while True:
                seen = observe(session.loop.state)
                if seen != last:
                    last = seen
                    self._happen(events.VersionObserved(session.deployment, seen))
                await changes.take()

    async def _hear_ingress(self, session: Session) -> None:
        with session.loop.ingress.follow() as reports:
            while True:
                for host, said in await reports.take():
                    self._happen(events.IngressReported(session.deployment, host, said))

    def _happen(self, event: events.Event) -> None:
        self._waiting.append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._waiting and not self._halted:
                self._take(self._waiting.pop(0))
        finally:
            self._busy = False
        self._descend()

    def _take(self, event: events.Event) -> None:
        try:
            self._step(event)
        except Exception:  # versions serve on as they were ordered; the next event may go better
            log.exception("the rollout failed at %s", type(event).__name__)

    def _step(self, event: events.Event) -> None:
        self._now = now = max(self._now, self._loop.time())
        before = self.state
        self.state, done = step(before, event, now)
        for effect in done:
            self._carry_out(effect)
        self._judge()
        if self.state is not before:
            self._note(before.rollout)
            self.changes.add([None])

    def _note(self, before: Rollout) -> None:
        """Write down each phase and step of the new version, for `weaver history`."""
        rollout = self.state.rollout
        if rollout.old and (rollout.phase, rollout.step) != (before.phase, before.step):
            self._new.note_shift(rollout.phase, share(self.state, rollout.new))

    def _judge(self) -> None:
        """Tell once that the new version serves everybody, and that it is taken back."""
        rollout = self.state.rollout
        if self.beneath and rollout.phase in {"retiring", "done"}:
            self._end_beneath(self.beneath)
        good = rollout.phase in SERVED or (self._is_good and rollout.phase not in TAKEN_BACK)
        if good != self._is_good:
            self._is_good = good
            self._new.note_good(good=good)
            serving = self._new if good else self._sessions.get(rollout.old)
            if self._good is not None and serving is not None:
                self._good(serving)
        if rollout.fault is not None and not self._lines:
            self._lines = self._new.last_lines()

    def _carry_out(self, effect: effects.Effect) -> None:
        match effect:
            case effects.OrderTraffic(deployment=deployment, traffic=traffic):
                if deployment in self._sessions:
                    self._sessions[deployment].loop.happen(TrafficOrdered(traffic))
            case effects.Save(rollout=rollout):
                self._save(rollout)
            case effects.EndVersion(deployment=deployment):
                self._end(deployment)
            case effects.RunHook(which=which):
                self._hooks[which] = self._loop.create_task(self._run_hook(which))
            case effects.Report(kind=kind, text=text):
                self._tell(kind, text)
            case effects.Finished(outcome=outcome):
                if outcome == "fenced":
                    self.halt()
            case _:
                self._wait(effect)

    def _wait(self, effect: effects.Effect) -> None:
        match effect:
            case effects.SetTimer(name=name, when=when):
                self._cancel(name)
                self._timers[name] = self._loop.call_at(when, self._fire, name, when)
            case effects.CancelTimer(name=name):
                self._cancel(name)
            case effects.CancelHook(which=which):
                if which in self._hooks:
                    self._hooks[which].cancel()
            case _:
                pass

    def _save(self, rollout: Rollout) -> None:
        saved = _encoder.encode(rollout)
        try:
            self._new.journal.save_rollout(saved)
        except WeaverError as error:  # envelopes keep it, too
            log.warning("%s: %s", error.what, error.why)
        self._new.loop.bequeath(rollout=saved)

    def _end(self, deployment: str) -> None:
        session = self._sessions.get(deployment)
        if session is None:
            return
        rollout = self.state.rollout
        session.result = result_of(rollout) if session is self._new else "replaced"
        session.verdict = rollout.fault if session is self._new else None
        if session is self._new:
            session.note_evidence(rollout.evidence, self._lines)
        session.loop.request_stop()

    def _tell(self, kind: str, text: str) -> None:
        for number, session in enumerate(self._sessions.values()):
            session.loop.tell(kind, text, logged=not number)

    def _fire(self, name: str, when: float) -> None:
        del self._timers[name]
        self._now = max(self._now, when)  # loops fire a little early: within their resolution
        self._happen(events.TimerFired(name))

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    async def _run_hook(self, which: events.Hook) -> None:
        """Run a command once, on one host of the new version; its output is kept in the log."""
        new, seconds = self._new, self.state.plan.waits.hook
        fault: Fault | None = None
        lines: tuple[str, ...] = ()
        words = hook_words(new.spec, which)
        try:
            done = await new.loop.execute(Execute(entry_of(new), words, seconds))
            said = (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace").splitlines()
            lines = tuple(line for line in said if line.strip())[-LINES:]
            if done.exit_code:
                what = f"the {which} hook failed: {words[0]} ended with exit code {done.exit_code}"
                fault = Fault(what, done.host, "\n".join(lines), f"see [rollout] {which}")
        except WeaverError as error:
            fault = fault_of(error)
        for line in lines:
            log.info("hook %s: %s", which, line)
        self._lines = lines if fault is not None else self._lines
        self._happen(events.HookEnded(which, fault, lines))


def entry_of(session: Session) -> str:
    """The group whose hosts a hook runs on: that of the entry, or any."""
    groups = session.spec.groups
    return next((name for name, group in groups.items() if group.entry), next(iter(groups)))


def rollout_of(sessions: Sequence[Session]) -> Rollout:
    """What was saved of the rollout to the first of these, or a new one from the second."""
    if (found := saved(sessions[0])) is not None:
        return found
    old = sessions[1].deployment if len(sessions) > 1 else ""
    return Rollout(old=old, new=sessions[0].deployment)


def _state_of(sessions: Sequence[Session]) -> State:
    """The rollout to the first of these where it is, before anything is known of them."""
    new, rollout = sessions[0], rollout_of(sessions)
    old = next((each for each in sessions if each.deployment == rollout.old), None)
    plan = plan_of(new.spec, None, {})
    if old is not None:
        hosts = [host for host in new.spec.hosts if host in old.spec.hosts]
        predecessors = {host: old.deployer.control_path(host) for host in hosts}
        successors = {host: new.deployer.control_path(host) for host in hosts}
        plan = plan_of(new.spec, old.spec, predecessors, successors)
    return initial(plan, rollout, epoch=new.loop.epoch)
