"""Requests that two readers could cut in different places, and others that must not pass."""

import pytest

from weaver.ingress.http import rules
from weaver.ingress.http.body import ChunkedBody
from weaver.ingress.http.refusal import Refusal
from weaver.ingress.http.request import RequestHead, parse_request
from weaver.ingress.http.response import CHUNKED, UNTIL_CLOSE, ResponseHead, parse_response


def request(*lines: bytes, first: bytes = b"POST / HTTP/1.1") -> RequestHead:
    return parse_request(b"\r\n".join((first, b"Host: a", *lines, b"", b"")))


REFUSED: dict[str, tuple[bytes, int, str]] = {
    "both framings": (b"Content-Length: 4\r\nTransfer-Encoding: chunked", 400, ""),
    "both, other order": (b"Transfer-Encoding: chunked\r\nContent-Length: 4", 400, ""),
    "different lengths": (b"Content-Length: 4\r\nContent-Length: 5", 400, ""),
    "equal lengths": (b"Content-Length: 4\r\nContent-Length: 4", 400, ""),
    "a list of lengths": (b"Content-Length: 4, 4", 400, ""),
    "a signed length": (b"Content-Length: +4", 400, ""),
    "a negative length": (b"Content-Length: -1", 400, ""),
    "a hexadecimal length": (b"Content-Length: 0x4", 400, ""),
    "an underscored length": (b"Content-Length: 1_0", 400, ""),
    "an empty length": (b"Content-Length:", 400, ""),
    "a length beyond 64 bits": (b"Content-Length: 18446744073709551621", 400, ""),
    "a length in other digits": ("Content-Length: ٤".encode(), 400, ""),
    "two codings": (b"Transfer-Encoding: gzip, chunked", 501, ""),
    "chunked twice": (b"Transfer-Encoding: chunked, chunked", 400, ""),
    "two headers of coding": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x", 400, ""),
    "identity": (b"Transfer-Encoding: identity", 501, ""),
    "a coding like chunked": (b"Transfer-Encoding: xchunked", 501, ""),
    "a coding in quotes": (b'Transfer-Encoding: "chunked"', 501, ""),
    "a coding after a vertical tab": (b"Transfer-Encoding: \x0bchunked", 400, "control"),
    "a space before the colon": (b"Transfer-Encoding : chunked", 400, "space before the colon"),
    "a tab before the colon": (b"Content-Length\t: 4", 400, "space before the colon"),
    "a folded line": (b"X: a\r\n Transfer-Encoding: chunked", 400, "folded"),
    "a folded first header": (b" X: a", 400, "folded"),
    "a folded value with a tab": (b"Transfer-Encoding:\r\n\tchunked", 400, "folded"),
    "a bare LF": (b"X: a\nTransfer-Encoding: chunked", 400, "bare"),
    "a bare CR": (b"X: a\rTransfer-Encoding: chunked", 400, "bare"),
    "a NUL in a value": (b"X: a\x00b", 400, "control"),
    "a NUL in a name": (b"X\x00: a", 400, "control"),
    "a control character": (b"X: a\x7f", 400, "control"),
    "no colon": (b"Transfer-Encoding chunked", 400, ""),
    "an empty name": (b": chunked", 400, ""),
    "a name with a bracket": (b"Content-Length[]: 4", 400, ""),
    "a name in other letters": ("Contént-Length: 4".encode(), 400, ""),
    "an underscore for a hyphen": (b"Content_Length: 4", 400, "underscore"),
    "an underscored forwarding": (b"X_Forwarded_For: 1.2.3.4", 400, "underscore"),
    "a dropped framing": (b"Connection: Content-Length\r\nContent-Length: 4", 400, "dropped"),
    "a second host": (b"Host: b", 400, "Host"),
    "an unknown expectation": (b"Expect: 200-ok", 417, ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_header_that_smuggles_is_refused(name: str) -> None:
    lines, status, why = REFUSED[name]
    with pytest.raises(Refusal) as caught:
        request(lines)
    assert caught.value.status == status
    assert why in caught.value.what


def test_our_own_rules_refuse_two_framings_whatever_the_parser_says() -> None:
    both = [(b"Content-Length", b"4"), (b"Transfer-Encoding", b"chunked")]
    with pytest.raises(Refusal, match="both"):
        rules.chunked(both, [b"content-length", b"transfer-encoding"], old=False)
    twice = [(b"Transfer-Encoding", b"chunked, chunked")]
    with pytest.raises(Refusal, match="chunked"):
        rules.chunked(twice, [b"transfer-encoding"], old=False)


FIRST_LINES: dict[str, tuple[bytes, int]] = {
    "HTTP/0.9": (b"GET /", 400),
    "HTTP/2": (b"PRI * HTTP/2.0", 505),
    "HTTP/1.2": (b"GET / HTTP/1.2", 505),
    "HTTP/1.1 with more": (b"GET / HTTP/1.1 x", 400),
    "lower case version": (b"GET / http/1.1", 400),
    "two spaces": (b"GET  / HTTP/1.1", 400),
    "a tab": (b"GET\t/ HTTP/1.1", 400),
    "a space first": (b" GET / HTTP/1.1", 400),
    "a space in the target": (b"GET /a b HTTP/1.1", 400),
    "a control character in the target": (b"GET /\x01 HTTP/1.1", 400),
    "a byte above ASCII in the target": (b"GET /\xff HTTP/1.1", 400),
    "a lower-case method": (b"get / HTTP/1.1", 400),
    "an unknown method": (b"GETX / HTTP/1.1", 400),
    "a method with a control character": (b"G\x00T / HTTP/1.1", 400),
    "a relative target": (b"GET a HTTP/1.1", 400),
    "a star that is no OPTIONS": (b"GET * HTTP/1.1", 400),
    "a fragment": (b"GET /#a HTTP/1.1", 400),
    "another scheme": (b"GET ftp://a/ HTTP/1.1", 400),
    "another host than Host": (b"GET http://b/ HTTP/1.1", 400),
    "a user in the target": (b"GET http://u@a/ HTTP/1.1", 400),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1", 501),
    "a response": (b"HTTP/1.1 200 OK", 400),
}


@pytest.mark.parametrize("name", FIRST_LINES)
def test_a_first_line_with_two_readings_is_refused(name: str) -> None:
    line, status = FIRST_LINES[name]
    with pytest.raises(Refusal) as caught:
        request(first=line)
    assert caught.value.status == status


def test_http_1_0_has_no_transfer_encoding() -> None:
    with pytest.raises(Refusal, match=r"HTTP/1\.0"):
        request(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0")


def test_a_request_without_host_is_refused_but_for_http_1_0() -> None:
    with pytest.raises(Refusal, match="Host"):
        parse_request(b"GET / HTTP/1.1\r\n\r\n")
    assert parse_request(b"GET / HTTP/1.0\r\n\r\n").old


@pytest.mark.parametrize("host", [b"a b", b"a/b", b"a@b", b"a,b", b"[::1", b"a:b", b"a:123456"])
def test_a_host_that_is_none_is_refused(host: bytes) -> None:
    with pytest.raises(Refusal, match="Host"):
        parse_request(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")


@pytest.mark.parametrize("host", [b"a.example:80", b"[::1]:8080", b"127.0.0.1", b"", b"a_b"])
def test_usual_hosts_pass(host: bytes) -> None:
    assert parse_request(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n").host == host


def test_what_is_usual_passes() -> None:
    head = request(b"Content-Length: 12", b"X-Odd:  a b\t", "X-Name: é".encode())
    assert (head.method, head.target, head.length) == (b"POST", b"/", 12)
    assert (b"X-Odd", b"a b") in head.headers
    assert request(b"transfer-encoding: Chunked").length == -1
    assert request(first=b"GET http://A/x?y HTTP/1.1").target == b"/x?y"
    assert request(first=b"GET http://a HTTP/1.1").target == b"/"
    assert request(first=b"OPTIONS * HTTP/1.1").target == b"*"


def test_only_a_websocket_without_a_body_switches_protocols() -> None:
    upgrade = (b"Connection: keep-alive, Upgrade", b"Upgrade: websocket")
    assert request(*upgrade, first=b"GET / HTTP/1.1").upgrade
    assert not request(*upgrade).upgrade
    assert not request(*upgrade, b"Content-Length: 1", first=b"GET / HTTP/1.1").upgrade
    h2c = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA")
    assert not request(*h2c, first=b"GET / HTTP/1.1").upgrade
    assert not request(b"Upgrade: websocket", first=b"GET / HTTP/1.1").upgrade


CHUNKS: dict[str, bytes] = {
    "an extension": b"4;a=b\r\nabcd\r\n0\r\n\r\n",
    "a bare semicolon": b"4;\r\nabcd\r\n0\r\n\r\n",
    "an extension with a bare LF": b"4;\nabcd\r\n0\r\n\r\n",
    "no size": b"\r\n",
    "a size with a sign": b"+4\r\nabcd\r\n",
    "a size with 0x": b"0x4\r\nabcd\r\n",
    "a size with an underscore": b"1_0\r\n",
    "a size with a space": b"4 \r\nabcd\r\n",
    "a size with a space first": b" 4\r\nabcd\r\n",
    "a size that overflows 64 bits": b"10000000000000004\r\nabcd\r\n",
    "a size of many zeros": b"0" * 17 + b"4\r\nabcd\r\n",
    "an endless size": b"4" * 100,
    "a size ended by LF": b"4\nabcd\r\n",
    "a size with CR inside": b"4\r4\r\nabcd\r\n",
    "data longer than its size": b"4\r\nabcdX\r\n0\r\n\r\n",
    "data ended by LF": b"4\r\nabcd\n0\r\n\r\n",
    "data ended by CR": b"4\r\nabcd\r0\r\n\r\n",
    "a last chunk ended by LF": b"0\n\r\n",
    "a trailer without colon": b"0\r\nGET / HTTP/1.1\r\n\r\n",
    "a trailer with a bare LF": b"0\r\nA: b\n\r\n",
    "a trailer that is folded": b"0\r\nA: b\r\n c\r\n\r\n",
    "endless trailers": b"0\r\n" + b"A: b\r\n" * 2000,
}


@pytest.mark.parametrize("name", CHUNKS)
@pytest.mark.parametrize("step", [1, 1_000_000])
def test_chunks_with_two_readings_are_refused(name: str, step: int) -> None:
    data, reader = CHUNKS[name], ChunkedBody()
    with pytest.raises(Refusal):
        for i in range(0, len(data), step):
            _, rest = reader.feed(data[i : i + step])
            assert not rest
    assert not reader.complete


def answer(
    *lines: bytes, first: bytes = b"HTTP/1.1 200 OK", method: bytes = b"GET"
) -> ResponseHead:
    return parse_response(b"\r\n".join((first, *lines, b"", b"")), method)


def test_a_response_is_framed_as_it_says() -> None:
    assert answer(b"Content-Length: 3").length == 3
    assert answer(b"Transfer-Encoding: chunked").length == CHUNKED
    until_close = answer()
    assert (until_close.length, until_close.keep_alive) == (UNTIL_CLOSE, False)
    assert not answer(b"Content-Length: 3", b"Connection: close").keep_alive
    assert answer(b"Content-Length: 3").keep_alive


def test_responses_that_have_no_body_have_none() -> None:
    length = b"Content-Length: 3"
    assert answer(length, method=b"HEAD").length == 0
    assert answer(length, first=b"HTTP/1.1 304 Not Modified").length == 0
    assert answer(first=b"HTTP/1.1 204 No Content").length == 0
    assert answer(b"Transfer-Encoding: chunked", method=b"HEAD").length == 0


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 3", b"Content-Length: 4"),
        (b"Content-Length: 3", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: gzip",),
        (b"Content-Length: x",),
        (b"X : a",),
        (b"X: a\nY: b",),
        (b"X: a\r\n b",),
    ],
)
def test_a_response_with_two_readings_is_refused(lines: tuple[bytes, ...]) -> None:
    with pytest.raises(Refusal) as caught:
        answer(*lines)
    assert caught.value.status == 502


@pytest.mark.parametrize("first", [b"HTTP/2 200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000", b"OK"])
def test_a_status_line_that_is_none_is_refused(first: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        answer(first=first)
    assert caught.value.status == 502
