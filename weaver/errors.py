"""Every error that weaver raises, in one tree.

An error says what happened, where, why, and how to fix it. Application exceptions are never
part of this tree: they cross processes as themselves, or as `RemoteApplicationError`.
This file knows nothing else of weaver, so that every layer can raise from it.
"""

from collections.abc import Iterable, Sequence
from typing import Literal


class WeaverError(Exception):
    """Base of all errors of the runtime.

    `what` is one sentence; `where` is file:line, host or component; `why` and `fix` are optional
    sentences. `str()` shows those that are given, one per line.
    """

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        return render(self.what, self.where, self.why, self.fix)


class Problem:
    """One fault of a definition or configuration, with the four parts every error has."""

    __slots__ = ("fix", "what", "where", "why")

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        return render(self.what, self.where, self.why, self.fix)

    def __repr__(self) -> str:
        return f"Problem({self.what!r}, where={self.where!r})"


class ProblemsError(WeaverError):
    """Several problems found in one pass; all of them are shown at once."""

    kind = "problem"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(f"{count} {self.kind}{'' if count == 1 else 's'}")

    def __str__(self) -> str:
        return "\n\n".join(str(problem) for problem in self.problems)


class DefinitionError(ProblemsError):
    """Components that cannot be run as they are written."""

    kind = "definition problem"


class ConfigError(ProblemsError):
    """A weaver.toml, an environment variable or a section that cannot be used."""

    kind = "config problem"


class UsageError(WeaverError, RuntimeError):
    """The API was called in a way or at a time that cannot work."""


class StateAccessError(WeaverError, AttributeError):
    """State of another component was touched through a reference."""


class ComponentError(WeaverError):
    """A component's `main` or hook raised; `component` is its full name. The cause is chained."""

    def __init__(
        self, what: str, *, component: str, where: str = "", why: str = "", fix: str = ""
    ) -> None:
        super().__init__(what, where=where, why=why, fix=fix)
        self.component = component


class StartError(ComponentError):
    """A component did not start, so the application does not."""


class ListenerError(WeaverError):
    """A listener's address cannot be bound."""


class CodecError(WeaverError, TypeError):
    """A value does not match its annotation, or bytes do not decode to it."""


class ProtocolError(WeaverError):
    """The peer of a connection broke the protocol, or belongs to another deployment or build."""


class RemoteApplicationError(WeaverError):
    """An application exception that could not be rebuilt on the caller's side.

    `type_name` is the full name of the original class, `message` its `str()`, and
    `remote_traceback` the formatted traceback of the callee.
    """

    def __init__(self, type_name: str, message: str, remote_traceback: str = "") -> None:
        super().__init__(f"{type_name}: {message}")
        self.type_name = type_name
        self.message = message
        self.remote_traceback = remote_traceback


class RemoteCallError(WeaverError):
    """A call failed on its way: never raised for an error of the application itself.

    `executed` is "no" when the callee provably did not run, else "maybe".
    """

    executed: Literal["no", "maybe"]

    def __init__(
        self,
        what: str,
        *,
        executed: Literal["no", "maybe"] = "maybe",
        where: str = "",
        why: str = "",
        fix: str = "",
    ) -> None:
        super().__init__(what, where=where, why=why, fix=fix)
        self.executed = executed


class Unreachable(RemoteCallError):
    """No replica could be reached before the deadline; the call was not executed."""

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        super().__init__(what, executed="no", where=where, why=why, fix=fix)


class ConnectionLost(RemoteCallError):
    """The connection ended while the call was in flight."""


class Overloaded(RemoteCallError):
    """The callee refused the call because its limits are reached; it was not executed."""

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        super().__init__(what, executed="no", where=where, why=why, fix=fix)


class DeadlineExceeded(RemoteCallError, TimeoutError):
    """The call's deadline passed before its result arrived."""


def render(what: str, where: str, why: str, fix: str) -> str:
    """The one shape of every message: what, then where, why and fix when they are known."""
    lines = [what]
    for label, text in (("where", where), ("why", why), ("fix", fix)):
        if text:
            lines.append(f"  {label}: {text}")
    return "\n".join(lines)


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """`did you mean "x"?`, the list of valid names if none is near, or "" if there are none."""
    from difflib import get_close_matches  # deferred: only error paths pay for it

    known = sorted(set(candidates))
    lower = {candidate.lower(): candidate for candidate in known}
    near = get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    if near:
        return f'did you mean "{lower[near[0]]}"?'
    if known:
        return "valid names: " + ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    return ""
