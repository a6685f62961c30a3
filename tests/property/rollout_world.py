"""A small world of two versions on some hosts, for a rollout: all of it may fail at any moment."""

import msgspec
from rollout_versions import (
    HOSTS,
    LISTENERS,
    NEW,
    OLD,
    ONLY_NEW,
    ONLY_OLD,
    Side,
    Version,
    Workers,
)

from weaver.control.ingress import Table, VersionShare
from weaver.control.messages import Fault
from weaver.control.traffic import IngressOrder, Traffic
from weaver.manager.rollout import effects, events
from weaver.manager.rollout.between import front
from weaver.manager.rollout.shares import WHOLE
from weaver.manager.rollout.state import Front, Place, Plan, Rollout, State, initial
from weaver.manager.rollout.step import step
from weaver.manager.rollout.traffic import standby

FRONTS: dict[str, Front] = dict.fromkeys(LISTENERS, Front())
PLAN = Plan(
    steps=(0.1, 0.5, 1.0),
    before=True,
    after=True,
    fronts=FRONTS,
    old_fronts=FRONTS,
    predecessors={"h1": "/run/1", "h2": "/run/2"},
)
EARLIER = 9 << 32
"""The number of the last table of an earlier rollout: of an epoch that this one's is below."""
OVER = frozenset({"done", "withdrawn"})


