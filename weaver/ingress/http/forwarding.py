"""Heads as the next one receives them: hop-by-hop headers go, forwarding ones come.

Decides which headers pass. It must not know where they go to.
"""

from http import HTTPStatus
from typing import Final

from weaver.ingress.http import response, rules
from weaver.ingress.http.request import RequestHead
from weaver.ingress.http.response import ResponseHead

_HOP: Final = frozenset({
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding",
    b"upgrade", b"proxy-authenticate", b"proxy-authorization",
})  # fmt: skip
_FORWARDING: Final = frozenset(
    {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded"}
)
_REQUEST_DROPPED: Final = _HOP | _FORWARDING
_REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}


class Origin:
    """Who sent a request: `client` is an IP address or "", `trusted` if its word is taken."""

    __slots__ = ("_host", "_lines", "client", "scheme", "trusted")

    def __init__(self, client: str, scheme: str, *, trusted: bool = False) -> None:
        self.client = client
        self.scheme = scheme
        self.trusted = trusted
        self._host: bytes | None = None
        self._lines = b""

    def lines(self, host: bytes) -> bytes:
        """The end of the head of a request to `host` that names no proxy, with its empty line."""
        if host != self._host:  # mostly it is that of the request before
            parts = _lines(self.client.encode(), self.scheme.encode(), host)
            self._host, self._lines = host, b"\r\n".join(parts) + b"\r\n\r\n"
        return self._lines


def request_bytes(head: RequestHead, origin: Origin, drop: str = "") -> bytes:
    """The head of the request to a replica; `drop` is one more header to leave out."""
    if head.is_plain and not (drop and head.mentions(drop)):
        return head.raw[:-2] + origin.lines(head.host)
    dropped = drop.lower().encode("latin-1")
    lines = [b"%b %b HTTP/1.1" % (head.method, head.target)]
    named = rules.tokens(head.headers, head.lower, b"connection")
    for (name, value), low in zip(head.headers, head.lower, strict=True):
        if low in _REQUEST_DROPPED or low in named or (drop and low == dropped):
            continue
        lines.append(b"%b: %b" % (name, value))
    if head.old and b"host" not in head.lower:
        lines.append(b"Host: ")
    if head.length < 0:
        lines.append(b"Transfer-Encoding: chunked")
    if head.upgrade:
        lines.append(b"Connection: Upgrade\r\nUpgrade: websocket")
    lines += _forwarding(head, origin)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _forwarding(head: RequestHead, origin: Origin) -> list[bytes]:
    client = origin.client.encode()
    proto, host, before = origin.scheme.encode(), head.host, b""
    if origin.trusted:
        before = b", ".join(_values(head, b"x-forwarded-for"))
        proto = b"".join(_values(head, b"x-forwarded-proto")[-1:]) or proto
        host = b"".join(_values(head, b"x-forwarded-host")[-1:]) or host
    return _lines(b", ".join(part for part in (before, client) if part), proto, host)


def _lines(chain: bytes, proto: bytes, host: bytes) -> list[bytes]:
    lines = [b"X-Forwarded-Proto: " + proto]
    if chain:
        lines.append(b"X-Forwarded-For: " + chain)
    if host:
        lines.append(b"X-Forwarded-Host: " + host)
    return lines


def _values(head: RequestHead, name: bytes) -> list[bytes]:
    pairs = zip(head.headers, head.lower, strict=True)
    return [value for (_, value), low in pairs if low == name]


def response_bytes(head: ResponseHead, *, framing: int, close: bool, cookie: str = "") -> bytes:
    """The head of the response to a client; `framing` is its length, `CHUNKED` or `UNTIL_CLOSE`.

    `cookie` is a Set-Cookie to add.
    """
    if head.is_plain and framing == head.length:
        return ended(head.raw, close=close, cookie=cookie)
    reason = head.reason or _REASONS.get(head.status, b"")
    lines = [b"HTTP/1.1 %d %b" % (head.status, reason)]
    named = rules.tokens(head.headers, head.lower, b"connection") - rules.FRAMING
    for (name, value), low in zip(head.headers, head.lower, strict=True):
        if low in _HOP or low in named:
            continue
        if low == b"content-length" and (head.status == 204 or head.status < 200):
            continue
        lines.append(b"%b: %b" % (name, value))
    if framing == response.CHUNKED:
        lines.append(b"Transfer-Encoding: chunked")
    if head.status == 101:
        lines.append(b"Connection: Upgrade\r\nUpgrade: websocket")
    elif close and head.status >= 200:
        lines.append(b"Connection: close")
    if cookie:
        lines.append(b"Set-Cookie: " + cookie.encode())
    return b"\r\n".join(lines) + b"\r\n\r\n"


def ended(raw: bytes, *, close: bool, cookie: str) -> bytes:
    """The plain head `raw` with what it says more."""
    if not close and not cookie:
        return raw
    lines = [raw[:-2]]
    if close:
        lines.append(b"Connection: close\r\n")
    if cookie:
        lines.append(b"Set-Cookie: %b\r\n" % cookie.encode())
    return b"".join((*lines, b"\r\n"))


def plain(status: int, text: str, *, close: bool, bodyless: bool = False) -> bytes:
    """A whole response of our own with one line of text; `bodyless` answers HEAD."""
    body = (text + "\n").encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS.get(status, b'').decode()}\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        + ("Connection: close\r\n" if close else "")
        + "\r\n"
    )
    return head.encode() + (b"" if bodyless else body)
