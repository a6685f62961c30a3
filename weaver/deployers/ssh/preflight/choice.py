"""Which Python of a host runs the application, and whether its wheels suit the system at all."""

from typing import Final

from weaver.deployers.ssh.preflight.facts import Facts
from weaver.deployers.ssh.preflight.findings import Verdict
from weaver.deployers.ssh.preflight.needs import Needs
from weaver.packaging.suits import unsuited_for
from weaver.packaging.tags import Interpreter, mismatch

OLDEST: Final = (3, 11)
_SHOWN: Final = 5  # Pythons that a message says something about
# A Python that was compiled without a library lacks its module; users know them by other names.
_REQUIRED: Final = {
    "_ssl": "ssl",
    "zlib": "zlib",
    "_socket": "socket",
    "select": "select",
    "fcntl": "fcntl",
    "_hashlib": "hashlib with OpenSSL",
    "venv": "venv",
}


def judge_system(facts: Facts, needs: Needs) -> Verdict:
    """Whether the wheels in the PEX are for this system, architecture and C library."""
    system, machine = facts["system"].lower(), facts["machine"].lower()
    if system not in {"linux", "darwin"}:
        return Verdict(
            "fail",
            f"the system is {facts['system'] or 'unknown'}",
            "weaver runs on Linux and macOS",
            "take the host out of the list",
        )
    reason = next((r for w in needs.wheels if (r := mismatch(w, _ideal(facts, needs)))), "")
    if reason:
        return Verdict(
            "fail",
            "the PEX is not for this kind of host",
            reason,
            f"build it on a system like this one: {machine}, {facts['libc'] or system}",
        )
    return Verdict("ok", machine, facts["libc"])


def choose(facts: Facts, needs: Needs) -> tuple[Interpreter | None, Verdict]:
    """The Python to use: that of `python=`, else the first that can run the PEX."""
    if broken := facts["given-broken"]:
        return None, Verdict(
            "fail",
            "the Python named for the host cannot be run",
            broken,
            "correct python= in the list of hosts, or leave it out to have one found" + _of(facts),
        )
    given = facts["given"]
    candidates = facts.interpreters[:1] if given else facts.interpreters
    if judge_system(facts, needs).level == "fail":
        needs = Needs(python=needs.python)  # that fault has its own line
    reasons: list[str] = []
    for candidate in candidates:
        reason = refusal(candidate, needs)
        if not reason:
            return candidate, Verdict("ok", candidate.version, candidate.path)
        reasons.append(f"{candidate.path}: {reason}")
    return None, _none(facts, needs, reasons)


def refusal(candidate: Interpreter, needs: Needs) -> str:
    """Why a Python cannot run the PEX, or weaver at all; "" if it can."""
    if candidate.numbers[:2] < OLDEST:
        oldest = ".".join(str(number) for number in OLDEST)
        return f"it is Python {candidate.version}, and weaver needs {oldest}"
    lacking = [_REQUIRED[name] for name in candidate.lacks if name in _REQUIRED]
    if lacking:
        return f"it was installed without the module {lacking[0]}"
    return unsuited_for(needs.python, needs.wheels, candidate)


def _none(facts: Facts, needs: Needs, reasons: list[str]) -> Verdict:
    wanted = needs.python or ".".join(str(number) for number in OLDEST)
    shown = reasons[:_SHOWN]
    if len(reasons) > _SHOWN:
        shown.append(f"… and {len(reasons) - _SHOWN} more")
    what = "no Python there can run the application" if needs.app else "no usable Python"
    if needs.here:
        what = "this Python cannot run the application"
        fix = f"run weaver with Python {wanted}, or build the application with this one"
        return Verdict("fail", what, "\n".join(shown), fix)
    install = f"install Python {wanted} there (a package python{wanted}, pyenv, or uv)"
    if facts["given"]:
        fix = f"name another with python= in the list of hosts{_of(facts)}; or {install}"
    else:
        fix = f"{install}, or name one with python= in the list of hosts"
        newer = sorted({i.minor for i in facts.interpreters if i.numbers[:2] >= OLDEST})
        if needs.python and newer and needs.python not in newer:
            fix += f"; or build with Python {newer[-1]}, which it has"
    return Verdict("fail", what, "\n".join(shown) or "none was found", fix)


def _of(facts: Facts) -> str:
    others = [i.path for i in facts.interpreters if i.path != facts["given"]]
    return f" (it has {', '.join(others[:3])})" if others else ""


def _ideal(facts: Facts, needs: Needs) -> Interpreter:
    """The best Python that could be installed there."""
    return Interpreter(
        version=needs.python or "3.11",
        system=facts["system"].lower(),
        machine=facts["machine"].lower(),
        libc=facts["libc"],
    )
