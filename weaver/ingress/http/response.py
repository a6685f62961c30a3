"""The head of a response: bytes in, one record out, or a refusal.

This file decides how a response's body ends. It must not know what the client is told of it.
"""

import httptools

from weaver.ingress.http import plain, rules
from weaver.ingress.http.refusal import Refusal
from weaver.ingress.http.rules import Headers

CHUNKED = -1
UNTIL_CLOSE = -2


class ResponseHead:
    """What the head says, which is `raw`; `is_plain` ones may be forwarded as they are.

    `length` is the body's size in bytes, `CHUNKED` or `UNTIL_CLOSE`. `declared` is the
    Content-Length as sent, also where no body follows (HEAD, 304); None without. `headers` and
    `lower` are not read of plain ones.
    """

    __slots__ = (
        "declared", "headers", "is_plain", "keep_alive", "length", "lower", "raw", "reason",
        "status",
    )  # fmt: skip

    def __init__(self, raw: bytes, status: int, length: int, *, is_plain: bool) -> None:
        self.raw = raw
        self.status = status
        self.length = length
        self.is_plain = is_plain
        self.declared: int | None = None if length == CHUNKED else length
        self.reason = b""
        self.headers: Headers = []
        self.lower: list[bytes] = []
        self.keep_alive = True


class _Collector:
    __slots__ = ("headers", "reason")

    def __init__(self) -> None:
        self.headers: Headers = []
        self.reason = b""

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value.strip(b" \t")))


def parse_response(head: bytes, method: bytes) -> ResponseHead:
    """The response to a request of `method` whose head is `head`. Raises `Refusal` (502)."""
    match = plain.response(head)
    if match is not None and match.end() == len(head) and method != b"HEAD":
        length = CHUNKED if match[2] is None else int(match[2])
        return ResponseHead(head, int(match[1]), length, is_plain=True)
    return response_by_rules(head, method)


def response_by_rules(head: bytes, method: bytes) -> ResponseHead:
    """The same for all heads. Raises `Refusal` (502)."""
    rules.check_response(head)
    collected = _Collector()
    parser = httptools.HttpResponseParser(collected)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise Refusal(502, "the response cannot be read", why=str(error)) from None
    headers, status = collected.headers, parser.get_status_code()
    lower = [name.lower() for name, _ in headers]
    old = parser.get_http_version() == "1.0"
    try:
        is_chunked = rules.chunked(headers, lower, old=old)
        declared = rules.content_length(headers, lower)
    except Refusal as refusal:
        raise Refusal(502, "the response is framed in two ways", why=refusal.what) from None
    if method == b"HEAD" or status < 200 or status in {204, 304}:
        length = 0
    elif is_chunked:
        length = CHUNKED
    else:
        length = UNTIL_CLOSE if declared is None else declared
    found = ResponseHead(head, status, length, is_plain=False)
    found.reason = collected.reason
    found.headers, found.lower = headers, lower
    found.declared = declared
    found.keep_alive = (
        not old
        and length != UNTIL_CLOSE
        and b"close" not in rules.tokens(headers, lower, b"connection")
    )
    return found
