"""Codecs of single values: bytes on one side, Python values on the other, and good errors."""

import contextlib
import re
from typing import Any, Final

import msgspec

from weaver.errors import CodecError
from weaver.rpc.codec.plan import Plan, Workshop
from weaver.rpc.codec.shapes import compiled
from weaver.rpc.codec.types import plan_of
from weaver.rpc.codec.wire import WireDecoder, encode_small, encode_wire

Data = bytes | bytearray | memoryview

FAILURES: Final = (
    TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError, RecursionError,
    ArithmeticError, msgspec.MsgspecError,
)  # fmt: skip
"""What conversions raise for values that are not as declared."""

_MOST_DEPTH: Final = 100
_WORDS: Final = {"array": "list", "object": "dict", "null": "None"}
"""Python's words for msgspec's."""


class ValueCodec:
    """Encodes and decodes values of one annotation; `label` begins its messages.

    Raises Unsupported, when made, for an annotation whose values cannot travel.
    """

    def __init__(self, annotation: Any, label: str) -> None:
        self.label = label
        workshop = Workshop()
        self.plan: Plan = plan_of(annotation, workshop)
        self.raw = annotation is bytes
        self._lower = workshop.lowering(self.plan)
        self._lift = workshop.lifting(self.plan)
        decoder = WireDecoder(self.plan.wire)
        self._small, self._typed, self._decode = encode_small, decoder.typed, decoder.decode
        self._records = tuple(dict.fromkeys(self.plan.records))
        # What msgspec takes as it is goes to it at once: 0.1 us less for each value.
        self._plain_out = self._lower is None and not self._records and not self.raw
        self._plain_in = self._lift is None and not self.raw
        records = compiled(self.plan.shaped)
        if records is not None:
            self._small, self._typed = records.encode, records.decode
            self._plain_out = self._plain_in = True

    def encode(self, value: Any) -> bytes:
        """The bytes of a value. Raises CodecError naming the part that does not fit."""
        if self._plain_out:
            try:
                return self._small(value)
            except FAILURES:
                pass  # a big integer, or an error that is told below
        if self.raw:
            if value.__class__ is bytes:
                body: bytes = value
                return body
            raise mismatch(self.label, self.plan, value, None)
        try:
            for record in self._records:
                if record.__subclasses__():  # only then may a value be more than declared
                    self.check(value)
            return encode_wire(value if self._lower is None else self._lower(value))
        except CodecError:
            raise
        except FAILURES as error:
            raise mismatch(self.label, self.plan, value, error) from None

    def decode(self, data: Data) -> Any:
        """The value of some bytes. Raises CodecError for bytes that are none of this type."""
        if self._plain_in:
            try:
                return self._typed(data)
            except FAILURES:
                pass  # a big integer, or an error that is told below
        if self.raw:
            return bytes(data)
        try:
            value = self._decode(data)
            return value if self._lift is None else self._lift(value)
        except FAILURES as error:
            raise undecodable(self.label, self.plan, error) from None

    def check(self, value: Any) -> None:
        """Raise CodecError if a part of a value is not as declared."""
        found = diagnose(self.plan, value)
        if found is not None:
            raise CodecError(_sentence(self.label, *found))


def diagnose(plan: Plan, value: Any, depth: int = 0) -> tuple[str, str] | None:
    """The first part of a value that does not fit its plan: its place, and what is wrong."""
    fault = plan.fault(value) if plan.fault is not None else ""
    if fault:
        return "", fault
    if depth > _MOST_DEPTH:
        return "", "is nested too deeply, or contains itself"
    if plan.parts is not None:
        for place, inner, part in plan.parts(value):
            found = diagnose(inner, part, depth + 1)
            if found is not None:
                return place + found[0], found[1]
    return None


def mismatch(label: str, plan: Plan, value: Any, error: BaseException | None) -> CodecError:
    """The error for a value that could not be encoded."""
    try:
        found = diagnose(plan, value)
    except FAILURES as other:
        found = ("", f"cannot be read: {other}")
    if found is None:
        reason = "is nested too deeply" if isinstance(error, RecursionError) else f"{error}"
        found = ("", f"cannot be encoded: {reason}")
    return CodecError(
        _sentence(label, *found),
        fix="give what the annotation says, or change the annotation",
    )


def undecodable(label: str, plan: Plan, error: BaseException) -> CodecError:
    """The error for bytes that are no value of the type; msgspec's place becomes field names."""
    if isinstance(error, RecursionError):
        return CodecError(f"{label} is nested too deeply")
    text, _, place = str(error).partition(" - at `")
    kinds = re.fullmatch(r"Expected `([^`]+)`, got `([^`]+)`", text)
    found, part = _named(plan, place.rstrip("`"))
    what = f"does not match its annotation: {text}"
    if kinds:
        expected = _WORDS.get(kinds[1], kinds[1])
        if part is not None and kinds[1] in _WORDS:
            expected = part.shown
        what = f"is `{_WORDS.get(kinds[2], kinds[2])}`, expected `{expected}`"
    return CodecError(
        _sentence(label, found, what),
        fix="give what the annotation says, or change the annotation",
    )


def _named(plan: Plan | None, place: str) -> tuple[str, Plan | None]:
    """Msgspec's `$[2].name` with the names of fields, and what is there, where they are known."""
    out = ""
    for token in re.findall(r"\[([^\]]*)\]|\.([A-Za-z_]\w*)", place):
        key = token[0] or token[1]
        shown, inner = (f"[{key}]" if token[0] else f".{key}"), None
        if plan is not None and plan.inner is not None:
            with contextlib.suppress(KeyError, IndexError, ValueError):
                shown, inner = plan.inner(key)
        out, plan = out + shown, inner
    return out, plan


def _sentence(label: str, place: str, text: str) -> str:
    """The label names a parameter in backquotes: the place within it belongs inside them."""
    if place and label.endswith("`"):
        return f"{label[:-1]}{place}` {text}"
    return f"{label}{place} {text}"
