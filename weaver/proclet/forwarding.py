"""Functions that stand for a method: its exact signature in front, something else behind.

Generated source forwards arguments by position; `*args, **kwargs` would cost twice as much
(bench/local_call.py). A generated function is a plain `def` that returns the callee's coroutine:
an `async def` in between would double the price of a co-located call.
"""

import asyncio
import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

from weaver.component.model import Component, Method
from weaver.control.messages import MethodStatistics
from weaver.proclet import tracing
from weaver.proclet.traced_calls import Aim, traced
from weaver.telemetry.histogram import BUCKETS, bucket


class Edge:
    """How often one caller called one method, over all references it holds."""

    __slots__ = (
        "__weakref__",
        "_aims",
        "_counters",
        "_traced",
        "away",
        "callee",
        "caller",
        "errors",
        "histogram",
        "method",
        "others",
        "remote",
    )

    def __init__(self, caller: str, callee: str, method: str) -> None:
        self.caller = caller
        self.callee = callee
        self.method = method
        self.others = 0
        self.errors = 0
        self.remote = False
        self.away = 0
        self.histogram = [0] * BUCKETS
        self._counters: list[Callable[[], int]] = []
        self._aims: list[Aim] = []
        self._traced = False
        tracing.watch(self)

    @property
    def calls(self) -> int:
        """Calls begun so far."""
        return self.others + sum(count() for count in self._counters)

    def took(self, nanoseconds: int) -> None:
        """Count the duration of a call; of co-located calls, a sample is measured."""
        self.histogram[bucket(nanoseconds)] += 1

    def leaves(self) -> None:
        """Count a call that goes to another replica though the callee is hosted here, too."""
        self.away += 1

    def statistics(self) -> MethodStatistics:
        """What has been measured so far."""
        calls = self.calls
        return MethodStatistics(
            caller=self.caller,
            component=self.callee,
            method=self.method,
            calls=calls,
            errors=min(self.errors, calls),  # of co-located calls an estimate: it may be too high
            remote=calls if self.remote else min(self.away, calls),
            histogram=tuple(self.histogram),
        )

    def add(self, counter: Callable[[], int]) -> None:
        """Count what this function counts, too."""
        self._counters.append(counter)

    def follow(self, aim: Aim) -> None:
        """Let a function look for a trace while calls have to."""
        self._aims.append(aim)
        if self._traced:
            aim(on=True)

    def trace(self, *, on: bool) -> None:
        """Whether calls have to look for a trace."""
        self._traced = on
        for aim in self._aims:
            aim(on=on)


# What is called is a variable of the closure, set anew while calls are traced: others pay nothing.
# Counting down stays among the small integers, which CPython keeps ready: counting up, and testing
# the low bits, costs a fifth of a plain await more. So would a count in an attribute.
_COUNTED = """
def make(_weaver_target, _weaver_defaults, _weaver_edge, _weaver_timed, _weaver_follow):
    _weaver_left, _weaver_rounds = {every}, 0
    def {name}({parameters}):
        nonlocal _weaver_left, _weaver_rounds
        {check}
        _weaver_left -= 1
        if _weaver_left:
            return _weaver_target({arguments})
        _weaver_left = {every}
        _weaver_rounds += 1
        return _weaver_timed({arguments})
    def _weaver_calls():
        return _weaver_rounds * {every} + {every} - _weaver_left
    def _weaver_aim(target, timed):
        nonlocal _weaver_target, _weaver_timed
        _weaver_target, _weaver_timed = target, timed
    _weaver_edge.add(_weaver_calls)
    _weaver_follow(_weaver_aim)
    return {name}
"""
# For references that come and go: their counts must not outlive them one by one.
_COUNTED_IN_EDGE = """
def make(_weaver_target, _weaver_defaults, _weaver_edge, _weaver_timed, _weaver_follow):
    def {name}({parameters}):
        {check}
        _weaver_edge.others += 1
        return _weaver_target({arguments})
    return {name}
"""
SAMPLED_EVERY = 64
"""Co-located calls of which one is measured; within the integers that CPython keeps ready."""

_CHECK = "if _weaver_running_loop() is not None: _weaver_refuse()"


