"""The records that describe a component: its methods, its fields, and what it is called."""

import dataclasses
import inspect
from typing import Any, Literal

RESERVED = ("start", "stop", "main")
Role = Literal["reference", "config", "secret", "listener", "state"]
Kind = Literal["async", "plain", "stream"]


@dataclasses.dataclass(frozen=True, slots=True)
class Method:
    """One component method. `signature` has resolved annotations and no `self`.

    `result` is the annotated result, or the item type of a stream.
    """

    name: str
    kind: Kind
    signature: inspect.Signature
    result: Any
    routed_by: str | None
    idempotent: bool
    where: str


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One thing the runtime gives to a component, as a field or an `__init__` parameter.

    `type` is the component or interface class, the config type, or what a secret holds.
    """

    name: str
    role: Role
    type: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Component:
    """One component: everything the runtime needs to know of the class."""

    cls: type[Any]
    full_name: str
    short_name: str
    where: str
    methods: tuple[Method, ...]
    fields: tuple[Field, ...]
    generated_init: bool
    hooks: frozenset[str]
    """Which of start, stop and main it has."""
    faulty: tuple[Method, ...] = ()
    """Methods with a fault that is reported: only their types are looked at, for further faults.

    A type that could not be read is `inspect.Parameter.empty` in them.
    """

    def fields_of(self, role: Role) -> tuple[Field, ...]:
        """The fields with one role, in the order they are written."""
        return tuple(field for field in self.fields if field.role == role)
