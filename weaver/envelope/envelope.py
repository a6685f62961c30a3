"""The envelope: carries out orders about replicas, and reports to whoever is its manager.

Decides when it ends: on `End`, on SIGTERM, and, where its orders say so, when its manager is lost.
"""

import asyncio
import functools
import os
import signal
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Final

from weaver.control.messages import (
    Attached,
    End,
    EnvelopeFailed,
    Fault,
    Heartbeat,
    LogRecord,
    Message,
    NewRouting,
    Orders,
    Relay,
    ReplicaExited,
    Restart,
    ToProclet,
)
from weaver.control.stream import Codec
from weaver.control.takeover import HandedOver, TakeOver
from weaver.envelope import strays
from weaver.envelope.control_socket import ControlSocket
from weaver.envelope.held import Held, HeldListeners
from weaver.envelope.incarnation import Incarnation, Surroundings
from weaver.envelope.launch import Launcher
from weaver.envelope.memory import MemoryKills
from weaver.envelope.replay import Replay
from weaver.envelope.ring import LogRing
from weaver.envelope.running import Running
from weaver.envelope.supervision import Replica, Supervision
from weaver.envelope.traffic import UserTraffic
from weaver.errors import ProtocolError

FIRST_MANAGER: Final = 30.0  # seconds until somebody must have attached
LOST_GRACE: Final = 0.5  # for a manager whose replicas end with it to come back
LOST_STOP: Final = 0.5  # for those replicas to drain
LOST_TERM: Final = 0.3
LOG_DELAY: Final = 0.02  # records of so many seconds travel together
LAST_WORDS: Final = 2.0  # for the manager to take the last events


