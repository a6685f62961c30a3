"""Asks whichever manager a deployment has: one may be killed, or make way for another, meanwhile.

Decides how long a next one is waited for, and what is said then. Whether a deployment is over, its
record says, and never that nobody answers.
"""

import contextlib
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Final

import click

from weaver.deployers import registry
from weaver.deployers.manager_client import ask, attaching
from weaver.errors import Unreachable

if TYPE_CHECKING:
    from weaver.control.operator import Answer, Request
    from weaver.deployers.registry import Record

PATIENCE: Final = 60.0
"""Seconds for another manager to take over: somebody has to put it in charge."""

UNNOTICED: Final = 1.0
"""Seconds in which one that makes way for another is replaced: nobody has to know."""

AGAIN: Final = 0.05

Say = Callable[[str], None]
Next = Callable[["Record"], "Record | None"]


class ManagerGone(Unreachable):
    """A manager has gone, and none has taken over in time; what it managed may serve on."""


def is_over(record: "Record") -> bool:
    """Whether a deployment has ended, as far as it could be ended."""
    return bool(record.ended or record.unended)


def still(record: "Record") -> "Record | None":
    """A deployment under the manager that it has now; None once it is over."""
    latest = registry.latest(record)
    return None if is_over(latest) else latest


def on_stderr(text: str) -> None:
    """Say something that is no answer."""
    click.echo(text, err=True)


def answers(
    record: "Record",
    request: "Request",
    *,
    to: Next = still,
    say: Say = on_stderr,
    again: Callable[[], "Request"] | None = None,
) -> Generator["Answer"]:
    """The answers of the manager of a deployment; where it goes, those of the next one.

    `to` tells whom to ask then, None for nobody: that ends the answers; `again` what, if that is
    not the same: that it is another one is always said then. Raises ManagerGone where there is none
    within `PATIENCE`, and what a manager refuses.
    """
    waiting = _Waiting(say, always=again is not None)
    while True:
        try:
            with contextlib.closing(ask(record, request, timeout=None)) as found:
                for answer in found:
                    waiting.over(record)
                    yield answer
        except Unreachable as error:
            follower = to(record)
            if follower is None:
                return
            record = follower
            waiting.go_on(record, error)
            request = again() if again is not None else request
        else:
            return


class _Waiting:
    """The time without a manager, and what has been said of it."""

    def __init__(self, say: Say, *, always: bool) -> None:
        self._say = say
        self._always = always
        self._since: float | None = None
        self._said = False

    def over(self, record: "Record") -> None:
        """A manager answers."""
        if self._said or (self._always and self._since is not None):
            self._say(f"{record.app} has a manager again, process {record.pid}")
        self._since, self._said = None, False

    def go_on(self, record: "Record", error: Unreachable) -> None:
        """None does; wait a moment. Raises ManagerGone after all."""
        now = time.monotonic()
        self._since = self._since or now
        if now - self._since > PATIENCE:
            raise gone(record, error) from error
        if now - self._since > UNNOTICED and not self._said:
            self._said = True
            self._say(
                f"the manager of {record.app} has gone; what runs of it serves on. "
                f"Put a new one in charge within {PATIENCE:g} s: {attaching(record)}"
            )
        time.sleep(AGAIN)


def gone(record: "Record", error: Unreachable) -> ManagerGone:
    """That nobody has taken over, for people."""
    return ManagerGone(
        f"the manager of {record.app} has gone, and none has taken over within {PATIENCE:g} s",
        where=error.where,
        why=f"its replicas serve on as they were ordered last (version {record.version[:12]})",
        fix=f"put a new manager in charge, which goes on with it: {attaching(record)}",
    )
