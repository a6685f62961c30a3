"""References for code that is no component: web handlers, scripts, tests."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from weaver.application.background import run_in_background
from weaver.component import registry
from weaver.component.graph import unknown_component
from weaver.errors import UsageError
from weaver.proclet import paths
from weaver.proclet.current import Running, running
from weaver.proclet.deployment import Deployment
from weaver.proclet.reference import Options, with_options

T = TypeVar("T")


def get(component: Callable[..., T]) -> T:
    """A reference to a component of the running application, for code that is no component.

    Raises UsageError when no application runs here, or when it has no such component.
    """
    current = running()
    if current is None:
        raise UsageError(
            "no application runs in this process",
            why="weaver.get needs one to take the reference from",
            fix="run it with weaver.run or weaver_app, or use weaver.use, which also works before "
            "the start",
        )
    return current.get(component)


def use(component: Callable[..., T]) -> T:
    """A reference that may be taken at import time, before any application runs.

    It finds the application at its first call. Where none runs (a web server started the process),
    one is started here, in a thread of its own, with the components declared so far. Calling the
    reference gives a plain one, so it can serve as a dependency of a web framework; type checkers,
    for which it is the component, want a function that returns it: `Depends(lambda: stock)`.
    """
    reference: T = _lazy_class(component)()
    return reference


def wait(awaitable: Awaitable[T]) -> T:
    """Wait in plain code for a call to a component; returns its result or raises its error.

    Raises UsageError on an event loop's thread, which it would block: use `await` there.
    """
    if asyncio._get_running_loop() is not None:  # noqa: SLF001
        if inspect.iscoroutine(awaitable):
            awaitable.close()
        raise UsageError(
            "weaver.wait was called on an event loop's thread",
            why="it would block every other task, including the one it waits for",
            fix="write `await` instead",
        )

    if not inspect.isawaitable(awaitable):
        raise _not_awaitable(awaitable)

    async def awaited() -> T:
        return await awaitable

    result: T = paths.run_from_thread(awaited(), _current_or_fallback().loop)
    return result


def deployment() -> Deployment:
    """Which deployment this code runs in. Raises UsageError when no application runs here."""
    current = running()
    if current is None:
        raise UsageError(
            "no application runs in this process, so there is no deployment",
            fix="call weaver.deployment() from a component, or after the start",
        )
    return current.deployment


def options(reference: T, *, timeout: float | None = None, retry: bool = True) -> T:
    """The same reference with per-call options: `weaver.options(cart, timeout=0.1).get("u")`.

    `timeout` is in seconds and binds local calls too; a call that takes longer raises
    DeadlineExceeded. `retry=False` forbids the runtime every retry. An object that is no
    reference, such as a fake in a unit test, is returned as it is.
    """
    number: Any = timeout  # of callers without a type checker, anything
    if number is not None and not (isinstance(number, (int, float)) and number > 0):
        raise UsageError(
            f"options(timeout={timeout!r}): a timeout is a positive number of seconds",
            fix="leave it out for the deadline that applies anyway",
        )
    chosen = Options(timeout=timeout, retry=retry)
    component = getattr(type(reference), "_weaver_used", None)
    if component is not None:  # of `use`: there may be no application to ask yet
        later: T = _lazy_class(component, chosen)()
        return later
    return with_options(reference, chosen)


def _not_awaitable(given: object) -> UsageError:
    what = f"weaver.wait was given `{type(given).__name__}`, which cannot be awaited"
    if inspect.isasyncgen(given):
        fix = "read it in a coroutine of your own, with `async for`, and wait for that"
    else:
        fix = "give it the call of an `async def` method; a plain method gives its result at once"
    return UsageError(what, fix=fix)


def _current_or_fallback() -> Running:
    return running() or run_in_background()


def _lazy_class(component: Any, chosen: Options | None = None) -> type[Any]:
    if registry.declaration_of(component) is None and not isinstance(component, type):
        problem = unknown_component(component)
        raise UsageError(problem.what, why=problem.why, fix=problem.fix)

    def real() -> Any:
        reference = _current_or_fallback().get(component)
        return reference if chosen is None else with_options(reference, chosen)

    def call(_self: object) -> Any:
        return real()

    def describe(_self: object) -> str:
        return f"<reference to {registry.full_name(component)}, when it runs>"

    def find(_self: object, name: str) -> Any:
        if name.startswith("_"):  # frameworks look at a dependency long before they call it
            raise AttributeError(name)
        return getattr(real(), name)

    def stand_for(_self: object) -> Any:
        return component

    return type(
        f"{component.__name__}Use",
        (),
        {
            "__slots__": ("__weakref__",),
            "__class__": property(stand_for),
            "__getattr__": find,
            "__call__": call,
            "__repr__": describe,
            "_weaver_used": component,
        },
    )
