"""A rollout on the terminal: a headline, a table of both versions, a line for each change, JSON.

Decides wording and columns; it must not know where reports come from.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from weaver.cli.versions import short
from weaver.control.ingress import FailedRequest
from weaver.control.rollout import RolloutReport, VersionReport

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

PHASES: Final = {
    "starting": "the new version starts",
    "before": "the before hook runs",
    "opening": "the ingress opens",
    "shifting": "traffic shifts",
    "closing": "the new version takes over",
    "after": "the after hook runs",
    "warm": "the new version serves alone, the old one is kept warm",
    "retiring": "the old version stops",
    "done": "one version serves",
    "withdrawing": "the old version takes over again",
    "removing": "the new version stops",
    "withdrawn": "taken back",
}
SERVED: Final = frozenset({"warm", "retiring", "done"})
"""Phases in which the new version serves alone."""
TAKEN_BACK: Final = frozenset({"withdrawing", "removing", "withdrawn"})

WIDTH: Final = 24
MOST_EVIDENCE: Final = 5


def versions_of(report: RolloutReport) -> tuple[VersionReport | None, VersionReport | None]:
    """The new and the old version, where there are such."""
    new, old, *_ = (*report.versions, None, None)
    return new, old


def headline(report: RolloutReport, now: float) -> str:
    """What happens now and what comes next, in a line."""
    parts = [standing(report)]
    if report.held:
        parts.append("paused")
    elif report.next_at:
        parts.append(f"{_upcoming(report)} in {seconds(max(report.next_at - now, 0.0))}")
    return ", ".join(parts)


def standing(report: RolloutReport) -> str:
    """What happens now, in a line."""
    parts = [PHASES.get(report.phase, report.phase)]
    if report.phase == "before" and report.held:
        parts = ["the new version is up"]  # no hook begins while it is paused
    if report.phase == "shifting" and report.steps:
        share = report.steps[min(report.step, len(report.steps) - 1)]
        parts.append(f"step {report.step + 1} of {len(report.steps)} ({percent(share)})")
    return ", ".join(parts)


def _upcoming(report: RolloutReport) -> str:
    if report.phase == "warm":
        return "it stops"
    if report.phase == "shifting":
        return "next" if report.step + 1 < len(report.steps) else "done"
    return "given up"


def title(report: RolloutReport) -> str:
    """Which versions it is about."""
    new, old = versions_of(report)
    if new is None:
        return report.app
    return f"{report.app}  {short(new.version)}" + (f" after {short(old.version)}" if old else "")


def line(report: RolloutReport, now: float) -> str:
    """All of it in a line, for output that is no terminal."""
    parts = [headline(report, now)]
    parts += [
        f"{short(v.version)} {percent(v.weight)}"
        + (f" {_ready(v)} ready" if v.wanted else "")
        + (f" {v.requests} requests {v.errors} errors" if v.requests else "")
        for v in report.versions
    ]
    return "; ".join(parts)


def _ready(version: VersionReport) -> str:
    return f"{version.ready if version.settled else '?'}/{version.wanted}"


def changed(before: RolloutReport | None, after: RolloutReport) -> bool:
    """Whether there is something to say beyond counts that grow."""
    return before is None or _said(before) != _said(after)


def _said(report: RolloutReport) -> tuple[Any, ...]:
    weights = tuple((v.version, round(v.weight, 3), v.wanted) for v in report.versions)
    return (report.phase, report.step, report.held, report.verdict is None, weights)


def plain(report: RolloutReport) -> dict[str, Any]:
    """The form of `--json`: times in seconds since the epoch, latencies in milliseconds."""
    import msgspec

    versions = [
        {
            "deployment": v.deployment,
            "version": v.version,
            "weight": v.weight,
            "ready": v.ready,
            "wanted": v.wanted,
            "requests": v.requests,
            "errors": v.errors,
            "in_flight": v.in_flight,
            "rate": v.rate,
            "p50_ms": v.p50 * 1000,
            "p99_ms": v.p99 * 1000,
        }
        for v in report.versions
    ]
    return {
        "app": report.app,
        "phase": report.phase,
        "held": report.held,
        "step": report.step,
        "steps": list(report.steps),
        "next_at": report.next_at,
        "versions": versions,
        "outcome": report.outcome,
        "verdict": msgspec.to_builtins(report.verdict),
        "evidence": msgspec.to_builtins(report.evidence),
        "lines": list(report.lines),
    }


def screen(report: RolloutReport, now: float, hint: str = "") -> "RenderableType":
    """The live display: headline, table, steps."""
    from rich.console import Group
    from rich.text import Text

    head = Text.assemble((title(report), "bold"), "  ", (headline(report, now), _style(report)))
    parts: list[RenderableType] = [head, _table(report)]
    if report.steps and report.phase not in {"done", "withdrawn"}:
        parts.append(_steps(report))
    if hint:
        parts.append(Text(hint, style="dim"))
    return Group(*parts)


def _style(report: RolloutReport) -> str:
    if report.phase in TAKEN_BACK:
        return "red"
    return "yellow" if report.held else "green" if report.phase in SERVED else "cyan"


def _table(report: RolloutReport) -> "Table":
    from rich.table import Table

    table = Table(box=None)
    table.add_column("VERSION")
    for name in ("TRAFFIC", "READY", "REQUESTS", "ERRORS", "RATE", "P50", "P99", "IN FLIGHT"):
        table.add_column(name, justify="right")
    for v in report.versions:
        errors = f"[red]{v.errors}[/red]" if v.errors else "0"
        table.add_row(
            short(v.version),
            percent(v.weight),
            _ready(v),
            str(v.requests),
            errors,
            f"{v.rate:.1f}/s" if v.rate else "-",
            milliseconds(v.p50),
            milliseconds(v.p99),
            str(v.in_flight),
        )
    return table


def _steps(report: RolloutReport) -> "Text":
    """How far it is: a bar with the share of the new version, and all steps."""
    from rich.text import Text

    new, _ = versions_of(report)
    filled = round((new.weight if new is not None else 0.0) * WIDTH)
    text = Text.assemble("  ", ("█" * filled, "green"), ("░" * (WIDTH - filled), "dim"), "  ")
    for number, share in enumerate(report.steps):
        here = report.phase == "shifting" and number == report.step
        over = report.phase in SERVED or (report.phase == "shifting" and number < report.step)
        style = "bold cyan" if here else "green" if over else "dim"
        text.append(("" if not number else " · ") + percent(share), style=style)
    return text


def by_version(text: str, report: RolloutReport) -> str:
    """A message of the manager, which names deployments, in the words of the table."""
    for v in report.versions:
        text = text.replace(v.deployment, short(v.version))
    return text


def evidence_lines(failed: Sequence[FailedRequest], lines: Sequence[str]) -> list[str]:
    """Failed requests, of many the first ones, and then the last lines of log."""
    found = [
        f"{e.method} {e.path} -> {e.status or 'no answer'}"
        + (f" from {e.backend}" if e.backend else "")
        + (f": {e.why}" if e.why else "")
        for e in failed
    ]
    more = len(found) - MOST_EVIDENCE
    shown = [*found[:MOST_EVIDENCE], *([f"… and {more} more: --json has all"] if more > 0 else [])]
    briefly = list(dict.fromkeys(_brief(text) for text in lines))  # a failure repeats itself
    return [*_under("failed requests", shown), *_under("last lines of log", briefly)]


def _brief(text: str) -> str:
    """A record's first line and, of a traceback, its last one: `weaver logs` has the rest."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " … ".join(dict.fromkeys((lines[0], lines[-1]))) if lines else ""


def _under(heading: str, lines: Sequence[str]) -> list[str]:
    return [f"{heading}:", *(f"  {text}" for text in lines)] if lines else []


def percent(share: float) -> str:
    """`5 %`, `12.5 %`."""
    return f"{share * 100:.1f}".removesuffix(".0") + " %"


def milliseconds(value: float) -> str:
    """A latency in seconds as `3.1 ms`; "-" for none."""
    if not value:
        return "-"
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def seconds(value: float) -> str:
    """`12 s`, `9 min 30 s`."""
    whole = round(value)
    if whole < 90:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"
