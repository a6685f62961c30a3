"""The method table: every method of an application with its codec and its number on the wire.

Both ends of a connection are the same build, so a method is a number and its values are positional.
The hash of the table is part of the handshake.
"""

import dataclasses
import hashlib
import inspect
from collections.abc import Iterable
from typing import Any

from weaver.component.model import Component, Method
from weaver.errors import Problem
from weaver.rpc import codec as codecs


@dataclasses.dataclass(frozen=True)
class MethodCodec:
    """One method with the codecs of its arguments and of its result, or of a stream's items."""

    index: int
    component: str
    method: Method
    label: str
    arguments: codecs.ArgumentsCodec
    result: codecs.ValueCodec

    def copy_arguments(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments as another process would see them. Raises CodecError for a wrong value."""
        return self.arguments.decode(self.arguments.encode(args, kwargs))

    def copy_result(self, value: Any) -> Any:
        """A result as the caller's process would see it. Raises CodecError for a wrong value."""
        return self.result.decode(self.result.encode(value))


@dataclasses.dataclass(frozen=True)
class MethodTable:
    """All methods of an application, numbered alike in every process of one build."""

    methods: tuple[MethodCodec, ...]
    hash: bytes

    def of(self, component: str) -> dict[str, MethodCodec]:
        """The methods of one component by name."""
        return {m.method.name: m for m in self.methods if m.component == component}


def compile_table(components: Iterable[Component]) -> MethodTable:
    """Number the methods and build their codecs; `travel_problems` must have found none."""
    methods: list[MethodCodec] = []
    digest = hashlib.blake2b(digest_size=16)
    for component in sorted(components, key=lambda c: c.full_name):
        for method in component.methods:
            label = f"{component.short_name}.{method.name}"
            digest.update(f"{component.full_name}.{method.name}{method.signature}\n".encode())
            methods.append(
                MethodCodec(
                    index=len(methods),
                    component=component.full_name,
                    method=method,
                    label=label,
                    arguments=codecs.compile_arguments(method.signature, method=label),
                    result=codecs.compile_result(method.result, method=label),
                )
            )
    return MethodTable(tuple(methods), digest.digest())


def travel_problems(components: Iterable[Component]) -> list[Problem]:
    """Every parameter and result that cannot travel, with its class, method and the fix."""
    return [
        Problem(
            f"{component.short_name}.{method.name}: {subject} cannot travel to another process",
            where=method.where,
            why=unsupported.reason,
            fix=unsupported.fix,
        )
        for component in components
        for method in (*component.methods, *component.faulty)
        for subject, annotation in _values_of(method)
        if annotation is not inspect.Parameter.empty
        and (unsupported := codecs.supported(annotation)) is not None
    ]


def _values_of(method: Method) -> list[tuple[str, Any]]:
    values = [(f"parameter `{p.name}`", p.annotation) for p in method.signature.parameters.values()]
    return [*values, ("what it yields" if method.kind == "stream" else "the result", method.result)]
