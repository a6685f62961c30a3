"""Slices of the key space: full cover, even shares, few moves, the same everywhere."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from weaver.manager.assignment import SLICES, assign
from weaver.routing import KEY_SPACE, Assignment

sets = st.sets(st.integers(1, 12), min_size=1, max_size=12).map(
    lambda numbers: [f"r-{n}" for n in sorted(numbers)]
)
histories = st.lists(sets, min_size=1, max_size=6)


def shares(found: Assignment) -> dict[str, float]:
    ends = [*found.starts[1:], KEY_SPACE]
    total: dict[str, float] = {}
    for start, end, owner in zip(found.starts, ends, found.owners, strict=True):
        total[owner] = total.get(owner, 0) + (end - start) / KEY_SPACE
    return total


def moved(before: Assignment, after: Assignment) -> float:
    """The share of the key space with another owner."""
    edges = sorted({*before.starts, *after.starts, KEY_SPACE})
    return sum(
        (b - a) / KEY_SPACE
        for a, b in itertools.pairwise(edges)
        if before.owner(a) != after.owner(a)
    )


def after(history: list[list[str]]) -> Assignment:
    found = Assignment()
    for replicas in history:
        found = assign(found, replicas)
    return found


@settings(max_examples=40)
@given(histories)
def test_slices_cover_all_keys_once_and_belong_to_replicas_that_exist(
    history: list[list[str]],
) -> None:
    found = after(history)
    assert found.starts[0] == 0
    assert all(a < b for a, b in itertools.pairwise(found.starts))
    assert found.starts[-1] < KEY_SPACE
    assert set(found.owners) == set(history[-1])
    assert len(found.owners) == len(found.starts)


@settings(max_examples=40)
@given(histories)
def test_shares_are_even_within_one_slice(history: list[list[str]]) -> None:
    count = len(history[-1])
    found = shares(after(history)).values()
    assert max(found) - min(found) <= 1 / (SLICES * count) + 1e-9


@settings(max_examples=40)
@given(histories, sets)
def test_a_change_moves_no_more_than_it_must(history: list[list[str]], replicas: list[str]) -> None:
    before = after(history)
    then = assign(before, replicas)
    old, new = set(history[-1]), set(replicas)
    left = sum(share for name, share in shares(before).items() if name in old - new)
    joined = sum(share for name, share in shares(then).items() if name in new - old)
    slack = 1 / SLICES  # whole slices only
    assert moved(before, then) <= max(left, joined) + slack


@settings(max_examples=40)
@given(histories)
def test_the_number_of_slices_stays_bounded(history: list[list[str]]) -> None:
    found = after(history)
    assert SLICES * len(history[-1]) <= len(found.starts)
    assert len(found.starts) <= 4 * SLICES * max(len(replicas) for replicas in history)


@settings(max_examples=40)
@given(histories, sets)
def test_nothing_moves_when_nothing_changes(history: list[list[str]], replicas: list[str]) -> None:
    found = after([*history, replicas])
    assert moved(found, assign(found, list(reversed(replicas)))) == 0


@settings(max_examples=40)
@given(histories)
def test_the_same_history_gives_the_same_slices(history: list[list[str]]) -> None:
    assert after(history) == after(history)


def test_without_replicas_there_are_no_owners() -> None:
    assert assign(after([["a", "b"]]), []) == Assignment()


def test_joining_eight_replicas_moves_a_ninth() -> None:
    eight = after([[f"r-{n}" for n in range(8)]])
    nine = assign(eight, [f"r-{n}" for n in range(9)])
    assert moved(eight, nine) < 1 / 9 + 0.01
    assert set(shares(nine)) == {f"r-{n}" for n in range(9)}


def test_two_hundred_replicas_are_assigned_and_even() -> None:
    found = after([["r-0"], [f"r-{n}" for n in range(200)]])
    assert max(shares(found).values()) <= 1.02 / 200
