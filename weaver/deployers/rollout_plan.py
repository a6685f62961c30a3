"""How a rollout is to go: what `[rollout]` and `[listeners]` of two versions say, as a plan.

Decides nothing else; what happens to the plan is the rollout's machine.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from weaver.config.configuration import Config
from weaver.config.load import load
from weaver.config.schema import ListenerTable, PinTable
from weaver.control.ingress import Pinning
from weaver.manager.rollout.state import Front, Plan
from weaver.manager.state import Spec

MOST_WORKERS: Final = 4
"""Processes of an ingress where nobody says how many: others need cores as well."""


def plan_of(
    new: Spec,
    old: Spec | None,
    predecessors: Mapping[str, str],
    successors: Mapping[str, str] | None = None,
) -> Plan:
    """The plan for a rollout to `new`, by its weaver.toml and that of `old`.

    `predecessors` and `successors` are the control sockets of `old` and `new` on hosts of both.
    """
    config = _config(new)
    table = config.rollout
    return Plan(
        steps=tuple(float(step) for step in table.steps),
        pause=float(table.pause),
        error_rate=float(table.abort_on.error_rate),
        p99_factor=table.abort_on.p99_factor,
        keep_warm=float(table.keep_warm),
        before=table.before is not None,
        after=table.after is not None,
        fronts=_fronts(new, config),
        old_fronts=_fronts(old, _config(old)) if old is not None else {},
        predecessors=dict(predecessors),
        successors=dict(successors or {}),
    )


def most_versions(spec: Spec) -> int:
    """How many versions may run at once, as this one has it."""
    return _config(spec).rollout.max_versions


def hook_words(spec: Spec, which: str) -> tuple[str, ...]:
    """The command of a hook, "before" or "after"."""
    table = _config(spec).rollout
    return tuple(shlex.split((table.before if which == "before" else table.after) or ""))


def _config(spec: Spec) -> Config:
    application = spec.application
    return load(application.config, source=application.source, environ=spec.variables)


def _fronts(spec: Spec, config: Config) -> dict[str, Front]:
    """The listeners of a version that replicas serve."""
    folder = Path(spec.application.source).parent
    found: dict[str, Front] = {}
    for name in sorted({name for group in spec.groups.values() for name in group.listeners}):
        found[name] = _front(config.listeners.get(name, ListenerTable()), folder)
    return found


def _front(table: ListenerTable, folder: Path) -> Front:
    if table.ingress == "haproxy":
        return Front(mode="haproxy", socket=table.haproxy, pinning=_pinning(table.pin))
    tls = table.tls
    return Front(
        mode=table.ingress,
        workers=table.workers or 1,
        most_workers=0 if table.workers else MOST_WORKERS,
        certificate=str(folder / tls.cert) if tls is not None else "",
        key=str(folder / tls.key) if tls is not None else "",
        pinning=_pinning(table.pin),
    )


def _pinning(table: PinTable) -> Pinning:
    """As `[listeners.X.pin]` has it; the secret is the version's own, and added to its orders."""
    return Pinning(cookie=table.cookie, header=table.header, key=table.key, trusted=table.trusted)
