"""What a deploy would do, told without doing it: `weaver deploy --plan`."""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from weaver.cli.comparing import Comparison
from weaver.cli.render_difference import summary
from weaver.cli.render_rollout import percent, seconds
from weaver.cli.versions import short

if TYPE_CHECKING:
    from weaver.config.schema import RolloutTable
    from weaver.deployers.ssh.upload import Plan
    from weaver.manager.state import Spec
    from weaver.packaging.build import Built


def plan_lines(found: Comparison, built: "Built", rollout: "RolloutTable") -> Iterator[str]:
    """For a person: which versions, what differs, and the steps."""
    app, size = built.manifest.app, built.path.stat().st_size / 1e6
    old = found.old
    if not old:
        yield f"{app} {short(built.build_id)} ({size:.1f} MB): the first one, it serves at once"
        return
    if old == built.build_id:
        yield f"{app} {short(old)} is deployed already: nothing to do"
        return
    yield f"{app} {short(built.build_id)} ({size:.1f} MB) after {short(old)}"
    if found.known:
        yield f"{summary(found.changes)}: weaver diff {short(old)}"
    for conflict in found.conflicts:
        yield f"{conflict.severity}: {conflict.what}"
    if rollout.before:
        yield f"before: {rollout.before}"
    steps = ", ".join(percent(step) for step in rollout.steps)
    yield f"steps: {steps}, each for {seconds(rollout.pause)}"
    yield (
        f"taken back at {percent(rollout.abort_on.error_rate)} more errors, or a p99 of "
        f"{rollout.abort_on.p99_factor:g} times that of {short(old)}"
    )
    if rollout.after:
        yield f"after: {rollout.after}"
    warm = seconds(rollout.keep_warm) if rollout.keep_warm else ""
    yield f"{short(old)} is then " + (f"kept warm for {warm}" if warm else "stopped")


def plain_plan(found: Comparison, built: "Built", rollout: "RolloutTable") -> dict[str, Any]:
    """The same for `--json`."""
    import msgspec

    old = found.old
    return {
        "app": built.manifest.app,
        "version": built.build_id,
        "size": built.path.stat().st_size,
        "running": old or None,
        "changes": msgspec.to_builtins(found.changes),
        "conflicts": msgspec.to_builtins(found.conflicts),
        "rollout": {
            "before": rollout.before,
            "steps": [float(step) for step in rollout.steps],
            "pause": float(rollout.pause),
            "error_rate": float(rollout.abort_on.error_rate),
            "p99_factor": rollout.abort_on.p99_factor,
            "after": rollout.after,
            "keep_warm": float(rollout.keep_warm),
        },
    }


def show_plan(
    found: Comparison,
    built: "Built",
    plans: "Mapping[str, Plan]",
    places: "Mapping[str, list[str]] | None",
    *,
    joining: Collection[str],
    as_json: bool,
) -> None:
    """Print it, with what each host would get; `places` is None where hosts only join."""
    from weaver.deployers.launch import config_of

    rollout = config_of(built.manifest).rollout
    if as_json:
        plain = {
            host: {
                "bytes": p.bytes_to_send,
                "install": p.install,
                "replicas": places[host] if places is not None else [],
            }
            for host, p in plans.items()
        }
        document = {**plain_plan(found, built, rollout), "hosts": plain}
        click.echo(json.dumps(document, indent=2))
        return
    for line in plan_lines(found, built, rollout) if places is not None else ():
        click.echo(line)
    for host, p in plans.items():
        install = "install" if p.install else "is installed already"
        part = "joins" if host in joining else "takes part already"
        if places is not None:
            part = "replicas: " + (", ".join(places[host]) or "none")
        click.echo(f"{host}: send {p.bytes_to_send} bytes, {install}; {part}")
    click.echo("nothing was changed: this was --plan")


def places_of(spec: "Spec") -> dict[str, list[str]]:
    """The replicas of each host, as the manager is going to place them."""
    from weaver.manager.events import Began
    from weaver.manager.state import initial
    from weaver.manager.step import step

    state, _ = step(initial(spec, epoch=1, seed=""), Began(), 0.0)
    found: dict[str, list[str]] = {host: [] for host in spec.hosts}
    for replica, slot in sorted(state.desired.slots.items()):
        found[slot.host].append(replica)
    return found