class World:
    def __init__(self, plan: Plan = PLAN, *, old: bool = True, wanted: int = 2) -> None:
        self.now, self.epoch, self.plan = 0.0, 1, plan
        self.versions: dict[str, Version] = {}
        self.workers: dict[Place, Workers] = {}
        if old:
            numbers = {h: wanted if h != ONLY_NEW else 0 for h in HOSTS}
            self.versions[OLD] = Version(OLD, {h: Side(n, n) for h, n in numbers.items()})
            for host in HOSTS:
                self.has_been_served(self.versions[OLD], host)
        numbers = {h: wanted if h != ONLY_OLD else 0 for h in HOSTS}
        fresh = {h: Side(n, 0, has=standby(plan, h)) for h, n in numbers.items()}
        ordered = {h: standby(plan, h) for h in HOSTS}
        self.versions[NEW] = Version(NEW, fresh, phase="starting", ordered=ordered)
        self.stale: set[str | Place] = set()
        self.bereft: set[str] = set()  # hosts where workers have ended without being told to
        self.hooks: list[str] = []
        self.ran: list[str] = []
        self.finished: list[effects.Finished] = []
        self.saved = Rollout(old=OLD if old else "", new=NEW)
        self.saves = self.done = 0
        self.cut_after: int | None = None
        self.wrong: list[str] = []
        self.begin()

    def has_been_served(self, version: Version, host: str) -> None:
        """As an earlier rollout left it: behind an ingress if that is how it is served."""
        traffic = Traffic()
        if any(front.mode != "shared" for front in self.plan.old_fronts.values()):
            table = Table(EARLIER, (VersionShare(version.name, WHOLE),))
            order = IngressOrder(
                table, "haproxy" if self.plan.old_fronts["http"].socket else "proxy"
            )
            listeners = LISTENERS if version.sides[host].wanted else ()
            traffic = Traffic(accepting=False, ingress=dict.fromkeys(listeners, order))
            for listener in listeners:
                self.workers[version.name, host, listener] = Workers(serving=1, rising=False)
        version.ordered = {**version.ordered, host: traffic}
        version.sides[host].has = traffic

    # --- the manager ---

    def begin(self) -> None:
        """A manager begins, or goes on with what was saved."""
        self.timers: dict[str, float] = {}
        self.first = self.state = initial(self.plan, self.saved, epoch=self.epoch)
        self.log: list[tuple[float, events.Event]] = []
        self.stale = {*self.versions, *self.workers}
        self.happen(events.Began())
        for name in list(self.versions):
            self.observe(name)

    def restart(self) -> None:
        """The manager is killed, and another one begins."""
        self.epoch += 1
        self.hooks.clear()
        self.begin()

    def happen(self, event: events.Event) -> None:
        self.log.append((self.now, event))
        before = self.state
        self.state, done = step(self.state, event, self.now)
        for effect in done:
            if self.done == self.cut_after:
                self.cut_after = None
                self.restart()
                return
            self.done += 1
            self.carry_out(effect)
        self.check(before, done)

    def carry_out(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Save(rollout=rollout):
                self.saved = msgspec.msgpack.decode(msgspec.msgpack.encode(rollout), type=Rollout)
                self.saves += 1
            case effects.OrderTraffic(deployment=name, traffic=traffic):
                self.versions[name].ordered = traffic
                for host, side in self.versions[name].sides.items():
                    if side.attached:
                        self.tell(name, host)
                self.stale.add(name)
            case effects.RunHook(which=which):
                self.ran.append(which)
                self.hooks.append(which)
            case effects.CancelHook(which=which):
                self.hooks.remove(which)
            case effects.EndVersion(deployment=name):
                if self.versions[name].runs:
                    self.versions[name].phase = "stopping"
                    self.versions[name].result = "stopped"
                    self.stale.add(name)
            case effects.SetTimer(name=name, when=when):
                self.timers[name] = when
            case effects.CancelTimer(name=name):
                del self.timers[name]
            case effects.Finished():
                self.finished.append(effect)
            case effects.Report():
                pass

    # --- the hosts ---

    def tell(self, name: str, host: str) -> None:
        """An attached envelope gets its orders."""
        side = self.versions[name].sides[host]
        traffic = self.versions[name].ordered.get(host, Traffic())
        had = side.has.ingress if side.has is not None else {}
        for listener, order in traffic.ingress.items():
            known = had.get(listener, order)
            if order != known and order.table.number <= known.table.number:
                self.wrong.append(f"table {order.table.number} of {host} goes back")
            place = (name, host, listener)
            if place not in self.workers or listener not in had:
                bereft = host in self.bereft or not self.versions[NEW].sides[host].ready
                self.workers[place] = Workers(killed=side.has is None or bereft)
        for listener in had:
            if listener not in traffic.ingress:
                workers = self.workers[name, host, listener]
                workers.draining += workers.serving
                workers.serving, workers.rising = 0, False
                self.stale.add((name, host, listener))
            elif traffic.ingress[listener] != had[listener]:
                self.stale.add((name, host, listener))  # it says which table it uses
        side.has = traffic

    def lose(self, name: str, host: str, *, gone: bool) -> None:
        """An envelope is cut off, or its process ends with all replicas and workers."""
        side = self.versions[name].sides[host]
        side.attached = False
        if gone:
            side.ready, side.has = 0, None
            self.end_workers(name, host)
        self.stale.add(name)

    def attach(self, name: str, host: str) -> None:
        version = self.versions[name]
        if not version.sides[host].attached and version.runs:
            version.sides[host].attached = True
            self.tell(name, host)
            self.stale |= {name, *(p for p in self.workers if p[:2] == (name, host))}

    def end(self, name: str) -> None:
        """A version has been stopped."""
        version = self.versions[name]
        version.phase = "stopped"
        for host, side in version.sides.items():
            side.ready, side.has = 0, None
            self.end_workers(name, host)
        self.stale.add(name)

    def end_workers(self, name: str, host: str) -> None:
        for place in [p for p in self.workers if p[:2] == (name, host)]:
            ordered = self.versions[name].result == "stopped"
            if self.workers.pop(place).serving and not ordered:
                self.bereft.add(host)
                for other in self.workers:
                    self.workers[other].killed |= other[1] == host and self.workers[other].rising
            self.stale.discard(place)

    def rise(self, place: Place) -> None:
        workers = self.workers[place]
        if workers.rising:
            workers.serving, workers.rising, workers.killed = 1, False, False
        workers.draining = 0
        self.stale.add(place)

    def observe(self, what: str | Place) -> None:
        """The manager hears of a version or of an ingress."""
        self.stale.discard(what)
        if isinstance(what, str):
            self.happen(events.VersionObserved(what, self.versions[what].observed()))
        elif self.versions[what[0]].sides[what[1]].attached and what in self.workers:
            has = self.versions[what[0]].sides[what[1]].has
            order = None if has is None else has.ingress.get(what[2])
            report = self.workers[what].report(what[2], order.table.number if order else 0)
            self.happen(events.IngressReported(what[0], what[1], report))

    def serve(self, bad: float) -> None:
        """Users come: each ingress gives them out by its table; some of the new one's fail."""
        for (name, host, listener), workers in self.workers.items():
            side = self.versions[name].sides[host]
            if not workers.serving or side.has is None:
                continue
            for share in side.has.ingress[listener].table.shares:
                requests, errors = workers.counts.get(share.version, (0, 0))
                more = 100 * share.weight // WHOLE
                fails = round(more * bad) if share.version == NEW else 0
                workers.counts[share.version] = (requests + more, errors + fails)
            self.stale.add((name, host, listener))

    def fire(self) -> None:
        if self.timers:
            name = min(self.timers, key=lambda key: self.timers[key])
            self.now = max(self.now, self.timers.pop(name))
            self.happen(events.TimerFired(name))

    def hook_ends(self, fault: Fault | None = None) -> None:
        if self.hooks:
            hook = self.hooks.pop(0)
            self.happen(events.HookEnded("before" if hook == "before" else "after", fault))

    # --- what must hold after every step, and how it ends ---

    def check(self, before: State, done: list[effects.Effect]) -> None:
        self.check_order(before, done)
        self.check_weights()
        self.check_timers()
        if not self.stale:
            self.check_acceptors()

    def check_order(self, before: State, done: list[effects.Effect]) -> None:
        if self.state.rollout != before.rollout and not isinstance(done[0], effects.Save):
            self.wrong.append("something is done before it is saved")
        if self.state.rollout != self.saved:
            self.wrong.append("what was decided is not saved")
        for effect in done:
            ends_old = isinstance(effect, effects.EndVersion) and effect.deployment == OLD
            if ends_old and not self.is_good(before):
                self.wrong.append("the old version is stopped too early")

    def is_good(self, before: State) -> bool:
        """Whether the new version is live, and what stands before it had been told to use it."""
        was, now = before.rollout, self.state.rollout
        late = was.phase in {"closing", "after", "warm", "retiring"}
        last = was.phase == "shifting" and was.step == len(self.plan.steps) - 1
        live = self.state.observed[NEW].phase == "live" or was.phase == "retiring"
        return now.phase == "retiring" and (late or last) and live

    def check_weights(self) -> None:
        """The new version gets no more than its ready replicas can carry, while both can."""
        seen = self.state.observed
        if NEW not in seen or seen[NEW].phase not in {"starting", "live"}:
            return
        for host, traffic in self.state.said.get(NEW, {}).items():
            for listener, order in traffic.ingress.items():
                weights = {share.version: share.weight for share in order.table.shares}
                if sum(weights.values()) != WHOLE:
                    self.wrong.append(f"weights {weights}")
                if OLD not in weights or not all(v.settled for v in seen.values()):
                    continue
                old, new = seen[OLD].hosts[host], seen[NEW].hosts[host]
                able = len(new.ready.get(listener, ())) / max(new.wanted.get(listener, 0), 1)
                exceeds = weights.get(NEW, 0) > round(able * WHOLE)
                if exceeds and seen[OLD].phase == "live" and old.ready.get(listener):
                    self.wrong.append(f"{weights} on {host}, where {able:.0%} is ready")

    def check_timers(self) -> None:
        state = self.state
        if state.timers != self.timers:
            self.wrong.append(f"timers {self.timers} instead of {state.timers}")
        waits = state.rollout.phase not in {"starting", *OVER} and not state.rollout.held
        settled = all(v.settled for v in state.observed.values())
        if waits and not state.timers and settled and len(state.observed) == len(self.versions):
            self.wrong.append(f"{state.rollout.phase} waits without a timer")

    def check_acceptors(self) -> None:
        """On each host somebody takes connections who can have them answered."""
        phase = self.state.rollout.phase
        if any(not v.settled for v in self.versions.values()):
            return
        for host in HOSTS:
            for listener in LISTENERS:
                served = [v for v in self.versions.values() if self.takes(v, host, listener)]
                for version in self.versions.values():
                    side = version.sides[host]
                    able = version.phase == "live" and side.attached and side.ready
                    moved = phase in {"after", "warm", "retiring", "done"}
                    counts = version.name == OLD or moved
                    if host == ONLY_NEW and phase == "shifting":
                        counts = counts or self.shares(listener)
                    if able and counts and not served:
                        self.wrong.append(f"nobody serves {listener} of {host} in {phase}")

    def takes(self, version: Version, host: str, listener: str) -> bool:
        side = version.sides[host]
        if not version.runs or side.has is None:
            return False
        if side.has.accepting:
            return side.ready > 0
        workers = self.workers.get((version.name, host, listener))
        order = side.has.ingress.get(listener)
        if order is None or workers is None:
            return False
        if not workers.serving and (side.attached or not workers.killed):
            return self.recovers(workers)
        return any(share.weight and self.reaches(share, host) for share in order.table.shares)

    def reaches(self, share: VersionShare, host: str) -> bool:
        """Whether the ingress of a host is told of replicas of a version that are ready."""
        sides = self.versions[share.version].sides
        others = any(side.ready for name, side in sides.items() if name != host)
        return bool((share.backends and sides[host].ready) or (share.beyond and others))

    def shares(self, listener: str) -> bool:
        """Whether the old version has replicas on other hosts that an ingress can turn to."""
        if front(self.state, listener).mode == "haproxy" or OLD not in self.versions:
            return False
        old = self.versions[OLD]
        return old.runs and any(side.ready for side in old.sides.values())

    def recovers(self, workers: Workers) -> bool:
        """Where replicas never take connections themselves, dead workers are waited for."""
        fronts = (*self.plan.fronts.values(), *self.plan.old_fronts.values())
        return workers.killed and any(front.mode != "shared" for front in fronts)

    def settle(self) -> None:
        """No more failures: everything comes back, and the rollout ends."""
        for _ in range(300):
            self.go_on()
            if self.state.rollout.phase in OVER and not self.stale and not self.timers:
                return
        raise AssertionError(f"it does not end: {self.state.rollout}")

    def go_on(self) -> None:
        """What happens by itself happens; only when nothing else does, time passes."""
        for name, version in list(self.versions.items()):
            version.loops = version.loops and not version.runs
            for host, side in version.sides.items():
                self.attach(name, host)
                if version.phase == "stopping":
                    self.end(name)
                if version.runs and side.ready != side.wanted:
                    side.ready = side.wanted
                    self.stale.add(name)
            if version.phase == "starting" or not version.settled:
                version.settled = True
                version.phase = "live" if version.phase == "starting" else version.phase
                self.stale.add(name)
        for place, workers in list(self.workers.items()):
            if workers.rising or workers.draining:
                self.rise(place)
        if self.stale:
            while self.stale:
                self.observe(min(self.stale, key=str))
        elif self.hooks:
            self.hook_ends()
        elif self.state.rollout.held:
            self.happen(events.Steered("resume"))
        else:
            self.fire()
