"""Codecs of whole argument lists: bound by the signature, sent by position."""

import inspect
import re
from collections import OrderedDict
from typing import Any, Final

import msgspec

from weaver.errors import CodecError
from weaver.rpc.codec.plan import Workshop
from weaver.rpc.codec.shapes import compiled
from weaver.rpc.codec.types import plan_of
from weaver.rpc.codec.values import FAILURES, Data, ValueCodec, mismatch, undecodable
from weaver.rpc.codec.wire import WireDecoder, encode_small, encode_wire

_NONE_BY_NAME: Final[dict[str, Any]] = {}
_decode_parts: Final = msgspec.msgpack.Decoder(dict[int, bytes]).decode


class ArgumentsCodec:
    """Encodes the arguments of one method. An argument that was not given is not sent.

    All of them given by position travel as one array; otherwise as a map from the number of the
    parameter to its encoded value. Raises Unsupported, when made, for a parameter that cannot
    travel.
    """

    def __init__(self, signature: inspect.Signature, method: str) -> None:
        self._signature = signature
        self._method = method
        parameters = list(signature.parameters.values())
        self._codecs = [
            ValueCodec(_annotation(p), f"{method}: argument `{p.name}`") for p in parameters
        ]
        self._numbers = {p.name: i for i, p in enumerate(parameters)}
        self._positional = all(
            p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters
        )
        self._count = len(parameters)
        self._raw = (
            self._positional
            and self._count == 1
            and self._codecs[0].raw
            and parameters[0].default is inspect.Parameter.empty
        )
        together: Any = tuple
        annotations = tuple(_annotation(p) for p in parameters)
        workshop = Workshop()
        plan = plan_of(together[annotations] if annotations else together[()], workshop)
        self._lower = workshop.lowering(plan)
        self._lift = workshop.lifting(plan)
        decoder = WireDecoder(plan.wire)
        self._small, self._typed, self._decode = encode_small, decoder.typed, decoder.decode
        self._records = tuple(dict.fromkeys(plan.records))
        # What msgspec takes as it is goes to it at once: 0.1 us less for each call.
        ordinary = self._positional and not self._raw
        self._plain_out = ordinary and self._lower is None and not self._records
        self._plain_in = ordinary and self._lift is None
        records = compiled(plan.shaped) if ordinary else None
        if records is not None:
            self._small, self._typed = records.encode, records.decode
            self._plain_out = self._plain_in = True

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """The bytes of a call's arguments.

        Raises TypeError like any Python call for arguments that do not fit the signature, and
        CodecError, naming the parameter, for one that is not as annotated.
        """
        if self._plain_out and not kwargs and len(args) == self._count:
            try:
                return self._small(args)
            except FAILURES:
                pass  # a big integer, or an error that is told below
        return self._encode(args, kwargs)

    def _encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        if kwargs or len(args) != self._count or not self._positional:
            try:
                bound = self._signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{self._method}() {error}") from None
            if not self._positional or len(bound.arguments) != self._count:
                return self._encode_given(bound.arguments)
            args = bound.args
        if self._raw:
            return self._codecs[0].encode(args[0])
        try:
            for record in self._records:
                if record.__subclasses__():
                    self._check(args)
            return encode_wire(args if self._lower is None else self._lower(args))
        except CodecError:
            raise
        except FAILURES as error:
            self._check(args)
            raise mismatch(self._codecs[0].label, self._codecs[0].plan, args[0], error) from None

    def decode(self, data: Data) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What to call the method with. Raises CodecError for bytes that are no arguments."""
        if self._plain_in:
            try:
                return self._typed(data), _NONE_BY_NAME
            except FAILURES:
                pass  # arguments by name, a big integer, or an error that is told below
        if self._raw:
            return (bytes(data),), {}
        if data and (data[0] & 0xF0 == 0x80 or data[0] in (0xDE, 0xDF)):
            return self._decode_given(data)
        try:
            args = self._decode(data)
            if self._lift is not None:
                args = self._lift(args)
        except FAILURES as error:
            raise self._undecodable(error) from None
        return args, {}

    def _check(self, args: tuple[Any, ...]) -> None:
        for codec, value in zip(self._codecs, args, strict=True):
            codec.check(value)

    def _encode_given(self, given: dict[str, Any]) -> bytes:
        numbers = self._numbers
        parts = {numbers[n]: self._codecs[numbers[n]].encode(v) for n, v in given.items()}
        return msgspec.msgpack.encode(parts)

    def _decode_given(self, data: Data) -> tuple[tuple[Any, ...], dict[str, Any]]:
        try:
            parts = _decode_parts(data)
            bound = inspect.BoundArguments(self._signature, OrderedDict())
            for number in sorted(parts):
                name = list(self._numbers)[number]
                bound.arguments[name] = self._codecs[number].decode(parts[number])
            args, kwargs = bound.args, bound.kwargs
        except CodecError:
            raise
        except FAILURES as error:
            raise CodecError(f"{self._method}: the arguments cannot be read: {error}") from None
        return args, kwargs

    def _undecodable(self, error: BaseException) -> CodecError:
        found = re.search(r"at `\$\[(\d+)\]", str(error))
        if found is None or int(found[1]) >= self._count:
            return CodecError(f"{self._method}: the arguments cannot be read: {error}")
        codec = self._codecs[int(found[1])]
        text = str(error).replace(f"$[{found[1]}]", "$", 1)
        return undecodable(codec.label, codec.plan, msgspec.ValidationError(text))


def _annotation(parameter: inspect.Parameter) -> Any:
    if parameter.kind is parameter.VAR_POSITIONAL:
        generic: Any = tuple
        return generic[parameter.annotation, ...]
    if parameter.kind is parameter.VAR_KEYWORD:
        generic = dict
        return generic[str, parameter.annotation]
    return parameter.annotation
