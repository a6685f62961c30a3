"""A span: one request or call of a sampled trace, as it travels and is shown."""

import msgspec


class Span(msgspec.Struct, frozen=True, omit_defaults=True):
    """`trace`, `span` and `parent` are hexadecimal; a span without parent begins a trace.

    `start` in seconds since the epoch; `error` is the type of what was raised, a status, or "".
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


encode_span = msgspec.json.Encoder().encode


def decode_span(encoded: bytes) -> Span:
    """Raises msgspec.DecodeError for what is no span."""
    return msgspec.json.decode(encoded, type=Span)
