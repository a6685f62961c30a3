"""Kills one process in each phase of a rollout, each time one of another role.

So many rollouts as there are roles kill each role in each phase. What is lost is told by phase and
role: requests in flight in the killed process may be, and while no envelope holds the listener
(that of the old version, before the new one is live) nobody is served for a moment. In a step the
next one is killed when the one before is there again, if that is in time: `--pause` is how long.
So is an envelope in any phase but the first: two of them are all that there is.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec
import psutil

from weaver.control.rollout import GetRollout, RolloutReport, Steer
from weaver.deployers.manager_client import ask, ask_status, lives
from weaver.deployers.registry import Record
from weaver.errors import Unreachable, WeaverError

ROLES: Final = (
    "old replica",
    "new replica",
    "ingress worker",
    "manager",
    "old envelope",
    "new envelope",
)
PHASES: Final = ("starting", "opening", "shifting 0", "shifting 1", "shifting 2", "closing", "warm")
LOOK: Final = 0.02


class Killer:
    """Of the deployments whose records are in `folder`; `attach` starts another manager."""

    def __init__(
        self, folder: Path, attach: Callable[[], Awaitable[None]], failed: Callable[[], int]
    ) -> None:
        self._folder = folder
        self._attach = attach
        self._failed = failed
        self.kills: list[tuple[str, str, int]] = []
        """Phase, role, and how many requests had failed before."""

    async def follow(self, number: int, *, back: bool) -> None:
        """Kill in each phase of this rollout; or, with `back`, take it back and kill meanwhile."""
        phases = ("withdrawing",) if back else PHASES
        seen: set[str] = set()
        while True:
            phase = await asyncio.to_thread(self._phase)
            if back and phase == "shifting 0":
                await asyncio.to_thread(self._abort)
            if phase in phases and phase not in seen:
                role = ROLES[(number + phases.index(phase)) % len(ROLES)]
                if await self._kill(phase, role):
                    seen.add(phase)
            await asyncio.sleep(LOOK)

    def running(self) -> list[Record]:
        """Those that have not ended, the newest first."""
        found = [record for record in self._records() if not record.ended]
        return sorted(found, key=lambda record: -record.started)

    def _records(self) -> list[Record]:
        found: list[Record] = []
        for path in self._folder.glob("*.json"):
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                found.append(msgspec.json.decode(path.read_bytes(), type=Record))
        return found

    def result(self) -> str:
        """What became of the newest version."""
        newest = max(self._records(), key=lambda record: record.started)
        why = f": {newest.fault.what}" if newest.fault is not None else ""
        return newest.result + why if newest.ended else "serves"

    def lines(self) -> list[str]:
        """What was lost at each kill, until the next."""
        after = [failed for _, _, failed in self.kills[1:]]
        after += [self._failed()] if self.kills else []
        return [
            f"kill -9 in {phase:12} of {role:15} {then - before:6} failed"
            for (phase, role, before), then in zip(self.kills, after, strict=True)
        ]

    async def _kill(self, phase: str, role: str) -> bool:
        """Kill a process; False if there is none yet, or the one before is missed still."""
        pids = await asyncio.to_thread(self._pids, role)
        after_another = phase.startswith("shifting") or role.endswith("envelope")
        whole = phase == "starting" or not after_another or await asyncio.to_thread(self._whole)
        if not pids or not whole:
            return False
        self.kills.append((phase, role, self._failed()))
        print(f"  kill -9 {pids[0]} ({role} in {phase})", flush=True)
        os.kill(pids[0], signal.SIGKILL)
        if role == "manager":
            while lives(pids[0]):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(LOOK)
            await self._attach()
        return True

    def _phase(self) -> str:
        report = self._report()
        if report is None:
            return ""
        return report.phase + (f" {report.step}" if report.phase == "shifting" else "")

    def _whole(self) -> bool:
        """Whether nobody is missed: two envelopes at a time hold all that there is."""
        report = self._report()
        return report is not None and all(v.ready == v.wanted for v in report.versions)

    def _report(self) -> RolloutReport | None:
        with contextlib.suppress(WeaverError, IndexError):
            for answer in ask(self.running()[0], GetRollout()):
                if isinstance(answer, RolloutReport):
                    return answer
        return None

    def _abort(self) -> None:
        with contextlib.suppress(WeaverError, IndexError):
            for _ in ask(self.running()[0], Steer("abort")):
                pass

    def _pids(self, role: str) -> list[int]:
        try:
            new, old = self.running()
        except ValueError:
            return []
        record = new if role.startswith("new") else old
        match role:
            case "manager":
                return [new.pid]
            case "ingress worker":
                return _processes("weaver.ingress.main", str(Path(new.socket).parent))
            case "old envelope" | "new envelope":
                return _processes(" envelope ", record.deployment)
            case _:
                with contextlib.suppress(Unreachable):
                    groups = ask_status(record).report.groups
                    return [r.pid for g in groups if g.name == "front" for r in g.replicas if r.pid]
                return []


def _processes(word: str, place: str) -> list[int]:
    """Processes with a word in their command line, where that or the parent's names the place."""
    found: list[int] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            parent = process.parent()
            around = line + (" ".join(parent.cmdline()) if parent is not None else "")
            if word in line and place in around:
                found.append(process.pid)
    return found