def forward(
    component: Component,
    method: Method,
    edge: Edge,
    target: Callable[..., Any],
    *,
    timed: Callable[..., Any],
    lasting: bool,
) -> Any:
    """A counted function with the method's signature that calls `target`.

    `lasting` functions are made once per reference and are the cheapest: one call in 64 goes to
    `timed`, which measures it. That of a plain method refuses to run on an event loop's thread,
    which it would block.
    """
    parameters, arguments, defaults = _spelled(method.signature)
    label = f"{component.short_name}.{method.name}"
    called = tracing.Called(label, edge.callee, edge.caller, edge.remote)
    wrap = functools.partial(traced, method, called)
    if not lasting:
        target = wrap(target)

    def follow(set_targets: Callable[..., None]) -> None:
        edge.follow(Aim(set_targets, (target, timed), wrap))

    source = (_COUNTED if lasting else _COUNTED_IN_EDGE).format(
        name=method.name,
        parameters=parameters,
        arguments=arguments,
        check=_CHECK if method.kind == "plain" else "",
        every=SAMPLED_EVERY,
    )
    return _dressed(_compiled(source)(target, defaults, edge, timed, follow), component, method)


@functools.lru_cache(maxsize=4096)
def _compiled(source: str) -> Callable[..., Any]:
    # The source holds identifiers of a signature only; defaults are passed in as objects.
    namespace: dict[str, Any] = {
        "_weaver_running_loop": asyncio._get_running_loop,  # noqa: SLF001 # the only call that costs nothing
        "_weaver_refuse": refuse_on_loop,
    }
    exec(compile(source, "<weaver reference>", "exec"), namespace)  # noqa: S102
    make: Callable[..., Any] = namespace["make"]
    return make


def refuse_on_loop() -> None:
    """Raise UsageError that names the fix: a plain method would block the event loop."""
    frame = sys._getframe(1)  # noqa: SLF001
    from weaver.errors import UsageError

    name = frame.f_code.co_name
    raise UsageError(
        f"the plain method `{name}` was called on an event loop's thread",
        where=_caller_place(),
        why="it would block every other task until it is done",
        fix=f"await asyncio.to_thread(reference.{name}, …), or make the method `async def`",
    )


def _caller_place() -> str:
    frame = sys._getframe(1)  # noqa: SLF001
    while frame.f_back is not None and (
        frame.f_code.co_filename in (__file__, "<weaver reference>")
    ):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _spelled(signature: inspect.Signature) -> tuple[str, str, list[Any]]:
    """The parameters and arguments as source text, and the default values they refer to."""
    parameters: list[str] = []
    arguments: list[str] = []
    defaults: list[Any] = []
    starred = positional_only = False
    for p in signature.parameters.values():
        if positional_only and p.kind is not p.POSITIONAL_ONLY:
            parameters.append("/")
            positional_only = False
        if p.kind is p.POSITIONAL_ONLY:
            positional_only = True
        if p.kind is p.KEYWORD_ONLY and not starred:
            parameters.append("*")
            starred = True
        prefix = "*" if p.kind is p.VAR_POSITIONAL else "**" if p.kind is p.VAR_KEYWORD else ""
        starred = starred or p.kind is p.VAR_POSITIONAL
        text = prefix + p.name
        if p.default is not p.empty:
            text += f"=_weaver_defaults[{len(defaults)}]"
            defaults.append(p.default)
        parameters.append(text)
        keyword = p.kind is p.KEYWORD_ONLY
        arguments.append(f"{p.name}={p.name}" if keyword else prefix + p.name)
    if positional_only:
        parameters.append("/")
    return ", ".join(parameters), ", ".join(arguments), defaults


def _dressed(function: Any, component: Component, method: Method) -> Any:
    """Make a function look like the method to frameworks that inspect callables."""
    original = getattr(component.cls, method.name)
    functools.update_wrapper(function, original, updated=())
    del function.__wrapped__  # it would show `self` to inspect.signature
    function.__signature__ = method.signature
    if method.kind == "async":
        if sys.version_info >= (3, 12):
            inspect.markcoroutinefunction(function)
        else:
            function._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined] # noqa: SLF001
    return function
