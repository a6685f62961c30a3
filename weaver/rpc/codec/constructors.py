"""What the constructor of a record class does, as far as that is certain.

The answers decide whether an instance may be made by the constructor, by assignments in its place,
or by neither. Where nothing can be proved, the answer is no.
"""

import abc
import dataclasses
import functools
import inspect
import types
from typing import Any

import msgspec


def only_assigns(cls: Any) -> bool:
    """Whether calling a class assigns its fields, each as given, and runs no code of the user."""
    new: Any = cls.__new__
    if issubclass(cls, tuple):
        return bool(new.__module__ == f"namedtuple_{cls.__name__}")
    if hasattr(cls, "__post_init__"):
        return False
    if issubclass(cls, msgspec.Struct):
        return True
    return dataclasses.is_dataclass(cls) and _has_generated_init(cls)


def assignable(cls: Any) -> bool:
    """Whether `object.__new__` and an assignment to each field, in order, do what calling does.

    Then the constructor need not be called, which before Python 3.13 is a third of decoding.
    """
    return (
        dataclasses.is_dataclass(cls)
        and type(cls) in (type, abc.ABCMeta)  # no other may have a `__call__` of its own
        and getattr(cls, "__new__", None) is object.__new__
        and cls.__setattr__ is object.__setattr__  # a frozen class has another one
        and only_assigns(cls)
        and _init_order(cls) == [field.name for field in dataclasses.fields(cls)]
        and not any(_is_managed(cls, field.name) for field in dataclasses.fields(cls))
    )


def keyword_fields(cls: type[Any]) -> set[str]:
    """The fields that the constructor takes by name only."""
    if issubclass(cls, msgspec.Struct):
        signature = inspect.signature(cls)
        return {p.name for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY}
    if dataclasses.is_dataclass(cls):
        return {field.name for field in dataclasses.fields(cls) if field.kw_only}
    return set()


def _has_generated_init(cls: Any) -> bool:
    """Whether `__init__` is, to the byte, what `dataclass` generates for fields that are all given.

    One with an `InitVar` has a parameter more, one with a field that is not given a parameter less.
    """
    init: Any = cls.__init__
    fields = dataclasses.fields(cls)
    if not isinstance(init, types.FunctionType):
        return False
    code = init.__code__
    if code.co_filename != "<string>":  # written by hand: no twin need be made
        return False
    names = tuple(field.name for field in fields)
    kinds = tuple(_kind(field) for field in fields)
    alike = names
    if "factory" not in {given for given, _ in kinds} and "self" not in names:
        alike = tuple(f"field_{i}" for i in range(len(names)))  # so that few twins have to be made
    expected = _generated(alike, kinds, frozen=cls.__dataclass_params__.frozen)
    return _behaviour(code, names) == expected


def _kind(field: dataclasses.Field[Any]) -> tuple[str, bool]:
    """What decides, besides the name, how `dataclass` treats a field in `__init__`."""
    if field.default is not dataclasses.MISSING:
        return "default", bool(field.kw_only)
    given = "nothing" if field.default_factory is dataclasses.MISSING else "factory"
    return given, bool(field.kw_only)


@functools.lru_cache(maxsize=1024)
def _generated(
    names: tuple[str, ...], kinds: tuple[tuple[str, bool], ...], *, frozen: bool
) -> tuple[Any, ...]:
    """The behaviour of the `__init__` of a dataclass with fields like these."""
    fields: list[tuple[str, Any, Any]] = []
    for name, (given, kw_only) in zip(names, kinds, strict=True):
        field: Any = dataclasses.field(kw_only=kw_only)
        if given == "default":
            field = dataclasses.field(default=None, kw_only=kw_only)
        elif given == "factory":
            field = dataclasses.field(default_factory=list[Any], kw_only=kw_only)
        fields.append((name, object, field))
    twin: Any = dataclasses.make_dataclass(
        "Twin", fields, frozen=frozen, repr=False, eq=False, match_args=False
    )
    return _behaviour(twin.__init__.__code__, names)


def _behaviour(code: types.CodeType, names: tuple[str, ...]) -> tuple[Any, ...]:
    """All of a code object that has a say in what it does; numbers stand for the names of fields.

    Free variables are sorted by name, so they can be compared for equal names only.
    """
    numbers: dict[Any, Any] = {name: i for i, name in enumerate(names)}

    def numbered(row: tuple[Any, ...]) -> list[tuple[type[Any], Any]]:
        return [(type(item), numbers.get(item, item)) for item in row]

    return (
        code.co_code,
        numbered(code.co_consts),
        numbered(code.co_names),
        numbered(code.co_varnames),
        code.co_freevars,
        code.co_cellvars,
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags,
        code.co_exceptiontable,
    )


def _init_order(cls: Any) -> list[str]:
    code = cls.__init__.__code__
    return list(code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount])


def _is_managed(cls: Any, name: str) -> bool:
    """Whether a class attribute, as a property, has a say in assignments; a slot has none."""
    attribute: Any = inspect.getattr_static(cls, name, None)
    kind = attribute.__class__
    return hasattr(kind, "__set__") and kind is not types.MemberDescriptorType
