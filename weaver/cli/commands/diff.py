"""`weaver diff`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from weaver.cli import completing, versions
from weaver.cli.target import config_option, json_option

if TYPE_CHECKING:
    from weaver.packaging.difference import Change
    from weaver.packaging.snapshot import Snapshot


@click.command("diff")
@click.argument("old", metavar="[A]", required=False, shell_complete=versions.complete)
@click.argument("new", metavar="[B]", required=False, shell_complete=versions.complete)
@click.option(
    "--app",
    metavar="APP",
    shell_complete=completing.known_apps,
    help="Whose versions; the application of ./weaver.toml.",
)
@config_option
@json_option
def command(
    *, old: str | None, new: str | None, app: str | None, config: str | None, as_json: bool
) -> int:
    """Show what differs from version A to version B.

    A and B are build ids (their first digits do), "running", or PEX files. Without B, what
    ./weaver.toml would build now; without A, what runs. Nothing of either is run; secrets are
    masked.
    """
    from weaver.packaging.difference import difference
    from weaver.packaging.snapshot import snapshot

    path = Path(config) if config is not None else None
    app = app or versions.app_of(path)
    one = snapshot(versions.pex_of(old or versions.RUNNING, app))
    built = new is None
    other = snapshot(_built(path, quiet=as_json) if new is None else versions.pex_of(new, app))
    changes = difference(one, other)
    if as_json:
        click.echo(json.dumps(_plain(one, other, changes), indent=2, ensure_ascii=False))
    else:
        _show(one, other, changes, "what would be built now" if built else new or "")
    return 0


def _built(config: Path | None, *, quiet: bool) -> Path:
    from weaver.packaging.build import build

    def say(text: str) -> None:
        if not quiet:
            click.echo(click.style(text, dim=True), err=True)

    return build(config, progress=say).path


def _show(one: "Snapshot", other: "Snapshot", changes: "tuple[Change, ...]", named: str) -> None:
    from weaver.cli.render_difference import lines_of

    for sign, version, words in (("-", one, ""), ("+", other, named)):
        size, revision = f"{version.size / 1e6:.1f} MB", version.manifest.revision[:12]
        parts = [size, *([f"revision {revision}"] if revision else [])]
        name = versions.short(version.build_id)
        if words and not version.build_id.startswith(words):
            parts.append(words)
        click.echo(f"{sign} {version.manifest.app} {name}  ({', '.join(parts)})")
    if one.build_id == other.build_id:
        click.echo("they are the same version")
    elif not changes:
        click.echo("nothing that is compared differs: the same sources, packed otherwise")
    for line in lines_of(changes):
        click.echo(line)


def _plain(one: "Snapshot", other: "Snapshot", changes: "tuple[Change, ...]") -> dict[str, Any]:
    import msgspec

    def version(found: "Snapshot") -> dict[str, Any]:
        return {
            "app": found.manifest.app,
            "build_id": found.build_id,
            "size": found.size,
            "weaver": found.manifest.weaver,
            "python": found.manifest.python,
            "revision": found.manifest.revision,
        }

    return {"a": version(one), "b": version(other), "changes": msgspec.to_builtins(changes)}
