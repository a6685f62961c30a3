"""What `weaver history` shows of deployments on this machine: who, when, what, and its end.

Decides the words for results. A record tells all of it; nobody is asked.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from weaver.cli.render_rollout import evidence_lines, percent
from weaver.cli.versions import SHOWN, short

if TYPE_CHECKING:
    from weaver.deployers.registry import Record

RESULTS: Final = {
    "live": "live",
    "failed": "failed",
    "ended": "ended by itself",
    "replaced": "replaced by the next version",
    "withdrawn": "withdrawn",
    "lost": "lost: nothing of it ran any more",
    "fenced": "taken over by another machine",
    "interrupted": "its manager was interrupted",
}
"""The results of the registry whose own word does not say enough; others stand for themselves."""

REVISION: Final = 9

_HEADINGS: Final = ("STARTED", "APP", "VERSION", "REVISION", "DEPLOYMENT", "BY", "RESULT")


def lines_of(records: "Sequence[Record]", *, evidence: bool = False) -> list[str]:
    """A table, oldest first, with the reason and the steps of traffic where there are some.

    With `evidence`, also what speaks against those that were taken back.
    """
    rows = [_HEADINGS, *(_row(record, result_of(record, records)) for record in records)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS) - 1)]
    lines: list[str] = []
    for row, record in zip(rows, (None, *records), strict=True):
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
        if record is not None and (steps := traffic_of(record)):
            lines.append(f"{'':<{widths[0]}}  traffic: {steps}")
        if record is not None and evidence:
            against = evidence_lines(record.evidence, record.lines)
            lines += [f"{'':<{widths[0]}}  {text}" for text in against]
    return lines


def _row(record: "Record", result: str) -> tuple[str, ...]:
    clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.started))
    revision = record.revision[:REVISION] or "-"
    version = f"{short(record.version):<{SHOWN}}"
    return (clock, record.app, version, revision, record.deployment, record.user or "-", result)


def result_of(record: "Record", records: "Sequence[Record]") -> str:
    """What became of a deployment, in a few words; `records` are all of the application."""
    if record.unended:
        return f"stopped, but not on {', '.join(record.unended)}"
    if record.ended:
        reason = f": {record.fault.what}" if record.fault is not None else ""
        reason = reason.replace(record.deployment, short(record.version))
        return RESULTS.get(record.result, record.result or "ended") + reason
    if record.foreground:
        return "runs in the foreground"
    newer = [
        r for r in records if r.app == record.app and not r.ended and r.started > record.started
    ]
    if newer:
        return "kept warm" if any(r.good for r in newer) else "live, a rollout moves its users"
    return "live" if record.good or not record.shifts else "rolls out"


def traffic_of(record: "Record") -> str:
    """The shares that it had one after the other: `5 %, 25 %, 100 %`."""
    shares: list[float] = []
    for shift in record.shifts:
        if not shares or shares[-1] != shift.share:
            shares.append(shift.share)
    if shares and shares[0] == 0:
        del shares[0]
    return ", ".join(percent(share) for share in shares)


def plain(record: "Record", records: "Sequence[Record]") -> dict[str, Any]:
    """For `--json`: the record, with `state` in the words of the table."""
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(record)
    return {**found, "state": result_of(record, records)}
