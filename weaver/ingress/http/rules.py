"""The rules a head must keep before any parser may read it: what smuggling is made of is refused.

Stricter than RFC 9112 where leniency lets two readers disagree: no folded lines, no bare CR or LF,
no space before a colon, no control character, no header repeated that frames the message.
It must not know what a message means beyond where it ends.
"""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from weaver.ingress.http.refusal import Refusal

Headers: TypeAlias = list[tuple[bytes, bytes]]

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_FIELD: Final = rb"(?:" + _TOKEN + rb":[\t -~\x80-\xff]*+\r\n)*+"
_FIELDS: Final = re.compile(_FIELD)
_REQUEST: Final = re.compile(rb"[A-Z][A-Z-]*+ [!-~]++ HTTP/1\.[01]\r\n" + _FIELD + rb"\r\n")
_RESPONSE: Final = re.compile(
    rb"HTTP/1\.[01] [1-9][0-9][0-9](?: [\t -~\x80-\xff]*+)?\r\n" + _FIELD + rb"\r\n"
)
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_BARE: Final = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FOLDED: Final = re.compile(rb"\r\n[ \t]")
_SPACED: Final = re.compile(rb"(?m)^[^:\r\n]*[ \t]:")
_VERSIONS: Final = (b"1.0", b"1.1")
_VERSION: Final = re.compile(rb"[^\r\n]* HTTP/([0-9.]+)\r\n")

# Once as written, and as CGI-like gateways (WSGI) fold names: "_" and "-" are one to them.
FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
CRITICAL: Final = FRAMING | {
    b"host",
    b"connection",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-host",
}


def check_request(head: bytes) -> None:
    """Raise `Refusal` unless `head`, up to its empty line, is a request that has one reading."""
    if _REQUEST.fullmatch(head) is None:
        raise _why(head)


def check_response(head: bytes) -> None:
    """Raise `Refusal` unless `head`, up to its empty line, is a response that has one reading."""
    if _RESPONSE.fullmatch(head) is None:
        raise Refusal(502, "the response's head is malformed", why=_why(head).what)


def check_fields(lines: bytes) -> None:
    """Raise `Refusal` unless `lines` are header fields, each ended by CR LF (trailers)."""
    if _FIELDS.fullmatch(lines) is None:
        raise Refusal(400, "a trailer is malformed")


def _why(head: bytes) -> Refusal:
    """The first rule that `head` breaks, for the answer and the log."""
    _, _, rest = head.partition(b"\r\n")
    version = _VERSION.match(head)
    broken = (
        (_BARE.search(head), 400, "a line ends in a bare CR or LF"),
        (_CONTROL.search(head), 400, "the head has a control character"),
        (_FOLDED.search(head), 400, "a header is folded over several lines"),
        (version and version[1] not in _VERSIONS, 505, "the HTTP version is not 1.0 or 1.1"),
        (_SPACED.search(rest), 400, "there is a space before the colon of a header"),
        (
            _FIELDS.fullmatch(rest.removesuffix(b"\r\n")) is None,
            400,
            "a header's name has a character that is not allowed",
        ),
    )
    for found, status, what in broken:
        if found:
            return Refusal(status, what)
    return Refusal(400, "the first line is malformed")


def content_length(headers: Headers, lower: Sequence[bytes]) -> int | None:
    """The value of the only Content-Length; None without one. Raises `Refusal`."""
    if b"content-length" not in lower:
        return None
    if lower.count(b"content-length") > 1:
        raise Refusal(400, "Content-Length is given more than once")
    value = headers[lower.index(b"content-length")][1]
    if _LENGTH.fullmatch(value) is None:
        raise Refusal(400, "Content-Length is not a number")
    return int(value)


def chunked(headers: Headers, lower: Sequence[bytes], *, old: bool) -> bool:
    """Whether the body is chunked; `old` is HTTP/1.0. Raises `Refusal` for any other coding."""
    if b"transfer-encoding" not in lower:
        return False
    if lower.count(b"transfer-encoding") > 1:
        raise Refusal(400, "Transfer-Encoding is given more than once")
    if old:
        raise Refusal(400, "HTTP/1.0 has no Transfer-Encoding")
    if b"content-length" in lower:
        raise Refusal(400, "both Content-Length and Transfer-Encoding are given")
    value = headers[lower.index(b"transfer-encoding")][1]
    if value.lower() != b"chunked":
        raise Refusal(501, "the only Transfer-Encoding that is known is chunked")
    return True


def tokens(headers: Headers, lower: Sequence[bytes], name: bytes) -> set[bytes]:
    """The comma-separated elements, in lower case, of all headers called `name`."""
    found: set[bytes] = set()
    if name in lower:
        for (_, value), low in zip(headers, lower, strict=True):
            if low == name:
                found.update(part.strip().lower() for part in value.split(b","))
    return found


def check_names(lower: Sequence[bytes]) -> None:
    """Raise `Refusal` for a name that a gateway would take for one that matters."""
    for name in lower:
        if b"_" in name and name.replace(b"_", b"-") in CRITICAL:
            raise Refusal(400, "a header's name differs from a known one by an underscore")
