"""Makes way for a new manager on this machine: the one before leaves its deployments to it.

Decides how long that is waited for. Envelopes and replicas go on all the while; a manager on
another machine is fenced off by them.
"""

import os
import time
from collections.abc import Iterable
from typing import Final

from weaver.control.operator import Retire
from weaver.deployers import registry
from weaver.deployers.manager_client import ask, lives
from weaver.errors import Unreachable, WeaverError

PATIENCE: Final = 15.0
"""Seconds for a manager to leave; it may be writing to a slow disk."""


def retire(app: str, deployments: Iterable[str]) -> None:
    """Have every other manager of these deployments end, and wait until it has; blocks.

    Raises WeaverError where one does not leave.
    """
    wanted = set(deployments)
    found = {
        record.pid: record
        for record in registry.records(app)
        if record.deployment in wanted and not record.ended and record.pid != os.getpid()
    }
    for pid, record in found.items():
        if lives(pid):
            _retire(record)


def _retire(record: registry.Record) -> None:
    deadline = time.monotonic() + PATIENCE
    try:
        for _ in ask(record, Retire()):
            pass
    except Unreachable:
        pass  # it may be ending at this moment
    while lives(record.pid):
        if time.monotonic() > deadline:
            raise WeaverError(
                f"the manager of {record.app} does not make way for another one",
                where=f"process {record.pid}, deployment {record.deployment}",
                fix=f"look at its log; end it with: kill -9 {record.pid}",
            )
        time.sleep(0.005)
