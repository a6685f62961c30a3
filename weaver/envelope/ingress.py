"""The ingress of an envelope's listeners: its workers run as ordered, and are counted.

Decides when workers start, start again, and drain. It must not know how requests find a version.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from weaver.control.certificates import Certificates
from weaver.control.ingress import Counts, Drain, Failures, NotTaken, Quiet, Serving
from weaver.control.restarts import Restarts
from weaver.control.traffic import IngressOrder, IngressReport
from weaver.envelope import ingress_counts
from weaver.envelope.held import Held
from weaver.envelope.ingress_worker import MODULES, IngressWorker, number_of, same_processes
from weaver.manager.restart import RestartPolicy

EVERY: Final = 1.0
"""Seconds between two reports."""

Report = Callable[[IngressReport], None]
Say = Callable[[str, list[str]], None]


class ListenerIngress:
    """The workers of one listener. `report` gets what a manager is told of them.

    `known` are certificates by version, for replicas on other hosts; it may grow.
    """

    def __init__(
        self, listener: str, known: Mapping[str, Certificates], report: Report, say: Say
    ) -> None:
        self.listener = listener
        self._known = known
        self._report = report
        self._say = say
        self._order: IngressOrder | None = None
        self._held: Held | None = None
        self._slots: list[_Slot] = []
        self._workers: set[IngressWorker] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._past = Counts(0)
        self._evidence = ingress_counts.Evidence()
        self._told = 0
        self._fewer = asyncio.Event()

    @property
    def workers(self) -> Iterable[IngressWorker]:
        """Those whose process has not ended."""
        return self._workers

    @property
    def serving(self) -> int:
        """How many accept connections."""
        return sum(worker.serving and not worker.draining for worker in self._workers)

    def follow(self, order: IngressOrder, held: Held) -> None:
        """Have the workers of an order run on these sockets."""
        before, self._order = self._order, order
        same = before is not None and held is self._held and same_processes(before, order)
        wanted = number_of(order)
        former = self._slots if not same else self._slots[wanted:]
        kept = [] if not same else self._slots[:wanted]
        self._held = held
        if before is None or before.table != order.table:
            for slot in kept:
                slot.tell(order)
        self._slots = kept + [self._begin(order, held) for _ in range(wanted - len(kept))]
        for slot in former:
            slot.drain(Drain())
        if former:
            self.report()

    def identify(self) -> None:
        """More certificates are known."""
        for worker in self._workers:
            worker.identify(self._known)

    def drain(self, drain: Drain) -> None:
        """Run no workers any more."""
        self._order = None
        slots, self._slots = self._slots, []
        for slot in slots:
            slot.over = True
        for worker in self._workers:
            worker.drain(drain)
        self.report()

    def report(self) -> None:
        """Tell how it is now."""
        live = ingress_counts.add(worker.counts for worker in self._workers)
        past = ingress_counts.ended(self._past, live.number)
        self._told = self.serving
        self._report(
            IngressReport(
                self.listener,
                self._told,
                sum(worker.draining for worker in self._workers),
                ingress_counts.add((live, past)),
                self._evidence.take(),
            )
        )

    @property
    def quiet(self) -> bool:
        """Whether nothing but tunnels is in flight, and no request will come."""
        return self._order is None and all(worker.quiet for worker in self._workers)

    async def until_quiet(self) -> None:
        """Wait for that, once it drains: for as long as the drain takes."""
        while self._order is None and not self.quiet:
            self._fewer.clear()
            await self._fewer.wait()

    async def end_within(self, seconds: float) -> None:
        """Wait for the end of all workers, and kill them after so many seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # --- workers ---

    def _begin(self, order: IngressOrder, held: Held) -> "_Slot":
        slot = _Slot(order, held)
        task = asyncio.get_running_loop().create_task(self._keep(slot))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return slot

    async def _keep(self, slot: "_Slot") -> None:
        """Have one worker run, and another after it, until it is to drain."""
        loop = asyncio.get_running_loop()
        policy = RestartPolicy(Restarts())
        while not slot.over:
            began = loop.time()
            policy.started(began)
            end = await self._run(slot)
            if slot.over:
                break
            self._say("log", [f"a worker of the ingress of {self.listener} has ended: {end}"])
            draw = random.random()  # noqa: S311 - it spreads restarts, nothing more
            delay = policy.exited(loop.time(), draw).delay
            await asyncio.sleep(max(0.0, began + delay - loop.time()))

    async def _run(self, slot: "_Slot") -> str:
        try:
            worker = IngressWorker(slot.order, slot.held, self._received, self._say)
        except OSError as error:
            return f"it cannot be started: {error}"
        slot.worker = worker
        self._workers.add(worker)
        worker.identify(self._known)
        worker.tell(slot.order.table)
        try:
            return str(await worker.run())
        finally:
            slot.worker = None
            self._workers.discard(worker)
            self._fewer.set()
            over = ingress_counts.ended(worker.counts, 0)
            self._past = ingress_counts.add((self._past, over))
            self.report()

    def _received(self, worker: IngressWorker, message: Any) -> None:
        match message:
            case Serving() if not worker.draining:
                self.report()
            case Quiet():
                self._fewer.set()
            case Failures(requests=requests):
                self._evidence.add(requests)
            case NotTaken(fault=fault):
                where = f" ({fault.where})" if fault.where else ""
                self._say("log", [f"ingress of {self.listener}: {fault.what}{where}: {fault.why}"])
            case _:
                pass


