"""Hosts the components of one process: creates them, joins them, starts and stops them in order.

It decides nothing about placement: `Placement` says through what a call to a component goes.
"""

import asyncio
import dataclasses
import inspect
import logging
import traceback
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from weaver.component.model import Component, Method
from weaver.errors import ComponentError, StartError, WeaverError
from weaver.proclet import context, paths
from weaver.proclet.definition import Definition
from weaver.proclet.forwarding import SAMPLED_EVERY, Edge, forward
from weaver.proclet.patience import at_most, patiently
from weaver.proclet.reference import DEFAULT_OPTIONS, Binding, Options, bind, make_reference
from weaver.proclet.starting import Starting
from weaver.rpc.methods import MethodCodec

log = logging.getLogger("weaver")

OUTSIDE = ""
"""The caller's name in references held by code that is no component."""


class Placement(Protocol):
    """Through what calls to components go."""

    def target(
        self,
        codec: MethodCodec,
        instance: Any,
        options: Options,
        leaves: Callable[[], None] = paths.uncounted,
    ) -> paths.Target:
        """The function that performs a call of one method.

        `instance` is the started component, or None for one that is not in this process. `leaves`
        is told of each call that goes to another process though there is an instance.
        """
        ...

    async def aclose(self) -> None:
        """Give back what calls went through."""
        ...


class Host:
    """The components of one application in this process, on the running event loop.

    `hosted` are the full names of those that are here, by default all; references to the others go
    to the placement with no instance.
    """

    def __init__(
        self,
        definition: Definition,
        values: Mapping[tuple[str, str], Any],
        placement: Placement,
        *,
        stop_timeout: float,
        hosted: Collection[str] | None = None,
    ) -> None:
        self._definition = definition
        self._graph = definition.graph
        self._values = values
        self._placement = placement
        self.stop_timeout = stop_timeout
        self._hosted = frozenset(self._graph.components if hosted is None else hosted)
        self._loop = asyncio.get_running_loop()
        self._codecs = {name: definition.table.of(name) for name in self._graph.components}
        self._references: dict[str, list[Any]] = {name: [] for name in self._graph.components}
        self._starting = Starting({c.full_name: c.where for c in self._graph.components.values()})
        self._started: list[str] = []
        self.instances: dict[str, Any] = {}
        self.edges: dict[tuple[str, str, str], Edge] = {}

    # --- references ---

    def reference(self, callee: str, *, caller: str = OUTSIDE) -> Any:
        """A new reference to a component, for another one or for code outside."""
        component = self._graph.components[callee]

        def invoke(options: Options) -> dict[str, Callable[..., Any]]:
            return {
                m.name: self._function(caller, component, m, options) for m in component.methods
            }

        reference = make_reference(Binding(caller, component, invoke))
        if callee in self._hosted and not self._starting.has_started(callee):
            self._references[callee].append(reference)
        return reference

    def _function(
        self, caller: str, component: Component, method: Method, options: Options
    ) -> Callable[..., Any]:
        name = component.full_name
        codec = self._codecs[name][method.name]
        key = (caller, name, method.name)
        edge = self.edges.get(key) or self.edges.setdefault(key, Edge(*key))

        def direct() -> Callable[..., Any]:
            return self._placement.target(codec, self.instances.get(name), options, edge.leaves)

        callable_now = name not in self._hosted or self._starting.has_started(name)
        lasting = callable_now and options == DEFAULT_OPTIONS
        if callable_now:
            target = direct()
        else:

            async def ready() -> None:
                await self._starting.wait(caller, name)

            target = paths.gated(method, ready, self._loop, direct)
        if name not in self._hosted:
            edge.remote = True
            target = timed = paths.measured(method, edge, target)
        else:
            timed = paths.measured(method, edge, target, stands_for=SAMPLED_EVERY)
        if options.timeout is not None:
            target = timed = paths.limited(method, codec.label, options.timeout, target)
        if caller == OUTSIDE:
            target = paths.hopping(method, self._loop, target)
            timed = paths.hopping(method, self._loop, timed)
        forwarded: Callable[..., Any] = forward(
            component, method, edge, target, timed=timed, lasting=lasting
        )
        return forwarded

    # --- start ---

    async def start(self) -> None:
        """Create all components, then start them, each after those it refers to.

        Raises StartError naming the component, with the cause chained; those already started have
        then been stopped again.
        """
        try:
            for component in self._graph.components.values():
                if component.full_name in self._hosted:
                    self.instances[component.full_name] = self._create(component)
            begun: set[str] = set()
            for name in self._graph.components:
                if name in self._hosted and name not in begun:
                    cycle = self._graph.cycle_of(name) or (name,)
                    together = tuple(other for other in cycle if other in self._hosted)
                    begun.update(together)
                    await self._start_together(together)
        except BaseException as error:
            self._starting.fail(error)
            await self.stop()
            raise

    async def _start_together(self, names: tuple[str, ...]) -> None:
        tasks = [
            self._loop.create_task(self._start_one(name), name=f"start {name}") for name in names
        ]
        for name, task in zip(names, tasks, strict=True):
            self._starting.begin(name, task)
        failed = self._starting.failed
        try:
            pending: set[asyncio.Future[Any]] = set(tasks)
            while pending and not failed.done():
                done, pending = await asyncio.wait(
                    pending | {failed}, return_when=asyncio.FIRST_COMPLETED
                )
                pending.discard(failed)
                for ended in done:
                    ended.result()
            if failed.done():
                failed.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _start_one(self, name: str) -> None:
        component = self._graph.components[name]
        if "start" in component.hooks:
            context.starting.set(name)
            context.component.set(name)
            try:
                await patiently(self.instances[name].start(), f"{component.short_name}.start")
            except (Exception, SystemExit) as error:
                raise component_error(component, "start", error) from error
            finally:
                context.starting.set("")
                context.component.set("")
        self._started.append(name)
        self._starting.finish(name)
        for reference in self._references.pop(name, ()):
            bind(reference)

    # --- creation ---

    def _create(self, component: Component) -> Any:
        fake = self._definition.fakes.get(component.full_name)
        if fake is not None:
            return fake
        given = {
            field.name: self._reference_for(component, field.name)
            if field.role == "reference"
            else self._values[component.full_name, field.name]
            for field in component.fields
        }
        try:
            if component.generated_init:
                return _without_init(component.cls, given)
            return component.cls(**given)
        except (Exception, SystemExit) as error:
            raise component_error(component, "__init__", error) from error

    def _reference_for(self, component: Component, field: str) -> Any:
        target = self._graph.references[component.full_name, field]
        return self.reference(target, caller=component.full_name)

    # --- stop ---

    async def stop(self) -> None:
        """Stop started components, callers before those they refer to.

        Each `stop` has `stop_timeout` seconds; errors and overruns are logged, and the rest go on.
        """
        within = self.stop_timeout
        while self._started:
            component = self._graph.components[self._started.pop()]
            if "stop" not in component.hooks:
                continue
            instance = self.instances[component.full_name]
            try:
                await at_most(within, patiently(instance.stop(), f"{component.short_name}.stop"))
            except TimeoutError:
                log.error(  # noqa: TRY400 # the traceback would show asyncio only
                    "%s.stop did not end within %g s; it was cancelled",
                    component.short_name,
                    within,
                )
            except Exception:
                log.exception("%s.stop failed", component.short_name)


