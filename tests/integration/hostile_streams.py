"""Streams of bytes that no proxy may trip over, mutated from a fixed set of good and bad ones."""

import random
from collections.abc import Sequence

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
SEEDS = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /x?y=z HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\nConnection: keep-alive\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    CHUNKED + b"\r\n5\r\nhello\r\n0\r\n\r\n",
    CHUNKED + b"\r\n1;a=b\r\nh\r\n0\r\nT: x\r\n\r\n",
    CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 50\r\n\r\nx",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n Content-Length: 9\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nxyz",
    b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)
PIECES = (
    b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b";", b",", b"\r\n\r\n", b"\xff", b"0",
    b"f" * 20,
    b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n", b"HTTP/1.1",
    b"Connection: close\r\n", b"0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"A" * 3000,
)  # fmt: skip


def mutated(rng: random.Random, seeds: Sequence[bytes] = SEEDS) -> bytes:
    data = bytearray(b"".join(rng.choice(seeds) for _ in range(rng.choice((1, 1, 2, 3)))))
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            data[at : at + rng.randrange(6)] = b""
        elif kind == 1:
            data[at:at] = rng.choice(PIECES)
        elif kind == 2:
            data[at : at + 1] = bytes((rng.randrange(256),))
        elif kind == 3:
            data[at : at + 8] = rng.choice(PIECES)
        else:
            del data[at:]
    return bytes(data)
