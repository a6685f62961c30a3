"""The head of a request: bytes in, one record out, or a refusal.

Most heads are `plain`. For the others, `httptools` reads what `rules` has admitted; both must
agree. This file decides which targets and hosts are accepted and how the body is framed. It must
not know where the request goes.
"""

import functools
import re
from typing import Any, Final

import httptools

from weaver.ingress.http import plain, rules
from weaver.ingress.http.refusal import Refusal
from weaver.ingress.http.rules import Headers

IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
_HOST: Final = re.compile(plain.HOST)
_REST_OF_LINE: Final = len(b"  HTTP/1.1")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE)


class RequestHead:
    """What the head says, which is `raw`. `target` is in origin form or "*".

    `length` is the body's size in bytes, -1 for a chunked one. `upgrade` is set for a WebSocket
    handshake only. `is_plain` ones may be forwarded as they are. `block` is what follows the first
    line, with the end of that, of a plain head without a body; else empty. `forwarded` is
    for whoever forwards such heads: what follows the first line of each.
    """

    # What most have is in the class: a store less for each, in each request.
    old = False
    keep_alive = True
    expects = False
    upgrade = False
    forwarded = b""
    _collected: tuple[Headers, list[bytes]] | None = None

    def __init__(
        self,
        raw: bytes,
        method: bytes,
        target: bytes,
        host: bytes,
        length: int,
        *,
        is_plain: bool,
        block: bytes = b"",
    ) -> None:
        self.raw = raw
        self.method = method
        self.target = target
        self.host = host
        self.length = length
        self.is_plain = is_plain
        self.block = block

    @property
    def repeatable(self) -> bool:
        """Whether doing it twice is as doing it once, and nothing was streamed with it."""
        return self.length == 0 and self.method in IDEMPOTENT

    @property
    def headers(self) -> Headers:
        """Names, as sent, and values."""
        return self._fields()[0]

    @property
    def lower(self) -> list[bytes]:
        """The names in lower case, in the order of `headers`."""
        return self._fields()[1]

    def value(self, name: str) -> str:
        """The value of the first header called `name`, or ""."""
        found = _named(name).search(self.raw)
        return found[1].rstrip(b" \t").decode("latin-1") if found is not None else ""

    def mentions(self, name: str) -> bool:
        """Whether there is a header called `name`."""
        return _named(name).search(self.raw) is not None

    def _fields(self) -> tuple[Headers, list[bytes]]:
        if self._collected is not None:
            return self._collected
        collected = _Collector()
        httptools.HttpRequestParser(collected).feed_data(self.raw)
        read = collected.headers, [name.lower() for name, _ in collected.headers]
        self.keep(*read)
        return read

    def keep(self, headers: Headers, lower: list[bytes]) -> None:
        """The headers have been read already."""
        self._collected = headers, lower


@functools.lru_cache(maxsize=64)
def _named(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?i)\r\n" + re.escape(name.encode("latin-1")) + rb":[ \t]*+([^\r]*)")


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


def read_request(data: bytes, limit: int, known: RequestHead | None) -> RequestHead | None:
    """The request that `data` begins with, None while its head is not complete.

    `known` is one that was read before and is over: on a connection, many have the headers of the
    one before them, and then it is used again. Raises `Refusal`, also for a head of more than
    `limit` bytes.
    """
    if known is not None and data.endswith(block := known.block) and block and len(data) <= limit:
        line = plain.line(data, 0, len(data) - len(block))
        if line is not None:
            known.raw = data
            known.method, known.target = line.groups()
            known._collected = None  # noqa: SLF001 # its own file
            return known
    match = plain.request(data)
    if match is not None and match.end() <= limit:
        return _plain(match.groups(), data[: match.end()])
    end = data.find(b"\r\n\r\n") + 4
    if end > limit or (end == 3 and len(data) > limit):
        raise Refusal(431, f"the head of the request has more than {limit} bytes")
    return parse_request(data[:end]) if end > 3 else None


def read_again(known: RequestHead, data: bytes, limit: int) -> bool:
    """Have `known`, which is plain and over, say what `data` says: a plain request and its body.

    False, with `known` unchanged, if it is not just that, or a HEAD, or its head is too long.
    """
    match = plain.request(data)
    if match is None:
        return False
    method, target, host, length = match.groups()
    end, size = match.end(), 0 if length is None else int(length)
    if end > limit or end + size != len(data) or method == b"HEAD":
        return False
    known.raw = data[:end]
    known.method, known.target, known.host, known.length = method, target, host, size
    known.block = b"" if length else data[len(method) + len(target) + _REST_OF_LINE :]
    known.forwarded = b""
    known._collected = None  # noqa: SLF001 # its own file
    return True


def parse_request(head: bytes) -> RequestHead:
    """The request whose head, including its empty line, is `head`. Raises `Refusal`."""
    match = plain.request(head)
    if match is not None and match.end() == len(head):
        return _plain(match.groups(), head)
    return parse_by_rules(head)


def _plain(groups: tuple[bytes | Any, ...], raw: bytes) -> RequestHead:
    method, target, host, length = groups
    if length is not None:
        return RequestHead(raw, method, target, host, int(length), is_plain=True)
    block = raw[len(method) + len(target) + _REST_OF_LINE :]
    return RequestHead(raw, method, target, host, 0, is_plain=True, block=block)


def parse_by_rules(head: bytes) -> RequestHead:
    """The same for all heads. Raises `Refusal`."""
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
    target = _origin_form(method, collected.target, host)
    found = RequestHead(head, method, target, host, length, is_plain=False)
    found.keep(headers, lower)
    found.old = old
    found.keep_alive = not old and b"close" not in connection
    found.expects = _expects(headers, lower, old=old) and length != 0
    found.upgrade = _is_websocket(method, headers, lower, connection, length) and not old
    return found


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