def component_error(
    component: Component,
    step: str,
    error: Exception | SystemExit,
    kind: type[ComponentError] = StartError,
) -> ComponentError:
    """The error for an exception of a component's own code, pointing at the line that raised."""
    if isinstance(error, ComponentError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    own_file = component.where.rpartition(":")[0]
    own = [f for f in frames if f.filename == own_file] or frames
    return kind(
        f"{component.short_name}.{step} failed: {type(error).__name__}: {_first_line(error)}",
        component=component.full_name,
        where=f"{own[-1].filename}:{own[-1].lineno}" if own else component.where,
        why=error.why if isinstance(error, WeaverError) else "",
        fix=(error.fix if isinstance(error, WeaverError) else "")
        or _unset_field(component, error)
        or f"mend {component.short_name}.{step}",
    )


def _unset_field(component: Component, error: BaseException) -> str:
    """What to do about a field that the runtime has left unset, if that is what failed."""
    if not isinstance(error, AttributeError) or type(error.obj) is not component.cls:
        return ""
    if not any(error.name in inspect.get_annotations(base) for base in component.cls.__mro__):
        return ""
    field = f"{component.short_name}.{error.name}"
    return (
        f"set it in `start`; if it is to be a reference, write @weaver.component above the class "
        f"that {field} is annotated with"
    )


def _first_line(error: BaseException) -> str:
    text = error.what if isinstance(error, WeaverError) else str(error)
    return text.partition("\n")[0]


def _without_init(cls: type[Any], given: Mapping[str, Any]) -> Any:
    """An instance with fields set by the runtime: fields without a value are state, set later."""
    instance: Any = object.__new__(cls)
    for field in dataclasses.fields(cls):
        if field.name in given:
            object.__setattr__(instance, field.name, given[field.name])
        elif field.default is not dataclasses.MISSING:
            object.__setattr__(instance, field.name, field.default)
        elif field.default_factory is not dataclasses.MISSING:
            object.__setattr__(instance, field.name, field.default_factory())
    post_init = getattr(instance, "__post_init__", None)
    if post_init is not None:
        post_init()
    return instance
