"""The methods of one component class, each with its kind and types, and every fault found."""

import abc
import collections.abc
import functools
import inspect
import typing
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

from weaver.component import annotations
from weaver.component.annotations import Unresolved
from weaver.component.declare import IDEMPOTENT, ROUTED_BY
from weaver.component.model import RESERVED, Kind, Method
from weaver.component.registry import Declaration
from weaver.errors import Problem, did_you_mean

_STREAMS = (
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncGenerator,
)
_UNKNOWN = inspect.Parameter.empty
_FRAMEWORK_BASES = (object, abc.ABC, typing.Generic, typing.Protocol)


def public_functions(cls: type[Any]) -> dict[str, FunctionType]:
    """The public functions of a class and its bases; properties and class methods are state."""
    found: dict[str, FunctionType] = {}
    for base in reversed(cls.__mro__):
        if base in _FRAMEWORK_BASES or base.__module__ in ("typing", "typing_extensions"):
            continue
        for name, value in base.__dict__.items():
            if name.startswith("_"):
                continue
            if inspect.isfunction(value):
                found[name] = value
            else:
                found.pop(name, None)
    return found


@functools.cache
def method_names(cls: type[Any]) -> frozenset[str]:
    """The names that a reference to this class offers."""
    return frozenset(name for name in public_functions(cls) if name not in RESERVED)


def methods_of(
    declaration: Declaration, scope: Mapping[str, Any], problems: list[Problem]
) -> tuple[tuple[Method, ...], tuple[Method, ...]]:
    """The methods without a fault, and the others, whose faults are added to `problems`."""
    sound: list[Method] = []
    faulty: list[Method] = []
    for name, function in public_functions(declaration.cls).items():
        if name not in RESERVED:
            reader = _Reader(f"{declaration.short_name}.{name}", function, scope)
            method = reader.read(name)
            problems += reader.problems
            (faulty if reader.problems else sound).append(method)
    return tuple(sound), tuple(faulty)


def hooks_of(declaration: Declaration, problems: list[Problem]) -> Iterator[str]:
    """Which of start, stop and main there are: async, and without parameters to fill."""
    functions = public_functions(declaration.cls)
    for name in RESERVED:
        if name in functions:
            function = inspect.unwrap(functions[name])
            required = [
                p.name
                for p in list(inspect.signature(function).parameters.values())[1:]
                if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
            ]
            if inspect.iscoroutinefunction(function) and not required:
                yield name
            else:
                problems.append(_reserved(declaration, name, function, required))


def _reserved(declaration: Declaration, name: str, function: Any, required: list[str]) -> Problem:
    given = f", and nobody could give it {', '.join(required)}" if required else ""
    return Problem(
        f"{declaration.short_name}.{name}: the name is reserved for the runtime",
        where=_where(function),
        why=f"the runtime calls it, so it must be `async def {name}(self) -> None`{given}",
        fix="make it so, or give the method another name",
    )


def _where(function: Any) -> str:
    return f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"


class _Reader:
    """Reads one method, collecting what is wrong with it."""

    def __init__(self, label: str, function: Any, scope: Mapping[str, Any]) -> None:
        self.label = label
        self.marks = function
        self.function = inspect.unwrap(function)
        self.scope = scope
        self.where = _where(self.function)
        self.problems: list[Problem] = []

    def read(self, name: str) -> Method:
        signature = self._signature()
        kind, result = self._kind(signature.return_annotation)
        return Method(
            name=name,
            kind=kind,
            signature=signature,
            result=result,
            routed_by=self._routed_by(signature),
            idempotent=bool(getattr(self.marks, IDEMPOTENT, False)),
            where=self.where,
        )

    def _problem(self, what: str, *, fix: str, why: str = "") -> None:
        self.problems.append(Problem(what, where=self.where, why=why, fix=fix))

    def _signature(self) -> inspect.Signature:
        """The signature without `self`; what is missing or unresolvable is reported."""
        signature = inspect.signature(self.function)
        parameters = [
            p.replace(
                annotation=self._type(
                    f"parameter `{p.name}`", p.annotation, f"write its type, as in `{p.name}: str`"
                )
            )
            for p in list(signature.parameters.values())[1:]
        ]
        fix = "write `-> None`, or the type it returns"
        if inspect.isasyncgenfunction(self.function):
            fix = "write `-> AsyncIterator[Item]`, Item being the type of what it yields"
        result = self._type("the result", signature.return_annotation, fix)
        return inspect.Signature(parameters, return_annotation=result)

    def _type(self, subject: str, annotation: Any, fix: str) -> Any:
        if annotation is inspect.Signature.empty:
            self._problem(
                f"{self.label}: {subject} has no annotation",
                why="the method may be called from another process: its types must be known",
                fix=fix,
            )
            return _UNKNOWN
        type_ = annotations.resolve(annotation, module=self.function.__module__, scope=self.scope)
        if isinstance(type_, Unresolved):
            self._problem(f"{self.label}: {subject}: {type_.reason}", fix=type_.fix)
            return _UNKNOWN
        return None if type_ is type(None) else type_

    def _kind(self, result: Any) -> tuple[Kind, Any]:
        """How the method is called, and what it returns or yields."""
        function = self.function
        streamed = (typing.get_origin(result) or result) in _STREAMS
        if inspect.isasyncgenfunction(function) or (
            streamed and not inspect.iscoroutinefunction(function)
        ):
            items = typing.get_args(result)
            if streamed and items:
                return "stream", items[0]
            if result is not _UNKNOWN:
                shown = "nothing" if result is None else getattr(result, "__name__", repr(result))
                self._problem(
                    f"{self.label} yields, but its result is annotated {shown}",
                    fix="annotate what it yields: `-> AsyncIterator[Item]`",
                )
            return "stream", _UNKNOWN
        if streamed:
            self._problem(
                f"{self.label} returns an AsyncIterator instead of yielding",
                why="only an async generator can be streamed to another process",
                fix="write `yield item`, or `async for item in other: yield item`",
            )
            return "async", _UNKNOWN
        if inspect.isgeneratorfunction(function):
            self._problem(
                f"{self.label} is a plain generator",
                why="results are streamed by async generators",
                fix="make it `async def … -> AsyncIterator[Item]`, or return a list",
            )
            return "plain", _UNKNOWN
        return ("async" if inspect.iscoroutinefunction(function) else "plain"), result

    def _routed_by(self, signature: inspect.Signature) -> str | None:
        name = getattr(self.marks, ROUTED_BY, None)
        names = list(signature.parameters)
        if name is not None and name not in names:
            self._problem(
                f'{self.label}: routed(by="{name}") names no parameter',
                why=f"its parameters are: {', '.join(names) or 'none'}",
                fix=did_you_mean(str(name), names) or "add the parameter that routes",
            )
        return name
