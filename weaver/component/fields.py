"""What one component class asks the runtime for: fields, or parameters of its `__init__`."""

import dataclasses
import inspect
import sys
import typing
from collections.abc import Iterator, Mapping
from typing import Any, cast

from weaver.component import annotations
from weaver.component.annotations import Unresolved
from weaver.component.methods import method_names
from weaver.component.model import Field, Role
from weaver.component.registry import Declaration, declaration_of
from weaver.component.values import Listener, Secret
from weaver.errors import Problem


def is_interface(type_: Any) -> bool:
    """Whether a class is a Protocol or ABC of the application, so a component may implement it."""
    if not isinstance(type_, type) or declaration_of(type_) is not None:
        return False
    if type_.__module__.partition(".")[0] in sys.stdlib_module_names - {"__main__"}:
        return False
    return bool(getattr(type_, "_is_protocol", False)) or inspect.isabstract(type_)


def is_config(type_: Any) -> bool:
    """Whether a class is a dataclass, msgspec.Struct, attrs class or pydantic model."""
    if not isinstance(type_, type) or declaration_of(type_) is not None:
        return False
    marks = ("__dataclass_fields__", "__struct_fields__", "__attrs_attrs__", "__pydantic_fields__")
    return any(hasattr(cast("Any", type_), mark) for mark in marks)


def fields_of(
    declaration: Declaration, scope: Mapping[str, Any], problems: list[Problem]
) -> Iterator[Field]:
    """What the runtime gives to the component; faults are added to `problems`."""
    source = _annotated_fields if declaration.generated_init else _init_parameters
    config: str | None = None
    for name, annotation, module, required in source(declaration):
        type_ = annotations.resolve(annotation, module=module, scope=scope)
        subject = f"{declaration.short_name}.{name}"
        if isinstance(type_, Unresolved):
            problems.append(
                Problem(f"{subject}: {type_.reason}", where=declaration.where, fix=type_.fix)
            )
            continue
        role, inner = _role(type_)
        if role == "state":
            if required and not declaration.generated_init:
                problems.append(_not_injectable(declaration, name, type_))
            continue
        if role == "config":
            if config is not None:
                problems.append(
                    Problem(
                        f"{declaration.short_name} has two config fields, `{config}` and `{name}`",
                        where=declaration.where,
                        why="a component has one section in weaver.toml",
                        fix="make one a field of the other's type",
                    )
                )
                continue
            config = name
        yield Field(name, role, inner)


def notes_of(declaration: Declaration) -> Iterator[Problem]:
    """Fields that look like references but are state: probably a forgotten @weaver.component."""
    if not declaration.generated_init:
        return
    scope = annotations.scope_of(declaration)
    for name, annotation, module, _ in _annotated_fields(declaration):
        type_ = annotations.resolve(annotation, module=module, scope=scope)
        if _role(type_)[0] != "state" or not isinstance(type_, type):
            continue
        top = type_.__module__.partition(".")[0]
        if top in sys.stdlib_module_names - {"__main__"} or not method_names(type_):
            continue
        yield Problem(
            f"{declaration.short_name}.{name}: {type_.__name__} is not a component, so the runtime "
            "leaves the field unset",
            where=declaration.where,
            fix=f"if it is to be a reference, write @weaver.component above {type_.__name__}; "
            "if it is state, give it a default or set it in `start`",
        )


def _annotated_fields(declaration: Declaration) -> Iterator[tuple[str, Any, str, bool]]:
    """Annotated names without a default that do not begin with an underscore, bases first."""
    seen: dict[str, tuple[Any, str]] = {}
    for base in reversed(declaration.cls.__mro__):
        for name, annotation in inspect.get_annotations(base).items():
            seen[name] = (annotation, base.__module__)
    fields: dict[str, Any] = getattr(declaration.cls, "__dataclass_fields__", {})
    for name, (annotation, module) in seen.items():
        field = fields.get(name)
        if name.startswith("_") or field is None or "ClassVar" in str(annotation):
            continue
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            yield name, annotation, module, True


def _init_parameters(declaration: Declaration) -> Iterator[tuple[str, Any, str, bool]]:
    """The parameters of the class's own `__init__`, less those that Python fills."""
    init = inspect.unwrap(declaration.cls.__init__)
    for parameter in list(inspect.signature(init).parameters.values())[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        required = parameter.default is parameter.empty
        annotation = Any if parameter.annotation is parameter.empty else parameter.annotation
        if not required and not _may_be_injected(annotation):
            continue
        yield parameter.name, annotation, init.__module__, required


def _may_be_injected(annotation: Any) -> bool:
    """A parameter with a default is still injected when it plainly names a component."""
    return declaration_of(annotation) is not None


def _role(type_: Any) -> tuple[Role, Any]:
    if typing.get_origin(type_) is typing.Annotated:
        type_ = typing.get_args(type_)[0]
    if type_ is Listener:
        return "listener", type_
    if type_ is Secret or typing.get_origin(type_) is Secret:
        return "secret", (typing.get_args(type_) or (str,))[0]
    if declaration_of(type_) is not None or is_interface(type_):
        return "reference", type_
    if is_config(type_):
        return "config", type_
    return "state", type_


def _not_injectable(declaration: Declaration, name: str, type_: Any) -> Problem:
    shown = (
        "no annotation"
        if type_ is Any
        else f"the type {getattr(type_, '__name__', None) or repr(type_)}"
    )
    return Problem(
        f"{declaration.short_name}.__init__: parameter `{name}` has {shown}, which the runtime "
        "cannot give it",
        where=declaration.where,
        why="it gives components, interfaces, config types, secrets and listeners",
        fix=f"give `{name}` a default, move it into the config type, or make its type a component",
    )
