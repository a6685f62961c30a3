"""How one type travels: what msgspec sees of it, and the source that converts both ways.

A type that msgspec encodes and decodes exactly has no source at all. The others give an expression,
so that a whole method's values are converted by one generated function: calling a function per
value would cost as much again as the conversion.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

Source = Callable[[str], str]
"""Given the name of a variable, the source of an expression over it."""

Row = Callable[[], tuple[str, str]]
"""Fresh names to unpack a value into, and the source of an expression over them.

Unpacking nested rows by one target is what makes records cheap: before Python 3.12 every
comprehension is a call, so one per record would double the cost (bench/codec.py).
"""

Parts = Callable[[Any], Iterable[tuple[str, "Plan", Any]]]
"""The parts of a value, each with its place ("`.name`", "[3]"), plan and value."""

Build = Callable[[Any], "Plan"]
"""The plan of an inner type, made with the same workshop. Raises Unsupported."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How values of one type travel.

    `wire` is the type msgspec decodes; `kinds` are the families it may take (msgspec counts bytes
    as "str"), which decide whether a union needs a tag. `classes` are the exact classes of the
    values. `fault` says why a value does not fit, looking at it alone; `parts` gives what it is
    made of; `inner` finds a part by msgspec's word for its place. `records` are the record classes
    that msgspec takes as they are. A conversion that unpacks has a row besides its source.
    """

    shown: str
    wire: Any
    kinds: frozenset[str]
    classes: tuple[type[Any], ...] = ()
    lower: Source | None = None
    lift: Source | None = None
    lower_row: Row | None = None
    lift_row: Row | None = None
    fault: Callable[[Any], str] | None = None
    parts: Parts | None = None
    inner: Callable[[str], tuple[str, "Plan"]] | None = None
    records: tuple[type[Any], ...] = ()

    def converting(self, lower: Source, lift: Source) -> "Plan":
        """The same plan with other conversions."""
        return dataclasses.replace(self, lower=lower, lift=lift)

    @property
    def native(self) -> bool:
        """Whether msgspec does it all."""
        return self.lower is None and self.lift is None


def converted(source: Source | None, variable: str) -> str:
    """The source of a conversion of a variable; the variable itself where there is none."""
    return variable if source is None else source(variable)


def unpacked(row: Row | None, source: Source | None, variable: str) -> tuple[str, str]:
    """The target that takes a value apart, and the source of its conversion."""
    return row() if row is not None else (variable, converted(source, variable))


def from_row(row: Row) -> Source:
    """A row as an expression over a variable."""

    def source(variable: str) -> str:
        target, expression = row()
        return f"[{expression} for {target} in ({variable},)][0]"

    return source


def not_a(shown: str, accepted: tuple[type[Any], ...]) -> Callable[[Any], str]:
    """A `fault` that accepts instances of some classes."""

    def fault(value: Any) -> str:
        if isinstance(value, accepted):
            return ""
        return f"is `{type(value).__name__}`, expected `{shown}`"

    return fault


def filled(cls: type[Any], names: Sequence[str], values: Sequence[Any]) -> Any:
    """An instance with these fields, made without running `__init__` or `__post_init__`."""
    kind: Any = cls
    made = kind.__new__(kind)
    setter: Any = (
        msgspec.structs.force_setattr if issubclass(cls, msgspec.Struct) else object.__setattr__
    )
    for name, value in zip(names, values, strict=True):
        setter(made, name, value)
    return made


class Unsupported(Exception):  # a finding, turned into a Problem or UnsupportedType
    """A type that cannot travel, with the reason and the fix."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix


class Workshop:
    """The names that the generated functions of one codec use."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self._numbers = itertools.count()
        self.building: dict[Any, str] = {}

    def constant(self, value: Any) -> str:
        """A name for an object in generated source."""
        name = f"c{next(self._numbers)}"
        self.names[name] = value
        return name

    def variable(self) -> str:
        """A fresh local name."""
        return f"v{next(self._numbers)}"

    def lowering(self, plan: Plan) -> Callable[[Any], Any] | None:
        """The function from a value to what msgspec encodes, or None for the identity."""
        return self._function(plan.lower_row, plan.lower)

    def lifting(self, plan: Plan) -> Callable[[Any], Any] | None:
        """The function from what msgspec decodes to the value, or None for the identity."""
        return self._function(plan.lift_row, plan.lift)

    def _function(self, row: Row | None, source: Source | None) -> Callable[[Any], Any] | None:
        if source is None:
            return None
        variable = self.variable()
        target, expression = unpacked(row, source, variable)
        text = f"def convert({variable}):\n"
        if target != variable:
            text += f"    {target} = {variable}\n"
        text += f"    return {expression}\n"
        # The source holds generated names, attribute names of classes and brackets only.
        exec(compile(text, "<weaver codec>", "exec"), self.names)  # noqa: S102
        function: Callable[[Any], Any] = self.names["convert"]
        return function
