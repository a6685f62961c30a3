"""The balancer under random histories: always somebody, never the last one out."""

import random
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from weaver.proclet.balancing import EJECTED_FOR, FAILURES, Balancer, Load, cheaper


@dataclass
class Node:
    load: Load = field(default_factory=Load)


step = st.tuples(
    st.integers(0, 7),
    st.sampled_from(["fail", "succeed", "slow", "choose", "wait", "eject", "reset"]),
)


@given(st.integers(1, 8), st.lists(step, max_size=120), st.integers())
def test_at_most_half_are_left_out_and_never_the_last(
    count: int, steps: list[tuple[int, str]], seed: int
) -> None:
    nodes = [Node() for _ in range(count)]
    balancer = Balancer(random.Random(seed).random)
    now = 100.0
    for number, what in steps:
        load = nodes[number % count].load
        match what:
            case "fail":
                balancer.failed(load, nodes, now)
            case "succeed":
                balancer.succeeded(load, 0.001, nodes, now)
            case "slow":
                balancer.succeeded(load, 3.0, nodes, now)
            case "eject":
                balancer.eject(load, nodes, now)
            case "reset":
                load.reset()
            case "wait":
                now += EJECTED_FOR
            case _:
                assert balancer.choose(nodes, now) in nodes
        assert sum(1 for n in nodes if n.load.ejected) * 2 <= count
        assert balancer.choose(nodes, now) in nodes


@given(st.lists(st.integers(0, 50), min_size=2, max_size=8), st.integers())
def test_the_busiest_is_never_chosen_among_two_or_more_distinct(
    in_flight: list[int], seed: int
) -> None:
    nodes = [Node() for _ in in_flight]
    for node, count in zip(nodes, in_flight, strict=True):
        node.load.in_flight = count
    balancer = Balancer(random.Random(seed).random)
    worst = max(in_flight)
    if in_flight.count(worst) == 1:
        chosen = [balancer.choose(nodes, 0.0).load.in_flight for _ in range(20)]
        assert worst not in chosen


@given(st.integers(2, 9), st.integers())
def test_every_replica_gets_calls(count: int, seed: int) -> None:
    nodes = [Node() for _ in range(count)]
    balancer = Balancer(random.Random(seed).random)
    for _ in range(100 * count):
        balancer.choose(nodes, 0.0).load.in_flight += 1
    counts = [node.load.in_flight for node in nodes]
    assert min(counts) > 0
    assert max(counts) - min(counts) <= 20


def test_the_slower_of_two_equally_busy_ones_is_avoided() -> None:
    slow, fast = Node(), Node()
    slow.load.latency, fast.load.latency = 0.010, 0.001
    assert cheaper(slow, fast) is fast
    fast.load.in_flight = 20  # not at any price
    assert cheaper(slow, fast) is slow


def test_what_was_slow_once_gets_calls_again_where_few_are_made() -> None:
    once_slow, steady = Node(), Node()
    once_slow.load.latency, steady.load.latency = 1.0, 0.001
    answers = shares([once_slow, steady], {id(once_slow): 0.001, id(steady): 0.001}, 400)
    assert answers[id(once_slow)] > 100


def test_what_stays_slower_gets_few_of_the_calls_where_few_are_made() -> None:
    slow, fast = Node(), Node()
    answers = shares([slow, fast], {id(slow): 0.005, id(fast): 0.001}, 1000)
    assert 20 < answers[id(slow)] < 120


def shares(nodes: list[Node], seconds: dict[int, float], calls: int) -> dict[int, int]:
    """How many of some calls, made one after the other, each node has answered."""
    balancer = Balancer(random.Random(0).random)
    answers = dict.fromkeys(seconds, 0)
    for _ in range(calls):
        chosen = balancer.choose(nodes, 0.0)
        chosen.load.answered(seconds[id(chosen)])
        answers[id(chosen)] += 1
    return answers


def test_an_unknown_latency_neither_attracts_nor_repels() -> None:
    known, unknown = Node(), Node()
    known.load.latency = 0.001
    unknown.load.in_flight = 1
    assert cheaper(known, unknown) is known
    known.load.in_flight = 2
    assert cheaper(known, unknown) is unknown


def test_one_that_keeps_failing_is_left_out_and_comes_back_with_one_call() -> None:
    nodes = [Node() for _ in range(4)]
    bad = nodes[0]
    balancer = Balancer(random.Random(1).random)
    for _ in range(FAILURES):
        balancer.failed(bad.load, nodes, 10.0)
    assert all(balancer.choose(nodes, 10.0 + EJECTED_FOR - 1) is not bad for _ in range(50))
    probes = [balancer.choose(nodes, 10.0 + EJECTED_FOR) is bad for _ in range(50)]
    assert probes == [True] + [False] * 49
    balancer.failed(bad.load, nodes, 20.0)  # the probe fails: out for longer
    assert all(balancer.choose(nodes, 20.0 + EJECTED_FOR + 1) is not bad for _ in range(50))
    assert balancer.choose(nodes, 20.0 + 2 * EJECTED_FOR) is bad
    balancer.succeeded(bad.load, 0.001, nodes, 30.0)
    assert any(balancer.choose(nodes, 30.0) is bad for _ in range(50))


def test_one_that_is_far_slower_than_the_others_is_left_out() -> None:
    nodes = [Node() for _ in range(3)]
    balancer = Balancer(random.Random(1).random)
    for _ in range(64):
        for node in nodes[1:]:
            balancer.succeeded(node.load, 0.005, nodes, 1.0)
        balancer.succeeded(nodes[0].load, 0.5, nodes, 1.0)
    assert nodes[0].load.ejected
    assert not any(node.load.ejected for node in nodes[1:])


def test_near_ones_are_preferred_unless_they_are_left_out_and_come_back_with_one_call() -> None:
    nodes = [Node() for _ in range(4)]
    near = nodes[:1]
    balancer = Balancer(random.Random(1).random)
    assert balancer.nearest(near, nodes, 10.0) == near
    assert balancer.nearest([], nodes, 10.0) == nodes
    balancer.eject(near[0].load, nodes, 10.0)
    assert balancer.nearest(near, nodes, 11.0) == nodes
    assert balancer.choose(nodes, 11.0) is not near[0]
    assert balancer.nearest(near, nodes, 10.0 + EJECTED_FOR) == near
    assert balancer.nearest(near, nodes, 10.0 + EJECTED_FOR) == nodes
    balancer.succeeded(near[0].load, 0.001, nodes, 20.0)
    assert balancer.nearest(near, nodes, 20.0) == near


def test_choosing_among_some_does_not_forget_who_is_left_out() -> None:
    nodes = [Node() for _ in range(4)]
    balancer = Balancer(random.Random(1).random)
    balancer.eject(nodes[0].load, nodes, 10.0)
    balancer.choose(nodes[1:], 10.0)
    balancer.review(nodes)
    assert all(balancer.choose(nodes, 11.0) is not nodes[0] for _ in range(50))
