"""What was asked of each version, and what became of it. Pure: durations are arguments."""

from typing import Final

from weaver.control.ingress import FailedRequest, VersionCounts
from weaver.telemetry.histogram import BUCKETS

EVIDENCE: Final = 20
"""Failed requests of one version that are kept between two reports: the first ones."""


class VersionTally:
    """The running sums of one version; whoever begins a request counts it in `requests`."""

    __slots__ = ("aborted", "errors", "histogram", "requests", "tunnels")

    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0
        self.aborted = 0
        self.tunnels = 0  # that have ended
        self.histogram = [0] * BUCKETS

    @property
    def in_flight(self) -> int:
        """Requests and tunnels that have not ended."""
        return self.requests - sum(self.histogram) - self.aborted - self.tunnels

    def end(self, seconds: float, *, failed: bool) -> None:
        """It was answered, or failed, after `seconds`."""
        if failed:
            self.errors += 1
        index = int(seconds * 1e6).bit_length()  # `bucket`, without a call
        self.histogram[index if index < BUCKETS else -1] += 1

    def end_tunnel(self) -> None:
        """What began as a request, and became a tunnel, has ended."""
        self.tunnels += 1

    def abort(self) -> None:
        """Its client gave up."""
        self.aborted += 1


class Tallies:
    """All versions that were ever asked; `refused` are requests that no version was given."""

    def __init__(self) -> None:
        self._tallies: dict[str, VersionTally] = {}
        self._failures: dict[str, list[FailedRequest]] = {}
        self.refused = 0

    def failed(self, request: FailedRequest) -> None:
        """Keep `request` as evidence, unless there is enough of its version."""
        kept = self._failures.setdefault(request.version, [])
        if len(kept) < EVIDENCE:
            kept.append(request)

    def take_failures(self) -> tuple[FailedRequest, ...]:
        """What was kept since the last time."""
        failures, self._failures = self._failures, {}
        return tuple(request for kept in failures.values() for request in kept)

    def of(self, version: str) -> VersionTally:
        """The sums of `version`."""
        tally = self._tallies.get(version)
        if tally is None:
            tally = self._tallies[version] = VersionTally()
        return tally

    def versions(self) -> tuple[VersionCounts, ...]:
        """The sums as they are reported."""
        return tuple(
            VersionCounts(version, t.requests, t.errors, t.aborted, t.in_flight, tuple(t.histogram))
            for version, t in self._tallies.items()
            if t.requests
        )
