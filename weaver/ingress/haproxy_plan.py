"""From a table to what HAProxy should hold, and from there to commands. Pure.

HAProxy cannot make backends while it runs: there are two, blue and green, and each version has one
of them while it is in the table. Which one is written in the map of pins, so that it outlives the
driver. It must not know how HAProxy is reached.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from weaver.control.ingress import Backend, FailedRequest, Table, VersionCounts
from weaver.ingress import pinning
from weaver.ingress.counting import EVIDENCE
from weaver.ingress.haproxy_socket import Figures
from weaver.telemetry.histogram import BUCKETS, bucket

COLOURS: Final = ("blue", "green")
SCALE: Final = 10_000
"""The weight of green in the map is a share of this."""

_OWNER: Final = "version:"
_NAME: Final = re.compile(r"[^A-Za-z0-9_.:-]")
_PLAIN: Final = re.compile(r"[A-Za-z0-9._+\-]{1,128}")
_CHECK: Final = "check inter 500ms fall 2 rise 1 observe layer4 error-limit 2 on-error mark-down"


class Want(msgspec.Struct, frozen=True):
    """What HAProxy should hold: versions and servers by colour, and two maps."""

    versions: Mapping[str, str]
    servers: Mapping[str, Mapping[str, Backend]]
    weights: Mapping[str, str]
    pins: Mapping[str, str]


def want(table: Table, pins: Mapping[str, str]) -> Want:
    """What follows from `table`, with colours as in the present `pins` where they fit.

    Raises ValueError for more than two versions, or a negative weight.
    """
    if any(share.weight < 0 for share in table.shares):
        raise ValueError("a weight is negative")
    shares = {share.version: share for share in table.shares}
    if len(shares) > len(COLOURS):
        raise ValueError(f"HAProxy has two backends, and there are {len(shares)} versions")
    had = {colour: pins.get(_OWNER + colour, "") for colour in COLOURS}
    versions = {colour: version for colour, version in had.items() if version in shares}
    for version in shares:
        if version not in versions.values():
            versions[next(colour for colour in COLOURS if colour not in versions)] = version
    total = sum(share.weight for share in table.shares)
    green = shares[versions["green"]].weight if "green" in versions else 0
    wanted: dict[str, str] = {}
    for colour, version in versions.items():
        wanted[_OWNER + colour] = version
        value = pinning.value_of(version, table.pinning)
        if table.pinning.header and _PLAIN.fullmatch(version):
            wanted[version] = colour
        if value and shares[version].weight:
            wanted[value] = colour
            wanted[f"cookie:{colour}"] = value
    return Want(
        versions=versions,
        servers={c: {server_name(b): b for b in shares[v].backends} for c, v in versions.items()},
        weights={"green": str(round(green * SCALE / total) if total else 0)},
        pins=wanted,
    )


def server_name(backend: Backend) -> str:
    """What HAProxy calls a replica; other addresses are other servers."""
    digest = hashlib.blake2b(f"{backend.id} {backend.address}".encode(), digest_size=4)
    return f"{_NAME.sub('-', backend.id)[:40]}-{digest.hexdigest()}"


def map_changes(path: str, have: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """Commands that make of one map another."""
    added = [f"add map {path} {key} {wanted[key]}" for key in sorted(wanted.keys() - have.keys())]
    changed = [
        f"set map {path} {key} {wanted[key]}"
        for key in sorted(wanted.keys() & have.keys())
        if wanted[key] != have[key]
    ]
    gone = [f"del map {path} {key}" for key in sorted(have.keys() - wanted.keys())]
    return added + changed + gone


def additions(backend: str, have: Iterable[str], wanted: Mapping[str, Backend]) -> list[str]:
    """Commands for servers that a backend lacks; they take requests at once."""
    commands: list[str] = []
    for name in sorted(wanted.keys() - set(have)):
        address = wanted[name].address
        address = f"unix@{address[5:]}" if address.startswith("unix:") else address
        commands += (
            f"add server {backend}/{name} {address} {_CHECK}",
            f"enable health {backend}/{name}",
            f"enable server {backend}/{name}",
        )
    return commands


class Sums:
    """Counts by version, from HAProxy's counters by backend, which outlive versions."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], Figures] = {}
        self._sums: dict[str, VersionCounts] = {}
        self._failures: list[FailedRequest] = []

    def read(self, rows: Iterable[Figures], versions: Mapping[str, str], now: float) -> None:
        """Add what is new in `rows`; `versions` are those of the backends. `now` since the epoch.

        What happened before the first reading is not counted.
        """
        first = not self._last
        for row in rows:
            version = versions.get(row.backend)
            before = self._last.get((row.backend, row.server))
            self._last[row.backend, row.server] = row
            if version is None or (before is None and first):
                continue
            before = before or Figures(row.backend, row.server)
            if row.requests < before.requests:  # HAProxy was started anew
                before = Figures(row.backend, row.server)
            if row.server:
                self._blame(row, row.errors - before.errors, version, now)
            else:
                self._add(row, before, version)

    def _add(self, row: Figures, before: Figures, version: str) -> None:
        known = self._sums.get(version, VersionCounts(version, histogram=(0,) * BUCKETS))
        done = row.requests - before.requests
        histogram = list(known.histogram)
        histogram[bucket(row.milliseconds * 1_000_000)] += done
        self._sums[version] = VersionCounts(
            version,
            known.requests + done,
            known.errors + row.errors - before.errors,
            known.aborted + row.aborted - before.aborted,
            row.in_flight,
            tuple(histogram),
        )

    def _blame(self, row: Figures, errors: int, version: str, now: float) -> None:
        if errors > 0 and len(self._failures) < EVIDENCE:
            why = f"HAProxy counted {errors} answers of 500 and above of this replica"
            self._failures.append(
                FailedRequest(version, now, "", "", status=500, backend=row.server, why=why)
            )

    def versions(self) -> tuple[VersionCounts, ...]:
        """The sums so far. HAProxy tells averages of latency: the histogram is of those."""
        return tuple(self._sums.values())

    def take_failures(self) -> tuple[FailedRequest, ...]:
        """Which replicas answered with errors since the last time."""
        failures, self._failures = self._failures, []
        return tuple(failures)
