"""Components start after those they refer to; in a cycle, a call waits until its callee started.

If the components of a cycle all wait for one another, none can ever start: the wait is found, and
the application is refused with every component of the cycle named.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Generator
from typing import Any, Final

from weaver.errors import StartError
from weaver.proclet import context
from weaver.proclet.patience import patiently

SETTLED_AFTER: Final = 2.0
"""Seconds after which a circle of waits made by background tasks, too, counts as a deadlock."""


class Starting:
    """Which components have started, and who waits for whom until they have."""

    def __init__(self, places: dict[str, str]) -> None:
        self._places = places
        self._done = {name: asyncio.Event() for name in places}
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._waits: dict[int, tuple[str, str, bool]] = {}
        self._numbers = itertools.count()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._failed.add_done_callback(lambda f: f.cancelled() or f.exception())

    def begin(self, component: str, task: asyncio.Task[Any]) -> None:
        """Remember the task that runs this component's `start`."""
        self._tasks[component] = task

    def finish(self, component: str) -> None:
        """Let calls to this component through."""
        self._done[component].set()

    def fail(self, error: BaseException) -> None:
        """End every wait with this error: the application does not start."""
        if not self._failed.done():
            self._failed.set_exception(error)

    @property
    def failed(self) -> asyncio.Future[None]:
        """Ends with the error that refused the application, if there is one."""
        return self._failed

    def has_started(self, component: str) -> bool:
        """Whether calls to this component go through."""
        return self._done[component].is_set()

    async def wait(self, caller: str, callee: str) -> None:
        """Wait until the callee has started; raises the error that ended the start."""
        if self._done[callee].is_set():
            return
        with self._waiting(context.starting.get() or caller, callee):
            event = asyncio.ensure_future(self._done[callee].wait())
            try:
                await patiently(
                    asyncio.wait((event, self._failed), return_when=asyncio.FIRST_COMPLETED),
                    f"{caller or 'a caller'} waits for {callee} to start",
                )
            finally:
                event.cancel()
        if not self._done[callee].is_set():
            await self._failed

    @contextlib.contextmanager
    def _waiting(self, waiter: str, callee: str) -> Generator[None]:
        wait = (waiter, callee, self._tasks.get(waiter) is asyncio.current_task())
        key = next(self._numbers)
        self._waits[key] = wait
        check = asyncio.get_running_loop().call_later(SETTLED_AFTER, self._check, False)
        self._check(True)
        try:
            yield
        finally:
            check.cancel()
            del self._waits[key]

    def _check(self, only_direct: bool) -> None:
        """Refuse the application if components wait in a circle."""
        edges: dict[str, set[str]] = {}
        for waiter, callee, direct in self._waits.values():
            starting = waiter in self._done and not self._done[waiter].is_set()
            if starting and (direct or not only_direct):
                edges.setdefault(waiter, set()).add(callee)
        circle = _find_circle(edges)
        if circle:
            self.fail(self._refusal(circle))

    def _refusal(self, circle: list[str]) -> StartError:
        shown = " → ".join([*circle, circle[0]])
        return StartError(
            f"the components {', '.join(sorted(circle))} wait for one another to start",
            component=circle[0],
            where=self._places[circle[0]],
            why=f"the `start` of each calls the next, which has not started: {shown}",
            fix="make one of these calls later: from a method, or in a task that `start` begins",
        )


def _find_circle(edges: dict[str, set[str]]) -> list[str]:
    """One circle of a small graph, or []."""
    for first, callees in edges.items():
        path, branches = [first], [iter(callees)]
        while path:
            following = next(branches[-1], None)
            if following is None:
                path.pop()
                branches.pop()
            elif following in path:
                return path[path.index(following) :]
            elif following in edges:
                path.append(following)
                branches.append(iter(edges[following]))
    return []
