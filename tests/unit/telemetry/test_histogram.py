import random

from hypothesis import given
from hypothesis import strategies as st

from weaver.control.messages import MethodStatistics
from weaver.telemetry.histogram import BUCKETS, add, bucket, merged, quantile
from weaver.telemetry.prometheus import prometheus


@given(st.integers(0, 2**62))
def test_a_duration_lies_within_the_bounds_of_its_bucket(nanoseconds: int) -> None:
    i = bucket(nanoseconds)
    microseconds = nanoseconds // 1000
    assert i == BUCKETS - 1 or microseconds < 2**i
    assert i == 0 or microseconds >= 2 ** (i - 1)


def test_quantiles_are_at_most_a_factor_of_two_off() -> None:
    generator = random.Random(1)
    durations = sorted(generator.randint(1, 10**9) for _ in range(2000))
    histogram = [0] * BUCKETS
    for duration in durations:
        histogram[bucket(duration)] += 1
    for share in (0.5, 0.9, 0.99):
        true = durations[int(share * len(durations)) - 1] / 1e9
        assert true / 2 <= quantile(histogram, share) <= true * 2


def test_no_samples_have_no_quantile() -> None:
    assert quantile((), 0.5) == 0.0
    assert quantile((0, 0), 0.99) == 0.0


@given(st.lists(st.integers(0, 9)), st.lists(st.integers(0, 9)))
def test_adding_keeps_every_sample(one: list[int], other: list[int]) -> None:
    assert sum(add(one, other)) == sum(one) + sum(other)
    assert add(one, other) == add(other, one)


def test_statistics_of_replicas_are_summed_by_caller_and_method() -> None:
    first = MethodStatistics("Web", "Cart", "get", calls=2, errors=1, histogram=(0, 2))
    second = MethodStatistics("Web", "Cart", "get", calls=3, remote=3, histogram=(1, 0, 4))
    other = MethodStatistics("", "Cart", "get", calls=1)
    assert merged([first, other, second]) == (
        other,
        MethodStatistics("Web", "Cart", "get", calls=5, errors=1, remote=3, histogram=(1, 2, 4)),
    )


def test_prometheus_text_has_cumulative_buckets_and_escaped_labels() -> None:
    statistics = MethodStatistics("Web", "Cart", "get", calls=9, errors=2, histogram=(1, 2))
    text = prometheus([statistics], labels={"app": 'a"b'})
    labels = 'app="a\\"b",caller="Web",component="Cart",method="get"'
    assert f"weaver_calls_total{{{labels}}} 9\n" in text
    assert f"weaver_call_errors_total{{{labels}}} 2\n" in text
    assert f'weaver_call_seconds_bucket{{{labels},le="1e-06"}} 1\n' in text
    assert f'weaver_call_seconds_bucket{{{labels},le="2e-06"}} 3\n' in text
    assert f'weaver_call_seconds_bucket{{{labels},le="+Inf"}} 3\n' in text
    assert f"weaver_call_seconds_count{{{labels}}} 3\n" in text
