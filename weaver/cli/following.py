"""What a manager goes on to tell, until the deployment is over: that is no failure."""

from collections.abc import Generator
from typing import TYPE_CHECKING

import click

from weaver.cli.render_history import result_of
from weaver.deployers import registry
from weaver.deployers.manager_client import TIMEOUT, ask
from weaver.errors import Unreachable

if TYPE_CHECKING:
    from weaver.control.operator import Answer, Request
    from weaver.deployers.registry import Record


def answers(record: "Record", request: "Request", *, follow: bool) -> "Generator[Answer]":
    """The answers to one request; with `follow` until the deployment ends, and how is said then.

    Raises Unreachable where its manager has gone without having ended it, or gives no answer.
    """
    try:
        yield from ask(record, request, timeout=None if follow else TIMEOUT)
    except Unreachable:
        latest = registry.latest(record)
        if not follow or not latest.ended:
            raise
        click.echo(f"{record.app}: {result_of(latest, [latest])}", err=True)
