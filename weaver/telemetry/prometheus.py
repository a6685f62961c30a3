"""Statistics in the text format of Prometheus (exposition format 0.0.4)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from weaver.control.messages import MethodStatistics

_COUNTERS: Final[tuple[tuple[str, str, Callable[[MethodStatistics], int]], ...]] = (
    ("weaver_calls_total", "Calls begun, by caller and method.", lambda s: s.calls),
    ("weaver_call_errors_total", "Calls that raised.", lambda s: s.errors),
    ("weaver_remote_calls_total", "Calls that left the caller's process.", lambda s: s.remote),
)
_LATENCY: Final = "weaver_call_seconds"


def prometheus(statistics: Iterable[MethodStatistics], *, labels: Mapping[str, str]) -> str:
    """One family for each kind of figure; `labels` are added to every sample."""
    rows = [(_labels(labels, s), s) for s in statistics]
    lines: list[str] = []
    for name, meaning, value in _COUNTERS:
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} counter"]
        lines += [f"{name}{{{shown}}} {value(s)}" for shown, s in rows]
    lines += [
        f"# HELP {_LATENCY} Duration of a sample of the calls.",
        f"# TYPE {_LATENCY} histogram",
    ]
    for shown, s in rows:
        lines += _buckets(shown, s.histogram)
    return "\n".join(lines) + "\n"


def _buckets(shown: str, histogram: tuple[int, ...]) -> list[str]:
    lines: list[str] = []
    below = 0
    seconds = 0.0
    for i, count in enumerate(histogram):
        below += count
        # Samples are known by bucket only; the middle of each stands for them in the sum.
        seconds += count * (0.5 if i == 0 else 0.75 * 2.0**i) / 1e6
        lines.append(f'{_LATENCY}_bucket{{{shown},le="{2.0**i / 1e6:g}"}} {below}')
    lines.append(f'{_LATENCY}_bucket{{{shown},le="+Inf"}} {below}')
    lines.append(f"{_LATENCY}_sum{{{shown}}} {seconds:g}")
    lines.append(f"{_LATENCY}_count{{{shown}}} {below}")
    return lines


def _labels(common: Mapping[str, str], s: MethodStatistics) -> str:
    every = {**common, "caller": s.caller, "component": s.component, "method": s.method}
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in every.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
