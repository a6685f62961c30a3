"""`weaver version`."""

import importlib.util
import json
import platform
from importlib import metadata

import click

from weaver.cli.target import json_option
from weaver.rpc.codec.compiled import record_codec


def weaver_version() -> str:
    """The version of the installed distribution."""
    try:
        return metadata.version("weaver-runtime")
    except metadata.PackageNotFoundError:  # run from a source tree that is not installed
        return "unknown"


def core() -> str:
    """Whether the core of the data plane runs compiled (docs/decisions/0010)."""
    found = importlib.util.find_spec("weaver.frames")
    origin = found.origin if found is not None else None
    return "pure Python" if origin is None or origin.endswith((".py", ".pyc")) else "compiled"


def records() -> str:
    """Whether the codec of records runs compiled (docs/decisions/0012)."""
    return "pure Python" if record_codec() is None else "compiled"


@click.command("version")
@json_option
def command(*, as_json: bool) -> None:
    """Show the versions of weaver, Python and the platform, and what of weaver is compiled."""
    found = {
        "weaver": weaver_version(),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "core": core(),
        "records": records(),
    }
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(f"weaver    {found['weaver']}")
    click.echo(f"Python    {found['python']} ({found['implementation']})")
    click.echo(f"platform  {found['platform']}")
    click.echo(f"core      {found['core']}")
    click.echo(f"records   {found['records']}")
