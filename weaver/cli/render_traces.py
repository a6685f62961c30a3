"""Traces as text: a line for each, or one as the tree of its spans."""

import collections
import time
from collections.abc import Iterable, Sequence

from weaver.control.spans import Span

Trace = list[Span]
"""The spans of one trace, by their start."""


def whole(spans: Iterable[Span]) -> list[Trace]:
    """Spans by trace; traces and spans by their start."""
    found: dict[str, Trace] = {}
    for span in sorted(spans, key=lambda span: span.start):
        found.setdefault(span.trace, []).append(span)
    return list(found.values())


def listed(traces: Sequence[Trace]) -> str:
    """A table of traces: when, how long, how many spans, and what it began with."""
    if not traces:
        return "no traces: send a traceparent header, or set [app] trace_sample"
    lines = [f"{'TRACE':<32}  {'START':<8}  {'TOOK':>9}  {'SPANS':>5}  REQUEST"]
    for trace in traces:
        first = _roots(trace)[0]
        clock = time.strftime("%H:%M:%S", time.localtime(first.start))
        failed = f"  ({first.error})" if first.error else ""
        lines.append(
            f"{first.trace:<32}  {clock}  {_took(first)}  {len(trace):>5}  {first.name}{failed}"
        )
    return "\n".join(lines)


def tree(trace: Trace) -> str:
    """Each span below the one that it belongs to, with how long it took, and where."""
    below: dict[str, list[Span]] = collections.defaultdict(list)
    for span in trace:
        below[span.parent].append(span)
    lines = [f"trace {trace[0].trace}"]
    waiting = [(span, 0) for span in reversed(_roots(trace))]
    seen: set[str] = set()
    while waiting:
        span, depth = waiting.pop()
        if span.span in seen:  # only a forged span can be above itself
            continue
        seen.add(span.span)
        lines.append(f"{_took(span)}  {'  ' * depth}{_described(span)}")
        waiting += [(inner, depth + 1) for inner in reversed(below.pop(span.span, []))]
    return "\n".join(lines)


def _described(span: Span) -> str:
    """What was called, and, of a call at its caller, by whom and whether it left the process."""
    called = span.kind in {"local", "remote"}
    caller = span.caller.rpartition(".")[2]
    words = [f"{caller} -> {span.name}" if called and caller else span.name]
    if called:
        words.append(span.kind)
    if span.replica:
        words.append(span.replica)
    outcome = [f"{span.attempts} attempts"] if span.attempts > 1 else []
    outcome += [span.error] if span.error else []
    if outcome:
        words.append(f"({', '.join(outcome)})")
    return "  ".join(words)


def _roots(trace: Trace) -> list[Span]:
    """Spans whose parent is not here: it is another program's, or was lost."""
    known = {span.span for span in trace}
    return [span for span in trace if span.parent not in known] or trace[:1]


def _took(span: Span) -> str:
    return f"{span.seconds * 1000:>6.1f} ms"
