"""How one type travels: what msgspec sees of it, and the source that converts both ways.

A type that msgspec encodes and decodes exactly has no source at all. The others give an expression,
so that a whole method's values are converted by one generated function: calling a function per
value would cost as much again as the conversion.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from weaver.rpc.codec.shapes import Shape

Source = Callable[[str], str]
"""Given the name of a variable, the source of an expression over it."""

Row = Callable[[], "Unpacking"]
"""How to take one value apart, with names that are used nowhere else."""

Parts = Callable[[Any], Iterable[tuple[str, "Plan", Any]]]
"""The parts of a value, each with its place ("`.name`", "[3]"), plan and value."""

Build = Callable[[Any], "Plan"]
"""The plan of an inner type, made with the same workshop. Raises Unsupported."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Unpacking:
    """Source that takes a value apart by one target, and makes another of the parts.

    Unpacking nested rows by one target is what makes records cheap: before Python 3.12 every
    comprehension is a call, so one per record would double the cost (bench/codec.py). `before` and
    `after` are assignments, target and value each, around that of the value to `target`;
    `variable` holds the value where there are some.
    """

    variable: str
    target: str
    value: str
    before: tuple[tuple[str, str], ...] = ()
    after: tuple[tuple[str, str], ...] = ()

    def over(self, values: str) -> str:
        """The inside of a comprehension over many values."""
        if not self.before and not self.after:
            return f"{self.value} for {self.target} in {values}"
        # CPython compiles `for x in [y]` inside a comprehension as an assignment.
        assigned = "".join(f" for {name} in [{value}]" for name, value in self._assignments())
        return f"{self.value} for {self.variable} in {values}{assigned}"

    def body(self) -> str:
        """The lines of a function that is given `variable`."""
        lines = [f"{n} = {v}" for n, v in self._assignments() if n != v]
        return "".join(f"    {line}\n" for line in [*lines, f"return {self.value}"])

    def _assignments(self) -> tuple[tuple[str, str], ...]:
        return (*self.before, (self.target, self.variable), *self.after)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How values of one type travel.

    `wire` is the type msgspec decodes; `kinds` are the families it may take (msgspec counts bytes
    as "str"), which decide whether a union needs a tag. `classes` are the exact classes of the
    values. `fault` says why a value does not fit, looking at it alone; `parts` gives what it is
    made of; `inner` finds a part by msgspec's word for its place. `records` are the record classes
    that msgspec takes as they are. A conversion that unpacks has a row besides its source.
    `shape` is how the compiled codec takes the values, if it does.
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
    shape: Shape | None = None

    def converting(self, lower: Source, lift: Source) -> "Plan":
        """The same plan with other conversions."""
        return dataclasses.replace(self, lower=lower, lift=lift)

    @property
    def native(self) -> bool:
        """Whether msgspec does it all."""
        return self.lower is None and self.lift is None

    @property
    def shaped(self) -> Shape | None:
        """How the compiled codec takes the values; None if it does not."""
        return Shape(self.wire) if self.native and not self.records else self.shape


def converted(source: Source | None, variable: str) -> str:
    """The source of a conversion of a variable; the variable itself where there is none."""
    return variable if source is None else source(variable)


def unpacked(row: Row | None, source: Source | None, variable: str) -> Unpacking:
    """How a value is converted: by its row, or as a whole."""
    return row() if row is not None else Unpacking(variable, variable, converted(source, variable))


def surroundings(
    parts: Sequence[Unpacking],
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """What all parts of one target need assigned before and after it."""
    return (
        tuple(pair for part in parts for pair in part.before),
        tuple(pair for part in parts for pair in part.after),
    )


def from_row(row: Row) -> Source:
    """A row as an expression over a variable."""
    return lambda variable: f"[{row().over(f'({variable},)')}][0]"


def not_a(shown: str, accepted: tuple[type[Any], ...]) -> Callable[[Any], str]:
    """A `fault` that accepts instances of some classes."""

    def fault(value: Any) -> str:
        if isinstance(value, accepted):
            return ""
        return f"is `{type(value).__name__}`, expected `{shown}`"

    return fault


class Unsupported(Exception):  # a finding, turned into a Problem or UnsupportedType
    """A type that cannot travel, with the reason and the fix."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix
        self.placed = False


def plan_within(place: str, type_: Any, build: Build) -> Plan:
    """The plan of a field's type. Raises Unsupported that names the field, the innermost one."""
    try:
        return build(type_)
    except Unsupported as found:
        if found.placed:
            raise
        refusal = Unsupported(f"{place}: {found.reason}", found.fix)
        refusal.placed = True
        raise refusal from None


class Workshop:
    """The names that the generated functions of one codec use."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self._numbers = itertools.count()
        self.knots: dict[Any, Any] = {}
        """Types whose plan is being made, by `recursion`."""

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
        unpacking = unpacked(row, source, self.variable())
        text = f"def convert({unpacking.variable}):\n{unpacking.body()}"
        # The source holds generated names, attribute names of classes and brackets only.
        exec(compile(text, "<weaver codec>", "exec"), self.names)  # noqa: S102
        function: Callable[[Any], Any] = self.names["convert"]
        return function
