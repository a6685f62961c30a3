"""`weaver build`."""

import time
from pathlib import Path

import click

from weaver.cli.target import json_option


@click.command("build")
@click.argument("config", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where to write the PEX; without it, it stays in the cache of builds.",
)
@json_option
def command(*, config: Path | None, output: Path | None, as_json: bool) -> None:
    """Freeze the application of CONFIG (./weaver.toml) and what it requires into one PEX file.

    Everything is taken from the current virtual environment, without a network. The same input
    gives the same file; what is unchanged is not built again.
    """
    from weaver.packaging.build import build

    began = time.monotonic()
    built = build(config, output, lambda line: click.echo(line, err=True))
    seconds = time.monotonic() - began
    size = built.path.stat().st_size
    if as_json:
        import json

        found = {
            "path": str(built.path),
            "build_id": built.build_id,
            "app": built.manifest.app,
            "size": size,
            "fresh": built.fresh,
            "seconds": round(seconds, 3),
        }
        click.echo(json.dumps(found))
        return
    state = f"built in {seconds:.1f} s" if built.fresh else "unchanged"
    click.echo(f"{built.path}  {built.build_id[:12]}  {size / 1e6:.1f} MB  {state}")
