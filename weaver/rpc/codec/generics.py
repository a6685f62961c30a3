"""Generic classes: what the type variables in the annotations of their fields stand for."""

import inspect
import typing
from collections.abc import Mapping
from typing import Any

Given = Mapping[Any, Any]


def substituted(type_: Any, given: Given) -> Any:
    """A type with what is given in place of its type variables; others stay."""
    if isinstance(type_, typing.TypeVar):
        return given.get(type_, type_)
    parameters: tuple[Any, ...] = getattr(type_, "__parameters__", ())
    if parameters and not isinstance(type_, type):
        return type_[tuple(given.get(p, p) for p in parameters)]
    return type_


def field_types(annotation: Any) -> dict[str, Any]:
    """The annotated fields of a class, generic or not, and of its bases, with resolved types.

    Raises whatever an annotation raises that cannot be resolved.
    """
    return _field_types(typing.get_origin(annotation) or annotation, _arguments(annotation))


def _field_types(cls: Any, given: Given) -> dict[str, Any]:
    """One variable may stand for something else in each base, so each is asked by itself."""
    found = {
        name: substituted(type_, given)
        for name, type_ in typing.get_type_hints(cls, include_extras=True).items()
    }
    own: Any = () if hasattr(cls, "__total__") else inspect.get_annotations(cls)
    for base in reversed(cls.__dict__.get("__orig_bases__", cls.__bases__)):
        origin: Any = typing.get_origin(base)
        if isinstance(base, type) or (isinstance(origin, type) and origin is not typing.Generic):
            bound = {key: substituted(arg, given) for key, arg in _arguments(base).items()}
            inner = _field_types(origin or base, bound)
            found |= {name: type_ for name, type_ in inner.items() if name not in own}
    return found


def _arguments(annotation: Any) -> dict[Any, Any]:
    origin: Any = typing.get_origin(annotation)
    parameters = getattr(origin, "__parameters__", ())
    return dict(zip(parameters, typing.get_args(annotation), strict=False))
