"""Statistics of a comparison that is looked at again and again while samples come in.

Two questions, each answered by a number, the evidence, in nats (natural logarithm of a likelihood
ratio). Whoever acts when it exceeds log(1 / level) acts wrongly with at most that probability,
however often he looks (Ville's inequality). Pure arithmetic: what is compared is not known here.

Evidence against one rate p, after s of n: the mixture of all rates by a Beta(1/2, 1/2) prior, over
the likelihood of p. Under p it is a martingale, and it depends on s and n only, so that samples may
come in lumps. Against "the new rate is at most the old one plus d", it is the product of both
versions' evidences at the pair of rates within that statement for which it is least: for the true
pair, the product is a martingale, and the least one is no larger.
"""

import math
from typing import Final

_HALF: Final = 0.5
_ROUNDS: Final = 40
"""Of the search for the pair of rates: each one leaves two thirds of the interval."""


def evidence_of_excess(
    old_errors: float, old_requests: float, new_errors: float, new_requests: float, most: float
) -> float:
    """Evidence that the new version's rate of errors is larger than the old one's plus `most`.

    In nats; 0 where there is none. It exceeds log(1 / level) with at most probability
    `level`, if the new rate is not larger, and requests fail independently of each other.
    """
    if new_requests <= 0 or old_requests <= 0:
        return 0.0
    if new_errors / new_requests <= old_errors / old_requests + most:
        return 0.0

    observed = new_errors / new_requests

    def likelihood(rate: float) -> float:
        old = _likelihood(old_errors, old_requests, rate)
        return old + _likelihood(new_errors, new_requests, min(observed, rate + most))

    # Both parts are concave in the rate: the largest value is never in the outer third that is cut.
    low, high = 0.0, 1.0
    for _ in range(_ROUNDS):
        third = (high - low) / 3
        if likelihood(low + third) >= likelihood(high - third):
            high -= third
        else:
            low += third
    mixtures = _mixture(old_errors, old_requests) + _mixture(new_errors, new_requests)
    return max(0.0, mixtures - likelihood((low + high) / 2))


def evidence_above(count: float, total: float, share: float) -> float:
    """Evidence that more than `share` of what is sampled is of a kind, after `count` of `total`.

    In nats; 0 where no more than that was.
    """
    if total <= 0 or count / total <= share:
        return 0.0
    return max(0.0, against(count, total, share))


def against(count: float, total: float, rate: float) -> float:
    """Evidence against one rate, in nats; infinite where the rate cannot be."""
    return _mixture(count, total) - _likelihood(count, total, rate)


def _mixture(count: float, total: float) -> float:
    return _log_beta(count + _HALF, total - count + _HALF) - _log_beta(_HALF, _HALF)


def _likelihood(count: float, total: float, rate: float) -> float:
    return _times_log(count, rate) + _times_log(total - count, 1 - rate)


def _times_log(count: float, rate: float) -> float:
    if count <= 0:
        return 0.0
    return count * math.log(rate) if rate > 0 else -math.inf


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