class _Slot:
    """One worker of those that an order wants, and who takes its place when it dies."""

    def __init__(self, order: IngressOrder, held: Held) -> None:
        self.order = order
        self.held = held
        self.worker: IngressWorker | None = None
        self.over = False

    def tell(self, order: IngressOrder) -> None:
        """Use the table of an order from now on."""
        self.order = order
        if self.worker is not None:
            self.worker.tell(order.table)

    def drain(self, drain: Drain) -> None:
        """No other worker comes after this one."""
        self.over = True
        if self.worker is not None:
            self.worker.drain(drain)


class Ingress:
    """All listeners' ingress of one envelope; `find` gives the sockets of a listener."""

    def __init__(self, find: Callable[[str], Held | None], report: Report, say: Say) -> None:
        self._find = find
        self._report = report
        self._say = say
        self._listeners: dict[str, ListenerIngress] = {}
        self._wanted: set[str] = set()
        self._known: dict[str, Certificates] = {}
        self._timer: asyncio.TimerHandle | None = None

    def follow(self, orders: Mapping[str, IngressOrder]) -> None:
        """Run what is ordered for listeners that are held; drain what is not ordered."""
        for name, order in orders.items():
            held = self._find(name)
            if held is None or order.mode not in MODULES:
                continue
            if name not in self._listeners:
                made = ListenerIngress(name, self._known, self._report, self._say)
                self._listeners[name] = made
            self._listeners[name].follow(order, held)
        for name in self._wanted - orders.keys():
            self._listeners[name].drain(Drain())
        self._wanted = {name for name in orders if name in self._listeners}
        if self._timer is None and self._listeners:
            self._tick()

    def learn(self, certificates: Mapping[str, Certificates]) -> None:
        """Show these to replicas of their versions on other hosts, from now on."""
        if certificates.items() <= self._known.items():
            return
        self._known.update(certificates)
        for each in self._listeners.values():
            each.identify()

    def serves(self, listener: str) -> bool:
        """Whether workers accept there."""
        found = self._listeners.get(listener)
        return found is not None and found.serving > 0

    @property
    def pids(self) -> set[int]:
        """The processes of all workers."""
        return {w.process.pid for each in self._listeners.values() for w in each.workers}

    @property
    def wanted(self) -> frozenset[str]:
        """The listeners for which workers are to run."""
        return frozenset(self._wanted)

    def drain(self, listener: str, seconds: float, *, others: bool) -> None:
        """Run nothing there any more; what is in flight, tunnels too, has so many seconds."""
        self._wanted.discard(listener)
        self._listeners[listener].drain(Drain(seconds, seconds, others))

    def drain_all(self, seconds: float, *, others: Callable[[str], bool]) -> None:
        """The same for all listeners, also where a drain goes on already."""
        for name in self._listeners:
            self.drain(name, seconds, others=others(name))

    def waits_for(self, listeners: Iterable[str]) -> bool:
        """Whether requests are in flight where workers are not to run any more."""
        return any(self._ends(name) and not self._listeners[name].quiet for name in listeners)

    async def until_quiet(self, listeners: Iterable[str]) -> None:
        """Wait until that is over: for as long as their drain takes."""
        for name in filter(self._ends, listeners):
            await self._listeners[name].until_quiet()

    def _ends(self, listener: str) -> bool:
        return listener in self._listeners and listener not in self._wanted

    async def close(self, seconds: float) -> None:
        """Wait for the end of all, for so many seconds, and kill what is left."""
        if self._timer is not None:
            self._timer.cancel()
        for each in self._listeners.values():
            await each.end_within(seconds)

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(EVERY, self._tick)
        for each in self._listeners.values():
            each.report()
