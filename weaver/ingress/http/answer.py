"""The answer of a replica, cut out of the bytes of its connection.

Decides where interim answers, the head and the body begin and end. It must not know what the
client is told of them.
"""

from typing import Final

import msgspec

from weaver.ingress.http import response
from weaver.ingress.http.body import Body, ChunkedBody, FixedBody, FramedBody, OpenBody
from weaver.ingress.http.refusal import Refusal
from weaver.ingress.http.response import ResponseHead, parse_response

_INTERIM: Final = 16
"""Answers of 100 to 199 that one request may get before its own."""


class Part(msgspec.Struct):
    """A piece of an answer: a head, payload of the body, or both."""

    head: ResponseHead | None
    payload: bytes = b""


class AnswerReader:
    """Reads the answer to one request of `method`; heads have at most `limit` bytes.

    With `framed`, what is given of a body in chunks are the chunks, not what is in them.
    `started` once a byte has come; `head` the final head (or that of 101); `rest` is what follows
    a complete answer, or 101.
    """

    def __init__(self, method: bytes, limit: int, *, framed: bool = False) -> None:
        self._method = method
        self._framed = framed
        self._limit = limit
        self._buffer = b""
        self._interim = 0
        self._body: Body | None = None
        self.started = False
        self.head: ResponseHead | None = None
        self.rest = b""

    @property
    def complete(self) -> bool:
        """Whether the last byte of the answer has come."""
        return self._body is not None and self._body.complete

    def feed(self, data: bytes) -> list[Part]:
        """What these bytes bring. Raises `Refusal` (502)."""
        self.started = True
        try:
            if self._body is not None:
                payload, self.rest = self._body.feed(data)
                return [Part(None, payload)]
            return self._heads(data)
        except Refusal as refusal:
            raise Refusal(502, refusal.what, why=refusal.why) from None

    def closed(self) -> bool:
        """The connection has ended in order; whether the answer is complete by that."""
        if isinstance(self._body, OpenBody):
            self._body.complete = True
        return self.complete

    def _heads(self, data: bytes) -> list[Part]:
        self._buffer = self._buffer + data if self._buffer else data
        parts: list[Part] = []
        while (end := self._buffer.find(b"\r\n\r\n") + 4) > 3:
            if end > self._limit:
                break
            head = parse_response(self._buffer[:end], self._method)
            rest, self._buffer = self._buffer[end:], b""
            if head.status == 101:
                self.head, self.rest = head, rest
                return [*parts, Part(head)]
            if head.status >= 200:
                self.head, self._body = head, self._body_of(head)
                payload, self.rest = self._body.feed(rest) if rest else (b"", b"")
                return [*parts, Part(head, payload)]
            self._interim += 1
            if self._interim > _INTERIM:
                raise Refusal(502, "there are too many interim responses")
            parts.append(Part(head))
            self._buffer = rest
        if len(self._buffer) > self._limit:
            raise Refusal(502, "the head of the response is too long")
        return parts

    def _body_of(self, head: ResponseHead) -> Body:
        if head.length == response.CHUNKED:
            return FramedBody() if self._framed else ChunkedBody()
        return OpenBody() if head.length == response.UNTIL_CLOSE else FixedBody(head.length)
