"""The two tests of a rollout: what they find, how soon, and how seldom they are wrong."""

import math
import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weaver.manager.rollout.analysis import NATS
from weaver.manager.rollout.latency import LEAST, above, evidence_of_slowness, limit
from weaver.manager.rollout.sequential import against, evidence_above, evidence_of_excess
from weaver.telemetry.histogram import BUCKETS, bucket


def histogram(durations: list[float]) -> tuple[int, ...]:
    counts = [0] * BUCKETS
    for seconds in durations:
        counts[bucket(int(seconds * 1e9))] += 1
    return tuple(counts)


def requests_until_found(new_rate: float, old_rate: float, seed: int) -> int:
    """Requests of the new version, at a share of 5 %, until it is found to fail too often."""
    draw, bad, old_bad = random.Random(seed), 0, 0
    for n in range(1, 5_000):
        bad += draw.random() < new_rate
        old_bad += sum(draw.random() < old_rate for _ in range(19))
        if evidence_of_excess(old_bad, 19 * n, bad, n, 0.01) >= NATS:
            return n
    return 5_000


@pytest.mark.parametrize("seed", range(10))
def test_a_version_that_fails_half_of_its_requests_is_found_within_thirty(seed: int) -> None:
    assert requests_until_found(0.5, 0.001, seed) <= 30


@pytest.mark.parametrize("seed", range(5))
def test_a_version_that_fails_a_tenth_is_found_within_some_hundreds(seed: int) -> None:
    assert requests_until_found(0.1, 0.001, seed) <= 400


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.3, 0.9])
def test_a_version_that_fails_as_much_as_it_may_is_hardly_ever_found(rate: float) -> None:
    """Looked at 40 times, each of 100 rollouts: at a level of 5 %, about five may be wrong."""
    draw, wrong = random.Random(7), 0
    for _ in range(100):
        old = new = 0
        for look in range(1, 41):
            old += sum(draw.random() < rate for _ in range(45))
            new += sum(draw.random() < rate + 0.01 for _ in range(5))
            if evidence_of_excess(old, 45 * look, new, 5 * look, 0.01) >= math.log(20):
                wrong += 1
                break
    assert wrong <= 5


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_evidence_against_the_true_rate_stays_small(rate: float) -> None:
    draw, wrong = random.Random(3), 0
    for _ in range(400):
        hits = 0
        for n in range(1, 201):
            hits += draw.random() < rate
            if against(hits, n, rate) >= math.log(10):
                wrong += 1
                break
    assert 0 < wrong <= 60  # at most 40 on average


def test_evidence_is_least_over_all_pairs_of_rates_that_are_admitted() -> None:
    found = evidence_of_excess(3, 500, 20, 100, 0.01)
    pairs = (
        against(3, 500, i / 2000) + against(20, 100, min(j / 2000, 0.2))
        for i in range(1, 400)
        for j in range(1, i + 21)
    )
    assert found <= min(pairs) <= found + 0.1


counts = st.integers(0, 1000)


@given(counts, counts, counts, counts, st.sampled_from([0.0, 0.01, 0.2]))
def test_any_counts_give_a_number(
    old_errors: int, old_others: int, new_errors: int, new_others: int, most: float
) -> None:
    old, new = old_errors + old_others, new_errors + new_others
    found = evidence_of_excess(old_errors, old, new_errors, new, most)
    assert not math.isnan(found)
    if not new or not old or new_errors / new <= old_errors / old + most:
        assert found == 0.0


@settings(max_examples=20)
@given(st.integers(1, 15), st.integers(0, 300))
def test_more_errors_are_more_evidence(errors: int, others: int) -> None:
    total = errors + others
    found = [evidence_of_excess(1, 1000, n, total, 0.01) for n in range(errors + 1)]
    assert all(b >= a - 1e-6 for a, b in pairwise(found))


def test_nothing_is_said_without_requests_to_compare_with() -> None:
    assert evidence_of_excess(0, 0, 10, 10, 0.01) == 0.0
    assert evidence_above(0, 0, 0.1) == 0.0
    assert evidence_above(10, 10, 0.1) > NATS


# --- latency ---

SHAPES: dict[str, Callable[[random.Random], float]] = {
    "even": lambda draw: draw.uniform(0.001, 0.004),
    "constant": lambda draw: 0.00205,
    "exponential": lambda draw: draw.expovariate(200),
    "long tail": lambda draw: draw.lognormvariate(-6, 1),
    "two modes": lambda draw: 0.3 if draw.random() < 0.01 else 0.002,
}


def sample(shape: str, number: int, factor: float, seed: int) -> tuple[int, ...]:
    draw = random.Random(f"{shape} {number} {factor} {seed}")
    return histogram([SHAPES[shape](draw) * factor for _ in range(number)])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(5))
def test_a_version_five_times_slower_is_found(shape: str, seed: int) -> None:
    number = {"even": 100, "constant": 100, "exponential": 500}.get(shape, 2_000)
    old, new = sample(shape, 9 * number, 1, seed), sample(shape, number, 5, seed + 100)
    found = evidence_of_slowness(old, new, 2.0)
    if shape == "two modes":  # 5 % of requests are needed to see what only one in a hundred does
        assert found < NATS
    else:
        assert found >= NATS


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("factor", [1.0, 1.2, 1.5])
def test_a_version_that_is_hardly_slower_stays(shape: str, factor: float) -> None:
    for seed in range(5):
        for number in (100, 1_000, 3_000):
            old, new = sample(shape, number, 1, seed), sample(shape, number, factor, seed + 100)
            assert evidence_of_slowness(old, new, 2.0) < NATS


def test_the_edge_of_a_bucket_makes_no_version_slow() -> None:
    """All requests move into the next bucket, which is twice as wide, by being 5 % slower."""
    old, new = histogram([0.00400] * 5_000), histogram([0.00420] * 5_000)
    assert evidence_of_slowness(old, new, 2.0) < NATS


def test_few_samples_say_nothing() -> None:
    fast, slow = histogram([0.002] * 5_000), histogram([0.2] * (LEAST - 1))
    assert evidence_of_slowness(fast, slow, 2.0) == 0.0
    assert evidence_of_slowness(slow, fast, 2.0) == 0.0
    assert evidence_of_slowness(fast, histogram([0.2] * LEAST), 2.0) > NATS


def test_a_few_slow_requests_of_a_cold_start_are_no_reason() -> None:
    old = sample("even", 2_000, 1, 1)
    cold = histogram([0.002] * 95 + [0.5] * 5)
    assert evidence_of_slowness(old, cold, 2.0) < NATS


def test_what_a_scheduler_adds_is_no_reason() -> None:
    old, new = histogram([0.0001] * 5_000), histogram([0.0008] * 5_000)
    assert evidence_of_slowness(old, new, 2.0) < NATS
    assert limit(old, 2.0) >= 0.001


def test_a_bucket_counts_in_parts() -> None:
    one = [0] * BUCKETS
    one[12] = 100  # from 2.048 to 4.096 ms
    assert above(one, 0.001) == 100
    assert above(one, 0.003072) == pytest.approx(50)
    assert above(one, 0.005) == 0
