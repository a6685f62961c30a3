"""What of a head reaches the other side."""

from weaver.ingress.http import forwarding
from weaver.ingress.http.answer import AnswerReader
from weaver.ingress.http.forwarding import Origin
from weaver.ingress.http.request import parse_request
from weaver.ingress.http.response import CHUNKED, parse_response

STRANGER = Origin("203.0.113.9", "http")
FRIEND = Origin("10.0.0.1", "http", trusted=True)


def forwarded(*lines: bytes, origin: Origin = STRANGER, first: bytes = b"GET /a HTTP/1.1") -> str:
    head = parse_request(b"\r\n".join((first, b"Host: shop", *lines, b"", b"")))
    return forwarding.request_bytes(head, origin, "X-Version").decode()


def test_hop_by_hop_headers_stay_here() -> None:
    text = forwarded(
        b"Connection: keep-alive, X-Mine",
        b"X-Mine: 1",
        b"Keep-Alive: timeout=5",
        b"TE: trailers",
        b"Trailer: X",
        b"Proxy-Authorization: secret",
        b"Proxy-Connection: keep-alive",
        b"Upgrade: h2c",
        b"X-Version: v2",
        b"X-Kept: 1",
    )
    names = {line.partition(":")[0].lower() for line in text.split("\r\n")[1:] if line}
    forwarding_names = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}
    assert names == {"host", "x-kept"} | forwarding_names


def test_a_stranger_cannot_say_where_a_request_comes_from() -> None:
    text = forwarded(b"X-Forwarded-For: 1.1.1.1", b"X-Forwarded-Proto: https", b"Forwarded: for=x")
    assert "X-Forwarded-For: 203.0.113.9\r\n" in text
    assert "X-Forwarded-Proto: http\r\n" in text
    assert "X-Forwarded-Host: shop\r\n" in text
    assert "Forwarded: for" not in text


def test_a_trusted_proxy_can() -> None:
    text = forwarded(
        b"X-Forwarded-For: 1.1.1.1",
        b"X-Forwarded-For: 2.2.2.2",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: www.example",
        origin=FRIEND,
    )
    assert "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 10.0.0.1\r\n" in text
    assert "X-Forwarded-Proto: https\r\n" in text
    assert "X-Forwarded-Host: www.example\r\n" in text


def test_an_upgrade_and_chunks_are_said_anew() -> None:
    text = forwarded(b"Connection: upgrade", b"Upgrade: WebSocket", b"Sec-WebSocket-Key: a")
    assert "Connection: Upgrade\r\nUpgrade: websocket\r\n" in text
    assert "Sec-WebSocket-Key: a\r\n" in text
    assert "Transfer-Encoding: chunked\r\n" in forwarded(
        b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.1"
    )


def test_an_absolute_target_arrives_as_a_path() -> None:
    assert forwarded(first=b"GET http://shop/b?c HTTP/1.1").startswith("GET /b?c HTTP/1.1\r\n")


def test_a_response_loses_what_belongs_to_its_connection() -> None:
    raw = b"HTTP/1.1 200 Fine\r\nConnection: close\r\nKeep-Alive: x\r\nX: 1\r\n\r\n"
    head = parse_response(raw, b"GET")
    text = forwarding.response_bytes(head, framing=CHUNKED, close=False, cookie="a=b")
    assert text == (
        b"HTTP/1.1 200 Fine\r\nX: 1\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=b\r\n\r\n"
    )
    assert b"Connection: close\r\n" in forwarding.response_bytes(head, framing=0, close=True)


def test_interim_answers_come_before_the_answer() -> None:
    reader = AnswerReader(b"POST", 1000)
    raw = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi!"
    parts = [part for i in range(len(raw)) for part in reader.feed(raw[i : i + 1])]
    statuses = [part.head.status for part in parts if part.head]
    assert statuses == [100, 200]
    assert b"".join(part.payload for part in parts) == b"hi"
    assert (reader.complete, reader.rest) == (True, b"!")
