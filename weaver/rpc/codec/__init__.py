"""Values and exceptions as bytes: positional and unversioned, compiled once per method. Pure.

Both ends of a connection are the same build, so bytes carry neither names nor types. msgspec does
the work wherever it is exact; where it would lose a type or a subclass, generated functions
convert.
"""

import inspect
from typing import Any

from weaver.rpc.codec.arguments import ArgumentsCodec
from weaver.rpc.codec.exceptions import decode_exception, encode_exception
from weaver.rpc.codec.plan import Unsupported, Workshop
from weaver.rpc.codec.registered import register
from weaver.rpc.codec.types import plan_of
from weaver.rpc.codec.values import ValueCodec

__all__ = [
    "ArgumentsCodec",
    "Unsupported",
    "ValueCodec",
    "compile_arguments",
    "compile_result",
    "decode_exception",
    "encode_exception",
    "register",
    "supported",
]


def compile_arguments(signature: inspect.Signature, *, method: str) -> ArgumentsCodec:
    """The codec of a method's arguments; `signature` is resolved and without `self`."""
    return ArgumentsCodec(signature, method)


def compile_result(annotation: Any, *, method: str) -> ValueCodec:
    """The codec of a method's result, or of the items of a stream."""
    return ValueCodec(annotation, f"{method}: result")


def supported(annotation: Any) -> Unsupported | None:
    """Why values of a type cannot travel, and the fix; None if they can."""
    try:
        plan_of(annotation, Workshop())
    except Unsupported as reason:
        return reason
    return None
