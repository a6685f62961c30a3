"""Processes of a rollout that are killed in the middle of it, phase by phase."""

import contextlib
import os
import signal
from collections.abc import Generator, Mapping, Sequence
from typing import Final

import psutil
from rollout_duo import PATIENCE, Duo, until

from weaver.deployers.manager_client import ask_status
from weaver.deployers.registry import Record
from weaver.errors import Unreachable

SOON: Final = 30.0
"""Seconds for a process to be there."""

PHASES: Final = (
    "starting", "before", "opening", "shifting", "closing", "after", "warm", "retiring", "done",
    "withdrawing", "removing", "withdrawn",
)  # fmt: skip
"""In their order: one that is brief may be over before it is seen."""

Kills = Mapping[str, Sequence[str]]
"""Phases, those of `shifting` with the number of their step, and who is killed in each."""


def kill_by(duo: Duo, kills: Kills) -> int:
    """Kill processes as the rollout of a version goes on; how many. They are in its order.

    SIGKILL each. In place of a manager, another one takes over; for the others somebody looks. What
    has ended with its phase is left out.
    """
    count = 0
    with contextlib.ExitStack() as attaching:
        for phase, roles in kills.items():
            until(lambda phase=phase: _has_reached(duo, phase))  # type: ignore[misc]
            for role in roles:
                if role == "manager":
                    duo.kill_manager()
                    attaching.enter_context(_attaching(duo))
                    count += 1
                else:
                    count += _kill(duo, role, phase)
    return count


@contextlib.contextmanager
def _attaching(duo: Duo) -> Generator[None]:
    """`weaver attach`, which has gone well in the end; from when another manager answers.

    The rollout goes on while the command waits for it: the next phase must not be missed.
    """
    with duo.beside("attach", "duo") as attach:
        until(lambda: _answers(duo) or attach.poll() is not None)
        yield
        said, _ = attach.communicate(timeout=PATIENCE)
        assert attach.returncode == 0, said


def _answers(duo: Duo) -> bool:
    with contextlib.suppress(Unreachable, IndexError):
        duo.rollout()
        return True
    return False


def _has_reached(duo: Duo, phase: str) -> bool:
    name, _, step = phase.partition(" ")
    with contextlib.suppress(Unreachable, IndexError):
        report = duo.rollout()
        if report.phase == name == "shifting":
            return report.step >= int(step)
        return PHASES.index(report.phase) >= PHASES.index(name)
    return False


def _is_in(duo: Duo, phase: str) -> bool:
    name, _, step = phase.partition(" ")
    with contextlib.suppress(Unreachable, IndexError):
        report = duo.rollout()
        return report.phase == name and report.step == int(step or report.step)
    return False


def _kill(duo: Duo, role: str, phase: str) -> bool:
    found: list[int] = []

    def seen() -> bool:
        found.extend(_pids(duo, role))
        return bool(found) or not _is_in(duo, phase)

    until(seen, SOON)
    with contextlib.suppress(IndexError, ProcessLookupError):
        os.kill(found[0], signal.SIGKILL)
        return True
    return False


def _pids(duo: Duo, role: str) -> list[int]:
    """The processes of a role, as far as they run."""
    if role == "ingress worker":
        return _processes(duo, "weaver.ingress.main")
    with contextlib.suppress(Unreachable, ValueError):
        new, old = duo.running()
        record = new if role.startswith("new") else old
        if role.endswith("envelope"):
            return _processes(duo, " envelope ", record.deployment)
        return replicas(record)
    return []


def replicas(record: Record) -> list[int]:
    """The processes that users' requests come to."""
    groups = ask_status(record).report.groups
    return [r.pid for group in groups if group.name == "front" for r in group.replicas if r.pid]


def _processes(duo: Duo, *words: str) -> list[int]:
    """The processes of the application whose command line has all of these."""
    found: list[int] = []
    for pid in sorted(duo.processes()):
        with contextlib.suppress(psutil.Error):
            line = " ".join(psutil.Process(pid).cmdline())
            if all(word in line for word in words):
                found.append(pid)
    return found
