"""What the site needs of HTTP: requests with their forms, responses with their headers.

ASGI is enough for eleven addresses: a framework would take as long for a request as the shop. This
file must not know any page, nor what cookies mean.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, quote

Header: TypeAlias = tuple[bytes, bytes]
Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

MAX_FORM = 64 * 1024  # bytes
MAX_FIELDS = 50

_AS_IT_IS = ":/%#?=@[]!$&'()*+,;"  # in an address, beside letters and digits
_FORM = b"application/x-www-form-urlencoded"
_HTML = (b"content-type", b"text/html; charset=utf-8")
_PLAIN = (b"content-type", b"text/plain; charset=utf-8")


class Refusal(Exception):
    """A request that is answered with a status and a message; `headers` go with it."""

    def __init__(self, status: int, message: str, *headers: Header) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


@dataclass(slots=True)
class Response:
    """A whole answer."""

    body: bytes
    status: int = 200
    headers: list[Header] = field(default_factory=list[Header])


def html(page: bytes, status: int = 200, *headers: Header) -> Response:
    """A page."""
    return Response(page, status, [_HTML, *headers])


def plain(text: str) -> Response:
    """Text that is no page."""
    return Response(text.encode(), headers=[_PLAIN])


def see(path: str) -> Response:
    """Sends the visitor to another page."""
    return Response(b"", 302, [(b"location", quote(path, _AS_IT_IS).encode())])


def phrase(status: int) -> str:
    """As in "404 Not Found"."""
    return f"{status} {HTTPStatus(status).phrase}"


def header(scope: Scope, name: bytes) -> bytes:
    """The first header of this name, which is in lower case, or nothing."""
    for known, value in scope["headers"]:
        if known == name:
            return bytes(value)
    return b""


async def form(scope: Scope, receive: Receive) -> dict[str, str]:
    """The fields of a posted form; none, if something else was posted. Raises Refusal."""
    body = await _body(receive)
    if not header(scope, b"content-type").startswith(_FORM):
        return {}
    try:
        fields = parse_qsl(
            body.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS
        )
    except ValueError:
        raise Refusal(413, "This form has too many fields.") from None
    return dict(fields)


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise Refusal(400, "This form is not complete.")
        body += message.get("body", b"")
        if len(body) > MAX_FORM:
            raise Refusal(413, "This form is too large.")
        more = message.get("more_body", False)
    return body
