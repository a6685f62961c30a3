"""Finds the component whose code is running, for what is logged and printed.

The stack says so: of all frames, the innermost one that runs a component's method. That costs
co-located calls nothing, which have no other mark. Where no method is on the stack, as in a task
that one has begun, the context says which component the process was asked for.
"""

from collections.abc import Iterable
from types import FrameType
from typing import Final

from weaver.component.model import Component
from weaver.proclet import context

DEEPEST: Final = 100
"""Frames that are looked at; each costs 0.1 us."""


class Whose:
    """Knows the methods of these components by module and name."""

    def __init__(self, components: Iterable[Component]) -> None:
        self._names = {(c.cls.__module__, c.cls.__qualname__): c.full_name for c in components}

    def find(self, frame: FrameType | None) -> str:
        """The full name of the component that runs in this frame or called it, or ""."""
        names = self._names
        for _ in range(DEEPEST):
            if frame is None:
                break
            method = frame.f_code.co_qualname.partition(".<locals>")[0]
            owner, dot, _method = method.rpartition(".")
            if dot:
                found = names.get((frame.f_globals.get("__name__", ""), owner))
                if found is not None:
                    return found
            frame = frame.f_back
        return context.component.get()
