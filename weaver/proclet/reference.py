"""References: what a component holds to another one, in every placement the same object.

A reference offers the component's methods and nothing else. It is no instance of the component's
class, so it has none of its state; its `__class__` says otherwise, so `isinstance` holds. Each
method is a function kept in a slot of the reference: where the callee moves, the slot is set anew.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

from weaver.component.model import RESERVED, Component
from weaver.errors import StateAccessError, UsageError, did_you_mean

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Binding:
    """Whom a reference belongs to and means; `invoke` builds the functions for given options."""

    caller: str
    callee: Component
    invoke: Callable[["Options"], Mapping[str, Callable[..., Any]]]


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """Per-call options; `timeout` in seconds, None for the deadline that applies anyway."""

    timeout: float | None = None
    retry: bool = True


DEFAULT_OPTIONS = Options()
_MOST_VARIANTS = 32
_OWN_SLOTS = ("_weaver_binding", "_weaver_options", "_weaver_variants", "__weakref__")


def make_reference(binding: Binding, options: Options = DEFAULT_OPTIONS) -> Any:
    """A new reference; its methods are those that `binding.invoke` gives for the options."""
    kind: Any = binding.callee.cls
    cls = _reference_class(kind, tuple(m.name for m in binding.callee.methods))
    reference = cls()
    _set(reference, "_weaver_binding", binding)
    _set(reference, "_weaver_options", options)
    _set(reference, "_weaver_variants", {})
    bind(reference)
    return reference


def bind(reference: Any) -> None:
    """Set the methods of a reference anew, because its callee started or moved."""
    binding: Binding = reference._weaver_binding  # noqa: SLF001
    for name, function in binding.invoke(reference._weaver_options).items():  # noqa: SLF001
        _set(reference, name, function)


def with_options(reference: T, options: Options) -> T:
    """The same reference with other options; something that is no reference is returned as it is.

    The latter keeps components testable by hand, with fakes in their fields.
    """
    if not is_reference(reference):
        return reference
    known: Any = reference
    variants: dict[Options, Any] = known._weaver_variants  # noqa: SLF001
    if options not in variants:
        if len(variants) >= _MOST_VARIANTS:
            variants.clear()  # timeouts that are computed anew for each call
        variants[options] = make_reference(known._weaver_binding, options)  # noqa: SLF001
    made: T = variants[options]
    return made


def is_reference(value: object) -> bool:
    """Whether a value is a reference made by the runtime."""
    return hasattr(type(value), "_weaver_binding")


def _set(reference: Any, name: str, value: Any) -> None:
    slots: Any = type(reference).__dict__  # pyright: ignore[reportUnknownMemberType] # type[Any]
    slots[name].__set__(reference, value)


@functools.lru_cache(maxsize=1024)
def _reference_class(cls: type[Any], names: tuple[str, ...]) -> type[Any]:
    def describe(_self: object) -> str:
        return f"<reference to {cls.__module__}.{cls.__qualname__}>"

    def missing(_self: object, name: str) -> NoReturn:
        raise _no_such_attribute(cls, names, name)

    def read_only(_self: object, name: str, *_value: object) -> NoReturn:
        raise StateAccessError(
            f"{cls.__name__}.{name} cannot be set through a reference",
            why="the state of another component is its own, in every placement",
            fix=f"give {cls.__name__} a method that changes it",
        )

    def uncopied(_self: object, *_args: object) -> NoReturn:
        raise UsageError(
            f"a reference to {cls.__name__} cannot be pickled or copied",
            fix="hold the reference in a component's field, or call weaver.get where it is needed",
        )

    return type(
        f"{cls.__name__}Reference",
        (),
        {
            "__slots__": (*_OWN_SLOTS, *names),
            "__class__": property(lambda _self: cls),
            "__repr__": describe,
            "__getattr__": missing,
            "__setattr__": read_only,
            "__delattr__": read_only,
            "__reduce_ex__": uncopied,
            "__module__": cls.__module__,
            "__doc__": cls.__doc__,
        },
    )


def _no_such_attribute(cls: type[Any], names: tuple[str, ...], name: str) -> StateAccessError:
    if name in RESERVED:
        return StateAccessError(
            f"{cls.__name__}.{name} is called by the runtime, not through references",
            fix=f"put what both need into a method of another name, and call that in `{name}` too",
        )
    kept: Any = inspect.getattr_static(cls, name, None)
    if isinstance(kept, (staticmethod, classmethod)):
        return StateAccessError(
            f"{cls.__name__}.{name} belongs to the class; references offer methods of objects",
            fix=f"call {cls.__name__}.{name}, or make it a method with `self`",
        )
    annotations = {n for base in cls.__mro__ for n in inspect.get_annotations(base)}
    if name in annotations or hasattr(cls, name):
        return StateAccessError(
            f"{cls.__name__}.{name} is state of another component",
            why="a reference offers methods only, so that it means the same in another process",
            fix=f"give {cls.__name__} a method that returns what you need",
        )
    return StateAccessError(f"{cls.__name__} has no method `{name}`", fix=did_you_mean(name, names))
