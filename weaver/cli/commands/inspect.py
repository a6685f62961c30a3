"""`weaver inspect`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from weaver.cli.target import json_option

if TYPE_CHECKING:
    from weaver.packaging.manifest import Manifest


@click.command("inspect")
@click.argument("pex", type=click.Path(path_type=Path))
@json_option
def command(*, pex: Path, as_json: bool) -> None:
    """Show what is in a PEX that `weaver build` has written, without running it."""
    from weaver.errors import UsageError
    from weaver.packaging.manifest import build_id, check_whole, read, read_pex_info
    from weaver.packaging.suits import unsuited

    if not pex.is_file():
        raise UsageError(f"there is no file {pex}", fix="name a PEX; `weaver build` writes one")
    manifest = read(pex)
    check_whole(pex)
    distributions = sorted(read_pex_info(pex)["distributions"])
    identity = build_id(pex)
    reason = unsuited(manifest, distributions)
    if as_json:
        import json

        import msgspec

        found: dict[str, Any] = msgspec.to_builtins(manifest)
        found |= {
            "build_id": identity,
            "size": pex.stat().st_size,
            "calls": manifest.edges,
            "distributions": distributions,
            "runs_here": not reason,
            "problem": reason,
        }
        click.echo(json.dumps(found, indent=2))
        return
    size = f"{pex.stat().st_size / 1e6:.1f} MB"
    _show(manifest, {"build": f"{identity[:12]}  {size}"}, distributions)
    if reason:
        click.echo(f"note: it cannot run here: {reason}", err=True)


def _show(manifest: "Manifest", first: dict[str, str], distributions: list[str]) -> None:
    from weaver.packaging.difference import method_text

    rows = {
        "app": manifest.app,
        "entry": manifest.entry,
        **first,
        "weaver": manifest.weaver,
        "Python": manifest.python,
        "revision": manifest.revision,
        "listeners": ", ".join(manifest.listeners),
        "groups": ", ".join(manifest.groups) or manifest.placement,
        "packages": ", ".join("-".join(wheel.split("-")[:2]) for wheel in distributions),
    }
    for name, value in rows.items():
        if value:
            click.echo(f"{name:<10} {value}")
    shorts = {component.name: component.short_name for component in manifest.components}
    for component in reversed(manifest.components):
        calls = ", ".join(shorts.get(name, name) for name in component.references)
        click.echo(f"\n{component.name}" + (f"  -> {calls}" if calls else ""))
        for method in component.methods:
            click.echo(f"  {method_text(method)}")
