"""From the facts of a host, and what an application needs, to findings: pure."""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from weaver.deployers.ssh.preflight import verdicts
from weaver.deployers.ssh.preflight.choice import choose, judge_system
from weaver.deployers.ssh.preflight.facts import Facts
from weaver.deployers.ssh.preflight.findings import Check, Finding, Verdict, finding
from weaver.deployers.ssh.preflight.needs import Needs
from weaver.errors import WeaverError
from weaver.packaging.tags import Interpreter

_JUDGES: Final[dict[Check, Callable[[Facts, Needs], Verdict]]] = {
    "system": judge_system,
    "disk": verdicts.judge_disk,
    "directory": verdicts.judge_directory,
    "limits": verdicts.judge_limits,
    "clock": verdicts.judge_clock,
    "ports": verdicts.judge_ports,
    "logout": verdicts.judge_logout,
    "weaver": verdicts.judge_weaver,
}


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one host; `facts` is None where it could not be asked."""

    host: str
    findings: tuple[Finding, ...]
    facts: Facts | None = None
    python: Interpreter | None = None

    @property
    def failed(self) -> bool:
        """Whether a deploy would fail there."""
        return any(found.level == "fail" for found in self.findings)

    @property
    def fault(self) -> WeaverError:
        """Why a deploy would fail there: the first reason."""
        found = next((f for f in self.findings if f.level == "fail"), self.findings[0])
        return WeaverError(found.what, where=self.host, why=found.why, fix=found.fix)

    def also(self, *more: Finding) -> "Examined":
        """The same host, with more findings."""
        return msgspec.structs.replace(self, findings=(*self.findings, *more))


def judge(host: str, facts: Facts, needs: Needs) -> Examined:
    """What the facts mean."""
    python, verdict = choose(facts, needs)
    found = [finding(host, "python", verdict)]
    found += [finding(host, check, how(facts, needs)) for check, how in _JUDGES.items()]
    return Examined(host=host, findings=tuple(found), facts=facts, python=python)


def judge_together(examined: Iterable[Examined]) -> tuple[Examined, ...]:
    """What only a look at all hosts shows: two names of one directory."""
    first: dict[tuple[str, ...], str] = {}
    result: list[Examined] = []
    for each in examined:
        place = _place(each.facts) if each.facts is not None else None
        other = first.setdefault(place, each.host) if place else each.host
        if other == each.host:
            result.append(each)
            continue
        verdict = Verdict(
            "fail",
            f"{each.host} and {other} are one and the same directory",
            "two envelopes in one directory would take each other's place",
            "take one of them out of the list, or give it a place of its own with dir=",
        )
        result.append(each.also(finding(each.host, "directory", verdict)))
    return tuple(result)


def _place(facts: Facts) -> tuple[str, ...] | None:
    """What tells a directory from all others; None where that is unknown.

    The number of the boot alone is shared by all containers of a machine.
    """
    if not facts["boot"]:
        return None
    inode = facts["inode"].strip().partition(" ")[0]
    return facts["boot"], facts["hostname"], facts["directory"], inode
