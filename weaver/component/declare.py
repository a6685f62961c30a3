"""The decorators: they record what the user says, and judge nothing.

Judging waits until an application is put together (`graph.py`), because annotations may name
classes that are defined later, and because all faults are reported at once.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

from weaver.component import registry
from weaver.errors import UsageError

if TYPE_CHECKING:
    from dataclasses import Field, field
else:  # only type checkers read them, and `dataclasses` is half of what importing weaver costs
    Field = field = None

C = TypeVar("C", bound=type[Any])
F = TypeVar("F", bound=Callable[..., Any])

ROUTED_BY = "__weaver_routed_by__"
IDEMPOTENT = "__weaver_idempotent__"

_CO_OPTIMIZED = 0x0001  # set on the code of functions, not on class bodies and modules


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field, Field))
def component(cls: C, /) -> C:
    """Declare a class as a component; usable as a decorator or on an existing class.

    A class without an `__init__` of its own becomes a keyword-only dataclass, so that a unit test
    can build it by hand. Definition problems are not raised here: `weaver check`, a start and a
    build report all of them at once. Raises UsageError for something that is no class.
    """
    if not isinstance(cls, type):  # pyright: ignore[reportUnnecessaryIsInstance] # untyped callers
        raise UsageError(
            f"weaver.component was given {cls!r}, which is no class",
            fix="write @weaver.component above a class, or weaver.component(ExistingClass)",
        )
    caller = sys._getframe(1)  # noqa: SLF001 # the scope that annotations may name
    generated = _wants_generated_init(cls)
    if generated:
        _add_init(cls)
    registry.add(
        registry.Declaration(
            cls,
            generated_init=generated,
            file=caller.f_code.co_filename,
            line=cls.__dict__.get("__firstlineno__", caller.f_lineno),
            frames=_local_frames(caller),
        )
    )
    return cls


def routed(*, by: str) -> Callable[[F], F]:
    """Give a method affinity: calls with an equal argument `by` go to the same replica."""

    def mark(method: F) -> F:
        setattr(method, ROUTED_BY, by)
        return method

    return mark


def idempotent(method: F) -> F:
    """Mark a method that may be executed twice: the runtime may retry an unknown outcome."""
    setattr(method, IDEMPOTENT, True)
    return method


def _wants_generated_init(cls: type[Any]) -> bool:
    """Whether `__init__` would come from object, a protocol, or a dataclass further up."""
    if "__init__" in cls.__dict__:
        return False
    for base in cls.__mro__[1:]:
        if "__init__" in base.__dict__:
            if base is object or getattr(base, "_is_protocol", False):
                return True
            return "__dataclass_params__" in base.__dict__
    return True  # pragma: no cover # object always has one


def _add_init(cls: type[Any]) -> None:
    """Make the class a dataclass, forgiving what an ordinary class may have.

    A mutable default is copied for each instance, and a private field without a default is not
    asked for: it is state that the class sets itself.
    """
    import dataclasses
    import inspect

    for name in inspect.get_annotations(cls):
        if name in cls.__dict__:
            default = cls.__dict__[name]
            if type(default).__hash__ is None:
                setattr(cls, name, dataclasses.field(default_factory=_copier(default)))
        elif name.startswith("_"):
            setattr(cls, name, dataclasses.field(init=False))
    dataclasses.dataclass(kw_only=True, eq=False, repr=False)(cls)


def _copier(default: Any) -> Callable[[], Any]:
    import copy

    return lambda: copy.deepcopy(default)


def _local_frames(frame: FrameType | None) -> tuple[FrameType, ...]:
    """The functions around a declaration, innermost first; empty at module level.

    Frames are kept, not their locals, because later definitions of those functions count too.
    """
    frames: list[FrameType] = []
    while frame is not None and frame.f_code.co_name != "<module>":
        if frame.f_code.co_flags & _CO_OPTIMIZED:  # a class body in between has no scope of its own
            if frames and not _encloses(frame, frames[-1]):
                break
            frames.append(frame)
        frame = frame.f_back
    return tuple(frames)


def _encloses(outer: FrameType, inner: FrameType) -> bool:
    return inner.f_code.co_qualname.startswith(outer.f_code.co_qualname + ".<locals>")
