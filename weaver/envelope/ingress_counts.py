"""Adds up what the workers of one ingress have counted, also those that have ended. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final

from weaver.control.ingress import Counts, FailedRequest, VersionCounts

MOST_FAILURES: Final = 100
"""Failed requests that are kept for one report: evidence, not a log."""


def add(counts: Iterable[Counts]) -> Counts:
    """The sum; its `number` is the oldest table that any of them uses."""
    all_of_them = list(counts)
    versions: dict[str, VersionCounts] = {}
    for each in all_of_them:
        for one in each.versions:
            known = versions.get(one.version)
            versions[one.version] = one if known is None else _sum(known, one)
    return Counts(
        number=min((each.number for each in all_of_them), default=0),
        connections=sum(each.connections for each in all_of_them),
        refused=sum(each.refused for each in all_of_them),
        versions=tuple(versions.values()),
    )


def ended(counts: Counts, number: int) -> Counts:
    """What is left of the last counts of a worker that has ended: nothing is in flight there.

    `number` is the table of those that go on: what has ended keeps nobody from a newer one.
    """
    versions = tuple(
        VersionCounts(v.version, v.requests, v.errors, v.aborted, 0, v.histogram)
        for v in counts.versions
    )
    return Counts(number, 0, counts.refused, versions)


class Evidence:
    """The requests that failed since the last report; of many, the first ones of each version."""

    def __init__(self) -> None:
        self._kept: list[FailedRequest] = []
        self._each: dict[str, int] = {}

    def add(self, requests: Iterable[FailedRequest]) -> None:
        """Keep these, as far as there is room."""
        for request in requests:
            known = self._each.get(request.version, 0)
            if known < MOST_FAILURES:
                self._each[request.version] = known + 1
                self._kept.append(request)

    def take(self) -> tuple[FailedRequest, ...]:
        """What is kept, and forget it."""
        taken = tuple(self._kept)
        self._kept.clear()
        self._each.clear()
        return taken


def _sum(one: VersionCounts, other: VersionCounts) -> VersionCounts:
    return VersionCounts(
        one.version,
        one.requests + other.requests,
        one.errors + other.errors,
        one.aborted + other.aborted,
        one.in_flight + other.in_flight,
        _added(one.histogram, other.histogram),
    )


def _added(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    rest = [0] * (len(longer) - len(shorter))
    return tuple(a + b for a, b in zip(longer, [*shorter, *rest], strict=True))
