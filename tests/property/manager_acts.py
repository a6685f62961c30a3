"""What may happen in the small world of the manager, one act at a time."""

from collections.abc import Callable

from manager_world import Host, World

from weaver.manager import events

Act = Callable[[World, Host, int], None]


def deliver(world: World, host: Host, n: int) -> None:
    if host.outbox:
        world.happen(host.outbox.pop(0))


def deliver_old(world: World, host: Host, n: int) -> None:
    if world.old:
        stale = world.old[n % len(world.old)]
        if not isinstance(stale, events.Began | events.StopRequested | events.TimerFired):
            world.happen(stale)


def reach(world: World, host: Host, n: int) -> None:
    if host.reaching:
        world.answer(host, succeeds=n % 4 != 0)


def disconnect(world: World, host: Host, n: int) -> None:
    if host.session:
        world.lose(host, gone=False, silent=n % 3 == 0)


def kill_envelope(world: World, host: Host, n: int) -> None:
    if host.session and n % 2:
        world.lose(host, gone=True)


def crash(world: World, host: Host, n: int) -> None:
    if host.processes:
        replica = sorted(host.processes)[n % len(host.processes)]
        world.exit(host, replica, loop=world.state.phase == "live" and n % 3 == 0)


def register(world: World, host: Host, n: int) -> None:
    waiting = [r for r, p in host.processes.items() if p.started.registered is None]
    if waiting:
        world.register(host, waiting[n % len(waiting)])


def repair(world: World, host: Host, n: int) -> None:
    world.repair(host)


def fire(world: World, host: Host, n: int) -> None:
    if world.timers and min(world.timers.values()) < world.now + 40:  # never to the deadline
        world.fire()


def fire_out_of_turn(world: World, host: Host, n: int) -> None:
    world.happen(events.TimerFired(["replica:cart-9", "trust:h1", "envelope:h2", "no"][n % 4]))


def scale(world: World, host: Host, n: int) -> None:
    world.happen(events.ScaleRequested(["front", "cart", "gone"][n % 3], n % 5))


ACTS: tuple[Act, ...] = (
    deliver, deliver, deliver, deliver, register, register, reach, reach, repair,
    crash, disconnect, kill_envelope, deliver_old, fire, fire_out_of_turn, scale,
)  # fmt: skip


def run(world: World, todo: list[tuple[Act, str, int]]) -> World:
    """Begin, and let all that happen: each act with a host and a number to choose by."""
    world.happen(events.Began())
    act_on(world, todo)
    return world


def act_on(world: World, todo: list[tuple[Act, str, int]]) -> None:
    """Let all that happen, as long as the manager runs."""
    for act, host, n in todo:
        if world.finished is None:
            act(world, world.hosts[host], n)
