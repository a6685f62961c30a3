"""Ctrl-C while a command waits for what goes on without it: that is said."""

import contextlib
from collections.abc import Generator

import click


@contextlib.contextmanager
def told_if_left(app: str) -> Generator[None]:
    """Say that an application goes on, where the wait for it is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        tell_left(app)
        raise


def tell_left(app: str) -> None:
    """Say on stderr that an application goes on, how it is looked at, and how it is ended."""
    click.echo(
        f"interrupted: {app} goes on without this command; "
        f"see: weaver status {app} · to end it: weaver stop {app}",
        err=True,
    )
