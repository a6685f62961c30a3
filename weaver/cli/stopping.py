"""Ends all versions that one manager has, whichever it is by then, and waits until that is noted.

Others of the same name, under a manager of their own, are left alone.
"""

import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Final

from weaver.cli.succession import answers, is_over, still
from weaver.control.operator import StopDeployment
from weaver.deployers import registry
from weaver.deployers.manager_client import ask

if TYPE_CHECKING:
    from weaver.control.operator import Answer
    from weaver.deployers.registry import Record

NOTED: Final = 5.0
"""Seconds for the manager to note the end, once it has told of it."""


def stop(record: "Record", *, at_once: bool) -> tuple[str, ...]:
    """End the versions under the manager of `record`; the hosts that may still run them.

    Raises Unreachable where the manager goes meanwhile and none takes over.
    """
    for _ in _asked(record, StopDeployment(at_once)):
        pass
    found: list[Record] = []
    deadline = time.monotonic() + NOTED
    while time.monotonic() < deadline:
        pid = registry.latest(record).pid
        found = [each for each in registry.records(record.app) if each.pid == pid]
        if all(map(is_over, found)):
            break
        time.sleep(0.01)
    return tuple(dict.fromkeys(host for each in found for host in each.unended))


def _asked(record: "Record", request: StopDeployment) -> "Generator[Answer]":
    if record.foreground:  # it ends with its manager, which nobody can take over from
        return ask(record, request, timeout=None)
    return answers(record, request, to=_left_beside)


def _left_beside(record: "Record") -> "Record | None":
    """The same version; or, each being served by itself, one of its manager's that ends later."""
    if (latest := still(record)) is not None:
        return latest
    pid = registry.latest(record).pid
    left = [each for each in registry.records(record.app) if each.pid == pid and not is_over(each)]
    return left[-1] if left else None
