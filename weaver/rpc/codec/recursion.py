"""Types that contain themselves: an inner occurrence is encoded by itself, as bytes."""

from collections.abc import Callable
from typing import Any

from weaver.rpc.codec.plan import Plan, Workshop
from weaver.rpc.codec.wire import WireDecoder, encode_wire


class Knot:
    """A type whose plan is being made. Its functions work once it is tied."""

    def __init__(self) -> None:
        self.used = False
        self.plan: Plan | None = None
        self._lower: Callable[[Any], Any] | None = None
        self._lift: Callable[[Any], Any] | None = None
        self._decode: Callable[[bytes], Any] | None = None

    def tie(self, plan: Plan, workshop: Workshop) -> None:
        """Let inner occurrences do what the whole does."""
        self.plan = plan
        if self.used:
            self._lower, self._lift = workshop.lowering(plan), workshop.lifting(plan)
            self._decode = WireDecoder(plan.wire).decode

    def inner(self, shown: str, classes: tuple[type[Any], ...], workshop: Workshop) -> Plan:
        """The plan of an occurrence within the type itself."""
        self.used = True
        encode, decode = workshop.constant(self._encode), workshop.constant(self._decoded)
        return Plan(
            shown,
            bytes,
            frozenset({"str"}),
            classes,
            lower=lambda v: f"{encode}({v})",
            lift=lambda v: f"{decode}({v})",
            fault=self._fault,
            parts=self._parts,
        )

    def _encode(self, value: Any) -> bytes:
        return encode_wire(value if self._lower is None else self._lower(value))

    def _decoded(self, data: bytes) -> Any:
        assert self._decode is not None
        value = self._decode(data)
        return value if self._lift is None else self._lift(value)

    def _fault(self, value: Any) -> str:
        return "" if self.plan is None or self.plan.fault is None else self.plan.fault(value)

    def _parts(self, value: Any) -> Any:
        return () if self.plan is None or self.plan.parts is None else self.plan.parts(value)


def knotted(
    annotation: Any,
    workshop: Workshop,
    outer: Callable[[], Plan],
    shown: str,
    classes: tuple[type[Any], ...],
) -> Plan:
    """The plan that `outer` makes; occurrences of the type within it are encoded by themselves."""
    knot = workshop.knots.get(annotation)
    if knot is not None:
        inner: Plan = knot.inner(shown, classes, workshop)
        return inner
    knot = workshop.knots[annotation] = Knot()
    try:
        plan = outer()
    finally:
        del workshop.knots[annotation]
    knot.tie(plan, workshop)
    return plan
