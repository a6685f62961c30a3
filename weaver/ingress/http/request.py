"""The head of a request: bytes in, one record out, or a refusal.

`httptools` reads what `rules` has admitted; both must agree. This file decides which targets and
hosts are accepted and how the body is framed. It must not know where the request goes.
"""

import re
from typing import Final

import httptools
import msgspec

from weaver.ingress.http import rules
from weaver.ingress.http.refusal import Refusal
from weaver.ingress.http.rules import Headers

IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+;=]*)(?::[0-9]{0,5})?")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE)


class RequestHead(msgspec.Struct):
    """What the head says. `target` is in origin form or "*"; names as sent, and in lower case.

    `length` is the body's size in bytes, -1 for a chunked one. `upgrade` is set for a WebSocket
    handshake only.
    """

    method: bytes
    target: bytes
    old: bool
    headers: Headers
    lower: list[bytes]
    length: int
    host: bytes
    keep_alive: bool
    expects: bool
    upgrade: bool

    @property
    def repeatable(self) -> bool:
        """Whether doing it twice is as doing it once, and nothing was streamed with it."""
        return self.length == 0 and self.method in IDEMPOTENT


class _Collector:
    __slots__ = ("headers", "target")

    def __init__(self) -> None:
        self.headers: Headers = []
        self.target = b""

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # llhttp keeps the white space after a value; RFC 9112 does not count it.
        self.headers.append((name, value.strip(b" \t")))


def parse_request(head: bytes) -> RequestHead:
    """The request whose head, including its empty line, is `head`. Raises `Refusal`."""
    rules.check_request(head)
    collected = _Collector()
    parser = httptools.HttpRequestParser(collected)
    unread = ""
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # the connection decides what becomes of it
    except httptools.HttpParserError as error:
        unread = str(error)
    headers = collected.headers
    lower = [name.lower() for name, _ in headers]
    old = head[: head.index(b"\r")].endswith(b"1.0")
    rules.check_names(lower)
    is_chunked = rules.chunked(headers, lower, old=old)
    length = -1 if is_chunked else rules.content_length(headers, lower) or 0
    if unread:  # told last, as the rules above say better why
        raise Refusal(400, "the request cannot be read", why=unread)
    method = parser.get_method()
    host = _host(headers, lower, old=old)
    connection = rules.tokens(headers, lower, b"connection")
    if connection & rules.CRITICAL:
        raise Refusal(400, "Connection names a header that may not be dropped")
    return RequestHead(
        method=method,
        target=_origin_form(method, collected.target, host),
        old=old,
        headers=headers,
        lower=lower,
        length=length,
        host=host,
        keep_alive=not old and b"close" not in connection,
        expects=_expects(headers, lower, old=old) and length != 0,
        upgrade=_is_websocket(method, headers, lower, connection, length) and not old,
    )


def _host(headers: Headers, lower: list[bytes], *, old: bool) -> bytes:
    count = lower.count(b"host")
    if count > 1:
        raise Refusal(400, "Host is given more than once")
    if count == 0:
        if not old:
            raise Refusal(400, "there is no Host")
        return b""
    host = headers[lower.index(b"host")][1]
    if _HOST.fullmatch(host) is None:
        raise Refusal(400, "Host is not a host and port")
    return host


def _origin_form(method: bytes, target: bytes, host: bytes) -> bytes:
    if target.startswith(b"/"):
        if b"#" in target:
            raise Refusal(400, "the target has a fragment")
        return target
    if method == b"CONNECT":
        raise Refusal(501, "this is no forward proxy: there is no CONNECT")
    if target == b"*" and method == b"OPTIONS":
        return target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or b"#" in target:
        raise Refusal(400, "the target is no path")
    if absolute[1].lower() != host.lower():
        raise Refusal(400, "the target names another host than Host")
    path = absolute[2]
    return path if path.startswith(b"/") else b"/" + path


def _expects(headers: Headers, lower: list[bytes], *, old: bool) -> bool:
    expected = rules.tokens(headers, lower, b"expect")
    if expected - {b"100-continue"}:
        raise Refusal(417, "only 100-continue can be expected")
    return bool(expected) and not old


def _is_websocket(
    method: bytes, headers: Headers, lower: list[bytes], connection: set[bytes], length: int
) -> bool:
    """Whether to switch protocols. Never to h2c: it would carry requests nobody here sees."""
    if b"upgrade" not in connection or method != b"GET" or length:
        return False
    return rules.tokens(headers, lower, b"upgrade") == {b"websocket"}
