"""The applications that run in this process, for code that is not given a reference."""

import asyncio
import dataclasses
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from weaver.component import registry
from weaver.component.graph import implementations, unknown_component
from weaver.errors import UsageError, did_you_mean
from weaver.proclet.definition import Definition
from weaver.proclet.deployment import Deployment
from weaver.proclet.host import Host

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Running:
    """An application that runs in this process, on `loop`."""

    host: Host
    definition: Definition
    deployment: Deployment
    loop: asyncio.AbstractEventLoop
    references: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])

    def get(self, type_: Callable[..., T]) -> T:
        """A reference for code outside components. Raises UsageError for an unknown class."""
        name = self.name_of(type_)
        if name not in self.references:
            self.references[name] = self.host.reference(name)
        reference: T = self.references[name]
        return reference

    def name_of(self, type_: Callable[..., Any]) -> str:
        """The full name of a component of this application. Raises UsageError for others."""
        found = implementations(type_, "") if isinstance(type_, type) else []  # pyright: ignore[reportUnknownArgumentType]
        names = [d.full_name for d in found if d.full_name in self.definition.graph.components]
        if isinstance(type_, type):
            names = names or [registry.full_name(type_)]
        if len(names) != 1 or names[0] not in self.definition.graph.components:
            raise self._unknown(type_, bool(found))
        return names[0]

    def _unknown(self, type_: Any, declared: bool) -> UsageError:
        if not declared:
            problem = unknown_component(type_)
            return UsageError(problem.what, why=problem.why, fix=problem.fix)
        components = self.definition.graph.components.values()
        name = getattr(type_, "__name__", repr(type_))
        return UsageError(
            f"{name} is not part of the running application",
            why="an application is its entry, what that refers to, and what its modules declare",
            fix=f"import its module from the application, or pass {name} to weaver_app as well; "
            + did_you_mean(name, [c.short_name for c in components]),
        )


Token = int

_lock = threading.Lock()
_running: dict[Token, Running] = {}
_numbers = iter(range(1, 2**62))


def enter(running: Running) -> Token:
    """Make an application the current one; the latest entered counts."""
    with _lock:
        token = next(_numbers)
        _running[token] = running
        return token


def leave(token: Token) -> None:
    """The application has ended."""
    with _lock:
        _running.pop(token, None)


def running() -> Running | None:
    """The application that runs in this process; of several, the one on this thread's loop."""
    with _lock:
        candidates = list(_running.values())
    loop = asyncio._get_running_loop()  # noqa: SLF001 # None instead of an exception
    here = [r for r in candidates if r.loop is loop]
    found = here or candidates
    return found[-1] if found else None