class Envelope:
    """One envelope, listening on the Unix socket `path`, until `run` returns.

    `runtime` is a module to use in place of weaver's own proclet. Should `parent` end before a
    manager attaches, this ends too. A `patient` one waits for its first manager, and for one with
    orders, as long as it takes: nobody else would start it again.
    """

    def __init__(
        self, path: Path, host: str, *, runtime: str = "", parent: int = 1, patient: bool = False
    ) -> None:
        self._patient = patient
        self.dismissed = False
        """The manager has ended it: there will not be another envelope of this deployment."""
        self._loop = asyncio.get_running_loop()
        self._supervision = Supervision()
        self._launcher = Launcher(runtime, self.say)
        self._listeners = HeldListeners()
        self._ring = LogRing()
        self._socket = ControlSocket(path, Replay(), self)
        self._around = Surroundings(
            self._supervision,
            self._launcher,
            self._listeners,
            self,
            MemoryKills(),
            host,
            path.parent,
        )
        self._traffic = UserTraffic(str(path), self._listeners, self)
        self._tasks: dict[asyncio.Task[None], Incarnation] = {}
        self._to_proclet: Codec[Any] = Codec(ToProclet)
        self._routing = b""
        self._routing_version = -1
        self._wake = asyncio.Event()
        self._parent = parent
        self._began = self._loop.time()
        self._met = False  # a manager, at least once
        self._lost: asyncio.TimerHandle | None = None
        self._flushing: asyncio.TimerHandle | None = None
        self._brief = False  # whoever would wait for an orderly end is gone
        self._failed: Fault | None = None

    async def open(self) -> None:
        """Listen for managers. Raises WeaverError."""
        await self._socket.open()

    async def run(self) -> None:
        """Serve managers and supervise replicas; returns when all have ended."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._loop.add_signal_handler(number, self._signalled, number)
        try:
            await self._supervise()
        finally:
            await self._close()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                self._loop.remove_signal_handler(number)

    # --- what managers say (control_socket.Commanded) ---

    def attached(self, epoch: int) -> Attached:
        """What runs now, for a manager that has been admitted."""
        self._met = True
        if self._lost is not None:
            self._lost.cancel()
            self._lost = None
        self._flush()
        orders = self._supervision.orders
        return Attached(
            self._around.host,
            os.getpid(),
            epoch,
            self._socket.replay.newest,
            0 if orders is None else orders.number,
            tuple(replica.state() for replica in self._supervision.replicas.values()),
            dict(self._listeners.addresses),
        )

    def obey(self, message: Any) -> None:
        """Carry out a message of the manager."""
        match message:
            case Orders():
                self._obey_orders(message)
            case Relay():
                self._relay(message)
            case Restart(replica=name, incarnation=incarnation):
                replica = self._supervision.restart(name, incarnation)
                if replica is not None:
                    self._stop(replica)
            case End(at_once=at_once):
                self.dismissed = True
                self.end(at_once=at_once)
            case _:
                pass

    def manager_lost(self) -> None:
        """Its connection has ended: by the orders' policy that is the end, sooner or later."""
        orders = self._supervision.orders
        if orders is None and self._patient:
            return
        if orders is None or orders.on_manager_lost == "end":
            self._lost = self._loop.call_later(LOST_GRACE, self._abandoned)
        elif orders.on_manager_lost == "stop":
            self._lost = self._loop.call_later(orders.stop_after, self._given_up)

    def no_manager(self) -> None:
        """None can give orders: without any replicas, there is nothing to stay for."""
        if not self._met and not self._patient:
            self.end()

    def end(self, *, at_once: bool = False) -> None:
        """Stop every replica, in order or at once, and then return from `run`."""
        orders = self._supervision.orders
        brief = at_once or self._brief or orders is None
        self._traffic.end(0.0 if brief or orders is None else orders.stop_timeout)
        unwanted = self._supervision.end()
        for replica in unwanted.stopping:
            self._stop(replica)
        self._report_forgotten(unwanted.forgotten)
        if at_once:
            for incarnation in self._tasks.values():
                if incarnation.running is not None:
                    incarnation.running.kill("ended at once, as asked")
        self._brief = self._brief or at_once
        self._wake.set()

    # --- what is told to managers (incarnation.Reports) ---

    def publish(self, message: Message) -> None:
        """An event that is kept until a manager has seen it, after the log up to now."""
        if isinstance(message, EnvelopeFailed):
            if message.fault == self._failed:
                return  # it has been said since the last orders
            self._failed = message.fault
        self._flush()
        self._socket.publish(message)

    def mention(self, message: Message) -> None:
        """An event that matters now or not at all."""
        self._socket.mention(message)

    def log(self, records: Iterable[LogRecord], lost: int = 0) -> None:
        """Log records; they are passed on a little later, together."""
        self._ring.add(records, lost=lost)
        if self._flushing is None:
            self._flushing = self._loop.call_later(LOG_DELAY, self._flush)

    def last_lines(self, replica: str) -> tuple[str, ...]:
        """What a replica has written last."""
        return self._ring.last_lines(replica)

    # --- orders ---

    def _obey_orders(self, orders: Orders) -> None:
        orders = self._supervision.completed(orders)
        self._failed = None
        unwanted = self._supervision.apply(orders, self._loop.time())
        if self._supervision.orders is not orders:
            return  # older than those in force, or too late
        self._traffic.relieve(orders)
        for replica in unwanted.stopping:
            self._stop(replica)
        self._report_forgotten(unwanted.forgotten)
        self._traffic.follow(orders)
        if orders.application is not None and any(g.preload for g in orders.groups.values()):
            try:
                self._launcher.prepare(orders.application)
            except OSError as error:
                self.say("log", [f"the zygote cannot be started: {error}"])
        self._wake.set()

    def _relay(self, relay: Relay) -> None:
        try:
            message = self._to_proclet.unpack(relay.message)
        except ProtocolError as error:
            self.say("log", [f"a message for replicas is not passed on: {error}"])
            return
        if isinstance(message, NewRouting) and message.routing.version > self._routing_version:
            self._routing_version = message.routing.version
            self._routing = relay.message  # for replicas that are started without a manager
        self.tell_replicas(relay.message, relay.replicas)

    # --- users' connections (traffic.Place) ---

    def tell_replicas(self, message: bytes, only: Collection[str] = ()) -> None:
        """An encoded message for these replicas, as far as they run; for all if none is named."""
        for incarnation in self._tasks.values():
            if not only or incarnation.name in only:
                incarnation.send(message)

    def listeners_changed(self) -> None:
        """Replicas may have waited for them."""
        self._wake.set()

    def hand_over(self, wanted: TakeOver) -> list[tuple[HandedOver, Held]]:
        """What another version gets of the listeners held here."""
        return self._traffic.share(wanted)

    # --- stopping ---

    def _stop(self, replica: Replica) -> None:
        for task, incarnation in self._tasks.items():
            if incarnation.name != replica.name:
                continue
            if incarnation.running is None:
                task.cancel()  # the import may take long; what is forked meanwhile finds no orders
            elif self._brief:
                incarnation.running.stop(LOST_STOP, LOST_TERM)
            else:
                stop = functools.partial(self._stop_in_order, replica, incarnation.running)
                self._traffic.when_quiet(replica.order.listeners, stop)

    def _stop_in_order(self, replica: Replica, running: Running) -> None:
        """Let a replica finish what it has; no ingress has anything for it any more."""
        orders = self._supervision.orders
        if self._brief or orders is None:
            return  # it is being stopped already
        others = self._supervision.has_another(replica) or any(
            map(self._traffic.shared, replica.order.listeners)
        )
        running.stop(orders.stop_timeout, others=others)

    def _report_forgotten(self, replicas: list[Replica]) -> None:
        for replica in replicas:
            self.publish(
                ReplicaExited(
                    replica.name, replica.incarnation, reason="it did not run", expected=True
                )
            )

    # --- the loop ---

    async def _supervise(self) -> None:
        beat = self._loop.time()
        while not (self._supervision.ending and not self._tasks):
            self._wake.clear()
            now = self._loop.time()
            self._start_due(now)
            if now >= beat:
                beat = now + self._beat(now)
            due = self._supervision.next_due(now)
            pause = min(beat - now, due if due is not None else beat - now)
            try:
                async with asyncio.timeout(max(pause, 0.0)):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _start_due(self, now: float) -> None:
        orders = self._supervision.orders
        if self._supervision.ending or orders is None or orders.application is None:
            return
        unheld = [name for name, g in orders.groups.items() if self._listeners.of(g) is None]
        for replica in self._supervision.startable(now, without=unheld):
            self._supervision.starting(replica, now)
            incarnation = Incarnation(replica, self._around, self._routing)
            task = self._loop.create_task(incarnation.run(), name=f"replica {replica.name}")
            self._tasks[task] = incarnation
            task.add_done_callback(self._incarnation_done)

    def _incarnation_done(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        self._wake.set()
        if not task.cancelled() and task.exception() is not None:
            self.say("log", [f"{task.get_name()}: {task.exception()!r}"])

    def _beat(self, now: float) -> float:
        """What has to be looked at now and then; returns the seconds until the next time."""
        orders = self._supervision.orders
        for replica in self._supervision.hung(now):
            for incarnation in self._tasks.values():
                if incarnation.name == replica.name and incarnation.running is not None:
                    silent = now - replica.heard
                    incarnation.running.end_hung(f"hung: nothing heard of it for {silent:.1f} s")
                    replica.heard = now
        if not self._launcher.forking:
            strays.reap(self._known())
        self._socket.mention(Heartbeat())
        if not self._met and self._is_unwatched(now):
            self.end()
        return 0.25 if orders is None else min(orders.heartbeats.every, 1.0)

    def _is_unwatched(self, now: float) -> bool:
        """Whether no manager will come any more: the one that started us is gone, or it is late."""
        if self._patient:
            return False
        gone = self._parent != 1 and os.getppid() != self._parent
        return gone or now - self._began > FIRST_MANAGER

    def _known(self) -> set[int]:
        known = {
            incarnation.running.process.pid
            for incarnation in self._tasks.values()
            if incarnation.running is not None
        }
        zygote = self._launcher.zygote
        known |= self._traffic.pids
        return known if zygote is None else known | {zygote.pid}

    def _abandoned(self) -> None:
        """The manager has not come back: end soon, whatever was planned."""
        self._lost = None
        self._brief = True
        self.end()
        for incarnation in self._tasks.values():
            if incarnation.running is not None:
                incarnation.running.stop(LOST_STOP, LOST_TERM)

    def _given_up(self) -> None:
        """No manager has come for as long as the orders allow: end in order."""
        self._lost = None
        self.say("log", ["no manager has come back for too long: all replicas are stopped"])
        self.end()

    def _signalled(self, number: int) -> None:
        if number == signal.SIGTERM:
            self.end(at_once=self._supervision.ending)

    # --- the end ---

    async def _close(self) -> None:
        if self._lost is not None:
            self._lost.cancel()
        zygote = self._launcher.zygote
        self._launcher.close()
        if zygote is not None:
            await zygote.ended_within(1.0)
        await self._traffic.close()
        self._flush()
        await self._socket.close(LAST_WORDS)
        strays.end(())

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        logs = self._ring.take()
        if logs is not None:
            self._socket.publish_logs(logs)

    def say(self, stream: str, lines: list[str]) -> None:
        """Lines of the envelope itself or of the zygote."""
        logger = "weaver.envelope"
        level = "INFO" if stream == "stdout" else "WARNING"
        now = time.time()
        self.log([LogRecord(now, level, line, logger, stream=stream) for line in lines])
