"""`weaver init`."""

import keyword
import re
import sys
from pathlib import Path

import click

from weaver.cli.template import files_of, package_of
from weaver.errors import UsageError, WeaverError

_NAME = re.compile(r"[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?")
_TAKEN = {"weaver", "tests", "test"}


@click.command("init")
@click.argument("name")
def command(*, name: str) -> None:
    """Create a small application in a new directory NAME.

    It has two components, a web page, a test and a weaver.toml.
    """
    _check_name(name)
    project = Path(name)
    _check_place(project)
    files = files_of(name)
    for path, text in files.items():
        _write(project / path, text)
    click.echo(f"Created {len(files)} files in {project}/. Next:")
    click.echo("")
    click.echo(f"  cd {project}")
    click.echo("  weaver check     # all errors at once, if there are any")
    click.echo("  weaver run       # then open http://127.0.0.1:8080")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f'"{name}" cannot name an application',
            why="a name has letters, digits, - and _, and begins with a letter",
            fix=f"use a name such as {_near(name)}; it becomes a directory below this one",
        )
    package = package_of(name)
    if keyword.iskeyword(package) or package in sys.stdlib_module_names or package in _TAKEN:
        raise UsageError(
            f'"{name}" cannot name an application',
            why=f"its package {package} would hide, or be hidden by, Python's own or weaver's",
            fix=f"use another name, such as {name}-app",
        )


def _near(name: str) -> str:
    letters = re.sub(r"[^a-z0-9]+", "-", Path(name).name.lower()).strip("-0123456789")
    return letters or "shop"


def _check_place(project: Path) -> None:
    if not project.exists():
        return
    if not project.is_dir():
        what, why = f"{project} exists already", "it is a file"
    elif next(project.iterdir(), None) is not None:
        what, why = f"the directory {project} is not empty", "nothing is ever overwritten"
    else:
        return
    raise UsageError(
        what,
        where=str(project.resolve()),
        why=why,
        fix="choose another name, or remove it first",
    )


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WeaverError(
            f"{path} cannot be written",
            why=str(error.strerror or error),
            fix="run `weaver init` in a directory that you may write to",
        ) from error
