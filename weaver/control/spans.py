"""A span: one request or call of a sampled trace, as it travels and is shown."""

from typing import Literal

import msgspec

Kind = Literal["", "request", "served", "remote", "local"]
"""A user's request; a call as its callee served it; one as its caller made it, away or here."""


class Span(msgspec.Struct, frozen=True, omit_defaults=True):
    """`trace`, `span` and `parent` are hexadecimal; a span without parent begins a trace.

    `start` in seconds since the epoch; `error` is the type of what was raised, a status, or "".
    `component` served it or was called. Only calls at their caller have a `caller`, which is a
    component or "" for other code, and `attempts`: how often they were sent, 0 for a local one.
    """

    trace: str
    span: str
    name: str
    start: float
    seconds: float
    parent: str = ""
    component: str = ""
    replica: str = ""
    version: str = ""
    error: str = ""
    kind: str = ""
    caller: str = ""
    attempts: int = 0


encode_span = msgspec.json.Encoder().encode


def decode_span(encoded: bytes) -> Span:
    """Raises msgspec.DecodeError for what is no span."""
    return msgspec.json.decode(encoded, type=Span)
