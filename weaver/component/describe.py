"""Describe one declared class, reporting every fault of it at once.

This file looks at one class alone. Whether what it refers to exists is decided in `graph.py`;
whether its types can travel, in `weaver.rpc.methods`.
"""

import inspect

from weaver.component import annotations
from weaver.component.fields import fields_of
from weaver.component.methods import hooks_of, methods_of
from weaver.component.model import Component
from weaver.component.registry import Declaration
from weaver.errors import Problem


def inspect_component(
    declaration: Declaration, *, faked: bool = False
) -> tuple[Component, list[Problem]]:
    """Describe a declared class; a method or field with a fault is left out and reported.

    Of a faked one only the methods matter: a fake needs nothing, and the runtime calls no hook.
    """
    problems: list[Problem] = []
    scope = annotations.scope_of(declaration)
    cls = declaration.cls
    if not faked and (inspect.isabstract(cls) or getattr(cls, "_is_protocol", False)):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ()))) or "it is a Protocol"
        problems.append(
            Problem(
                f"{declaration.short_name} cannot be created: it is abstract",
                where=declaration.where,
                why=f"not implemented: {missing}",
                fix="implement it, or put @weaver.component on the class that inherits it",
            )
        )
    methods, faulty = methods_of(declaration, scope, problems)
    component = Component(
        cls=cls,
        full_name=declaration.full_name,
        short_name=declaration.short_name,
        where=declaration.where,
        methods=methods,
        fields=() if faked else tuple(fields_of(declaration, scope, problems)),
        generated_init=declaration.generated_init,
        hooks=frozenset() if faked else frozenset(hooks_of(declaration, problems)),
        faulty=faulty,
    )
    return component, problems
