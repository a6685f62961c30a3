"""Whether one version is slower than another, told from histograms whose buckets double.

Decides how quantiles are compared where a bucket is a factor of two wide. Within a bucket, samples
are taken as evenly spread, so that a quantile read from it may be off by that factor; three guards
keep this, and the noise of few samples, from counting as slowness:

- the old quantile is read at the upper end of what its samples admit (`MARGIN` standard deviations
  of its rank), so that it is rather too large;
- the limit is the factor times that, and at least `FLOOR` above it: below, a scheduler is measured;
- the new version is slower when more than `TAIL` of its requests exceed the limit, twice as many as
  its 99th percentile may have above it, by sequential evidence (`sequential`).

A version whose requests all take five times as long has moved by more than two buckets: nearly all
that used to be near the 99th percentile, and most of the rest, exceed the limit.
"""

import math
from collections.abc import Sequence
from typing import Final

from weaver.manager.rollout.sequential import evidence_above
from weaver.telemetry.histogram import quantile

QUANTILE: Final = 0.99
TAIL: Final = 2 * (1 - QUANTILE)
MARGIN: Final = 3.0
FLOOR: Final = 0.001
"""Seconds."""
LEAST: Final = 50
"""Samples of each version, below which nothing is said."""


def limit(old: Sequence[int], factor: float) -> float:
    """The duration in seconds that hardly any request of the new version may exceed."""
    samples = sum(old)
    rank = QUANTILE + MARGIN * math.sqrt(QUANTILE * (1 - QUANTILE) / max(samples, 1))
    slowest = quantile(old, min(rank, 1.0))
    return max(slowest * factor, slowest + FLOOR)


def above(histogram: Sequence[int], seconds: float) -> float:
    """How many samples took longer; a part of those in the bucket in which `seconds` lies."""
    micros, count = seconds * 1e6, 0.0
    for i, samples in enumerate(histogram):
        lower, upper = (0.0 if i == 0 else 2.0 ** (i - 1)), 2.0**i
        if lower >= micros:
            count += samples
        elif upper > micros:
            count += samples * (upper - micros) / (upper - lower)
    return count


def evidence_of_slowness(old: Sequence[int], new: Sequence[int], factor: float) -> float:
    """Evidence in nats that the new 99th percentile is more than `factor` times the old one."""
    if sum(old) < LEAST or sum(new) < LEAST:
        return 0.0
    return evidence_above(above(new, limit(old, factor)), sum(new), TAIL)
