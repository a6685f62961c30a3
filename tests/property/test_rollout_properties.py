"""A rollout against a small world in which everything fails at every moment."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rollout_versions import HOSTS, NEW, OLD
from rollout_world import OVER, PLAN, World

from weaver.control.messages import Fault
from weaver.control.traffic import Traffic
from weaver.manager.rollout import events
from weaver.manager.rollout.state import Front, Plan
from weaver.manager.rollout.step import replay

EVENT: msgspec.msgpack.Decoder[events.Event] = msgspec.msgpack.Decoder(events.Event)
Act = Callable[[World, str, str, int], None]


def hear(world: World, name: str, host: str, n: int) -> None:
    if world.stale:
        world.observe(sorted(world.stale, key=str)[n % len(world.stale)])


def become_ready(world: World, name: str, host: str, n: int) -> None:
    version = world.versions[name]
    side = version.sides[host]
    if version.runs and side.attached and side.ready < side.wanted:
        side.ready += 1
        world.stale.add(name)


def become_live(world: World, name: str, host: str, n: int) -> None:
    version = world.versions[NEW]
    if version.phase == "starting":
        version.phase = "live"
        for side in version.sides.values():
            side.ready = side.wanted
        world.stale.add(NEW)


def crash(world: World, name: str, host: str, n: int) -> None:
    side = world.versions[name].sides[host]
    if side.ready:
        side.ready -= 1
        world.stale.add(name)


def loop(world: World, name: str, host: str, n: int) -> None:
    if n % 4 == 0:
        world.versions[name].loops ^= True
        world.stale.add(name)


def cut(world: World, name: str, host: str, n: int) -> None:
    if world.versions[name].runs:
        world.lose(name, host, gone=n % 2 == 0)


def attach(world: World, name: str, host: str, n: int) -> None:
    world.attach(name, host)


def rise(world: World, name: str, host: str, n: int) -> None:
    if world.workers:
        world.rise(sorted(world.workers)[n % len(world.workers)])


def kill_worker(world: World, name: str, host: str, n: int) -> None:
    if world.workers:
        place = sorted(world.workers)[n % len(world.workers)]
        workers = world.workers[place]
        if workers.serving:
            workers.serving, workers.rising, workers.killed = 0, True, True
            world.stale.add(place)


def serve(world: World, name: str, host: str, n: int) -> None:
    world.serve(0.5 if n == 0 else 0.0)


def time_passes(world: World, name: str, host: str, n: int) -> None:
    world.now += n
    if world.timers and min(world.timers.values()) <= world.now:
        world.fire()


def fire(world: World, name: str, host: str, n: int) -> None:
    world.fire()


def steer(world: World, name: str, host: str, n: int) -> None:
    actions: list[events.Action] = ["pause", "resume", "promote", "pause", "resume", "promote"]
    if n == 30:
        actions = ["rollback", "abort", "supersede"]
    world.happen(events.Steered(actions[(n + len(world.log)) % len(actions)]))


def hook(world: World, name: str, host: str, n: int) -> None:
    world.hook_ends(Fault("it failed") if n > 25 else None)


def end(world: World, name: str, host: str, n: int) -> None:
    if n in {10, 11} and world.versions[name].runs:
        world.versions[name].phase, world.versions[name].result = "stopping", "failed"
        world.stale.add(name)
    if world.versions[name].phase == "stopping":
        world.end(name)


def restart(world: World, name: str, host: str, n: int) -> None:
    if n % 5 == 0:
        world.restart()
    elif n % 5 == 1:
        world.versions[name].settled = not world.versions[name].settled
        world.stale.add(name)


ACTS: list[Act] = [
    hear, hear, hear, become_ready, become_live, crash, loop, cut, attach, rise, rise, rise,
    kill_worker, serve, time_passes, fire, steer, hook, end, restart,
]  # fmt: skip

acts = st.lists(
    st.tuples(
        st.sampled_from(ACTS), st.sampled_from([OLD, NEW]), st.sampled_from(HOSTS),
        st.integers(0, 30),
    ),
    max_size=120,
)  # fmt: skip
Todo = list[tuple[Act, str, str, int]]
MODES: dict[str, Plan] = {
    "shared": PLAN,
    "proxy": msgspec.structs.replace(PLAN, fronts={"http": Front(mode="proxy")}),
    "from proxy": msgspec.structs.replace(PLAN, old_fronts={"http": Front(mode="proxy")}),
    "haproxy": msgspec.structs.replace(
        PLAN,
        fronts={"http": Front(mode="haproxy", socket="/run/haproxy")},
        old_fronts={"http": Front(mode="haproxy", socket="/run/haproxy")},
        keep_warm=0.0,
        before=False,
        after=False,
    ),
}


def run(world: World, todo: Todo, turns: int = 0) -> World:
    """What is to be done, after the rollout has gone on undisturbed for some turns."""
    for _ in range(turns):
        world.go_on()
    for act, name, host, n in todo:
        if name in world.versions:
            act(world, name, host, n)
    return world


def assert_ended(world: World) -> None:
    """One version serves everybody, the other one has been stopped."""
    assert world.wrong == []
    phase = world.state.rollout.phase
    stays, goes = (NEW, OLD) if phase == "done" else (OLD, NEW)
    if goes in world.versions:
        assert world.versions[goes].phase == "stopped"
    if stays in world.versions and world.versions[stays].runs:
        for host, side in world.versions[stays].sides.items():
            assert side.has is not None
            assert side.has.accepting or side.has.ingress or not side.wanted, host


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=120, deadline=None)
@given(todo=acts, turns=st.integers(0, 30))
def test_a_rollout_ends_when_failures_stop(mode: str, todo: Todo, turns: int) -> None:
    world = run(World(MODES[mode]), todo, turns)
    world.settle()
    assert_ended(world)


@settings(max_examples=60, deadline=None)
@given(acts, st.sampled_from(list(MODES)))
def test_a_first_version_is_served_or_taken_away(todo: Todo, mode: str) -> None:
    world = run(World(MODES[mode], old=False), todo)
    world.settle()
    assert_ended(world)


@settings(max_examples=60, deadline=None)
@given(acts, st.integers(0, 30), st.sampled_from(list(MODES)))
def test_a_log_replays_to_the_same_state(todo: Todo, turns: int, mode: str) -> None:
    world = run(World(MODES[mode]), todo, turns)
    log = [(now, EVENT.decode(msgspec.msgpack.encode(event))) for now, event in world.log]
    assert replay(world.first, log) == world.state


def undisturbed(mode: str, bad: float = 0.0, *, old: bool = True) -> World:
    world = World(MODES[mode], old=old)
    drive(world, bad)
    return world


def drive(world: World, bad: float) -> None:
    """All goes well, but for the requests that fail; users come between any two steps."""
    served = -1.0
    for _ in range(300):
        if world.state.rollout.phase == "shifting" and not world.stale and served < world.now:
            world.serve(bad)
            served = world.now
        else:
            world.go_on()
        if world.state.rollout.phase in OVER and not world.stale and not world.timers:
            return
    raise AssertionError(f"it does not end: {world.state.rollout}")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bad", [0.0, 0.5])
@pytest.mark.parametrize("old", [True, False])
def test_a_manager_killed_after_any_effect_ends_it_as_it_would_have_or_takes_it_back(
    mode: str, bad: float, old: bool
) -> None:
    whole = undisturbed(mode, bad, old=old)
    expected = whole.state.rollout.phase
    assert expected == ("withdrawn" if bad and old else "done")
    for number in range(World(MODES[mode], old=old).done, whole.done):
        world = World(MODES[mode], old=old)
        world.cut_after = number
        drive(world, bad)
        assert world.epoch == 2, number
        assert_ended(world)
        assert len(world.ran) == len(set(world.ran)), "a hook ran twice"
        phase, fault = world.state.rollout.phase, world.state.rollout.fault
        if phase != expected:
            assert phase == "withdrawn"
            assert fault is not None
            assert "interrupted" in fault.what


def test_a_rollback_wins_in_every_phase_in_which_the_old_version_runs() -> None:
    phases: set[str] = set()
    for turns in range(300):
        world = World()
        for _ in range(turns):
            world.go_on()
        phase = world.state.rollout.phase
        phases.add(phase)
        world.happen(events.Steered("rollback"))
        world.happen(events.Steered("promote"))
        world.happen(events.Steered("resume"))
        world.settle()
        assert_ended(world)
        over = phase in {"retiring", "done"}
        assert world.state.rollout.phase == ("done" if over else "withdrawn"), phase
        if not over:
            assert world.state.rollout.outcome == "rolled back"
            assert world.versions[OLD].ordered == dict.fromkeys(HOSTS, Traffic())
        if phase == "done":
            break
    assert phases == {
        "starting", "before", "opening", "shifting", "closing", "after", "warm", "retiring", "done",
    }  # fmt: skip
