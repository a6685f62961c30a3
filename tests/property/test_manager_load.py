"""Replicas by load, for groups whose number is a range."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from manager_world import GROUPS, SPEC

from weaver.manager import events
from weaver.manager.load import CALM
from weaver.manager.settle import wanted_in
from weaver.manager.state import Replica, State, initial
from weaver.manager.step import step

GROUP = msgspec.structs.replace(GROUPS["cart"], replicas=2, least=2, most=10, target_load=0.5)
RANGE = msgspec.structs.replace(SPEC, groups={"cart": GROUP})


def all_ready(state: State) -> State:
    """As if every replica had started."""
    replicas = {
        replica: Replica(replica, slot.group, slot.host, stage="ready", address=f"unix:/{replica}")
        for replica, slot in state.desired.slots.items()
    }
    return msgspec.structs.replace(state, phase="live", replicas=replicas)


def began() -> State:
    state, _ = step(initial(RANGE, epoch=1, seed="s"), events.Began(), 0.0)
    return all_ready(state)


def measure(state: State, load: float, now: float) -> State:
    loads = dict.fromkeys(state.replicas, load)
    state, _ = step(state, events.LoadMeasured(loads), now)
    return all_ready(state)


def test_busy_replicas_get_company_at_once() -> None:
    state = measure(began(), 0.9, 5.0)
    assert wanted_in(state, "cart") == 4


def test_idle_replicas_go_one_by_one_after_a_while() -> None:
    state = began()
    for now in (5.0, 10.0, 15.0, 20.0):
        state = measure(state, 1.0, now)
    assert wanted_in(state, "cart") == 10
    found: list[int] = []
    for now in range(25, 25 + int(CALM) * 3, 5):
        state = measure(state, 0.0, float(now))
        found.append(wanted_in(state, "cart"))
    assert found[0] == 10
    assert found[int(CALM) // 5] == 9
    assert found[-1] == 8


def test_a_wave_of_calls_begins_the_wait_anew() -> None:
    state = measure(began(), 0.9, 5.0)
    for now in range(10, 300, 10):
        state = measure(state, 0.1 if now % 50 else 0.5, float(now))
        assert wanted_in(state, "cart") == 4


def test_a_group_that_is_changing_is_left_alone() -> None:
    state, _ = step(initial(RANGE, epoch=1, seed="s"), events.Began(), 0.0)
    state = msgspec.structs.replace(state, phase="live")
    after, _ = step(state, events.LoadMeasured({"cart-1": 1.0}), 5.0)
    assert after.desired == state.desired


@given(st.lists(st.floats(0, 1), max_size=40))
def test_the_number_stays_in_its_range(loads: list[float]) -> None:
    state = began()
    for number, load in enumerate(loads):
        state = measure(state, load, number * 10.0)
        assert 2 <= wanted_in(state, "cart") <= 10
        assert len(state.desired.slots) == wanted_in(state, "cart")
