"""Latency histograms with a bucket for each power of two of microseconds.

Bucket i counts calls that took less than 2**i microseconds and at least half of that; bucket 0
those below one. This file decides the buckets and what is read out of them; it must not know who
measures.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from weaver.control.messages import MethodStatistics

BUCKETS: Final = 32
"""The last one holds everything from 2**30 microseconds (18 minutes) on."""


def bucket(nanoseconds: int) -> int:
    """The bucket of a duration."""
    index = (nanoseconds // 1000).bit_length()
    return index if index < BUCKETS else BUCKETS - 1  # `min` would double the price


def quantile(histogram: Sequence[int], share: float) -> float:
    """The duration in seconds below which `share` (0 to 1) of the samples lie; 0 without any.

    Interpolated within its bucket, so it is at most a factor of two off.
    """
    rank = share * sum(histogram)
    below = 0
    for i, count in enumerate(histogram):
        if count and below + count >= rank:
            lower = 0.0 if i == 0 else 2.0 ** (i - 1)
            return (lower + (2.0**i - lower) * (rank - below) / count) / 1e6
        below += count
    return 0.0


def add(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    """The histogram of both samples together."""
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    return tuple(n + (shorter[i] if i < len(shorter) else 0) for i, n in enumerate(longer))


def merged(statistics: Iterable[MethodStatistics]) -> tuple[MethodStatistics, ...]:
    """Statistics of several replicas, summed for each caller and method, in order of name."""
    sums: dict[tuple[str, str, str], MethodStatistics] = {}
    for s in statistics:
        key = (s.caller, s.component, s.method)
        known = sums.get(key)
        sums[key] = s if known is None else _sum(known, s)
    return tuple(sums[key] for key in sorted(sums))


def _sum(one: MethodStatistics, other: MethodStatistics) -> MethodStatistics:
    return MethodStatistics(
        caller=one.caller,
        component=one.component,
        method=one.method,
        calls=one.calls + other.calls,
        errors=one.errors + other.errors,
        remote=one.remote + other.remote,
        sent_bytes=one.sent_bytes + other.sent_bytes,
        histogram=add(one.histogram, other.histogram),
        rate=one.rate + other.rate,
    )
