"""100,000 hostile streams against the ingress, mutated from a fixed set of good and bad ones.

A client's connection is driven without sockets, by a transport that records, against a replica that
counts what it is asked. Nothing but answers comes out; whoever was refused is answered once and
never read again; what reaches the replica has one reading; memory stays bounded.
"""

import asyncio
import gc
import random
import sys
from collections.abc import Iterator
from typing import Any, cast

from hostile_streams import PIECES, SEEDS, mutated

from weaver.control.ingress import Backend
from weaver.ingress.client import ClientConnection
from weaver.ingress.counting import Tallies
from weaver.ingress.ejection import Ejection
from weaver.ingress.exchange import Exchange
from weaver.ingress.http import forwarding, plain
from weaver.ingress.http.answer import AnswerReader
from weaver.ingress.http.body import Body, ChunkedBody, FixedBody
from weaver.ingress.http.forwarding import Origin
from weaver.ingress.http.limits import Limits
from weaver.ingress.http.refusal import Refusal
from weaver.ingress.http.request import RequestHead, parse_by_rules, parse_request
from weaver.ingress.http.response import parse_response, response_by_rules
from weaver.ingress.replica import Lane
from weaver.ingress.replica import Replica as KnownReplica

STREAMS = 60_000
ANSWERS = 40_000
PLAIN = 20_000
ORIGIN = Origin("127.0.0.1", "http")
LIMITS = Limits(head_bytes=2048, pipelined_bytes=4096)

ANSWERED = (
    (b"Content-Length: 2\r\n\r\n", b"ok"),
    (b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\nok\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\nok\r\n0\r\nT: x\r\n\r\n"),
)


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def get_extra_info(self, _name: str) -> object:
        return ("127.0.0.1", 1)

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def write_eof(self) -> None:
        self.closed = True

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0


class Replica(Wire):
    """Stands in for a pool and its one connection: reads requests, as strictly as it can."""

    _answers = 0

    def __init__(self) -> None:
        self.user: Any = None
        self.idle_since = 0.0
        super().__init__()
        self.transport = self
        self.asked = 0
        self._data = b""
        self._head: RequestHead | None = None
        self._body: Body | None = None

    def take(self) -> "Replica":
        return self

    take_open = take

    def give(self, _connection: object, _now: float) -> None:
        assert self._head is None, "given back before it has read the whole request"
        self.user = None

    def close(self) -> None:
        self.__init__()  # type: ignore[misc] # a new connection

    finish = close

    def write(self, data: bytes) -> None:
        """What the proxy forwards must be whole requests, one at a time."""
        self._data += data
        while self._data:
            if self._head is None:
                end = self._data.find(b"\r\n\r\n") + 4
                if end == 3:
                    return
                self._head = parse_request(self._data[:end])
                self._data = self._data[end:]
                length = self._head.length
                self._body = ChunkedBody() if length < 0 else FixedBody(length)
            assert self._body is not None
            _, self._data = self._body.feed(self._data)
            if not self._body.complete:
                return
            assert not self._data, "more than one request was sent before an answer"
            self.asked += 1
            self._answer()

    def _answer(self) -> None:
        head, self._head = self._head, None
        assert head is not None
        asyncio.get_running_loop().call_soon(self._send, self.user, head.method == b"HEAD")

    def _send(self, user: Any, bodyless: bool) -> None:
        if user is not None and user is self.user:
            self._answers += 1
            framing, body = ANSWERED[self._answers % len(ANSWERED)]
            user.answered(b"HTTP/1.1 200 OK\r\n" + framing + (b"" if bodyless else body))


class Server:
    """What a connection needs of a proxy."""

    limits = LIMITS
    draining = parting = False

    def __init__(self) -> None:
        tallies = Tallies()
        self.tally = tallies.of("v")
        self.lane = Lane("v", tallies, Ejection())
        pool = cast("Any", Replica())
        self.lane.replicas = [KnownReplica(Backend("replica", "nowhere"), pool)]
        self.turns: Iterator[Lane] | None = self._turns()
        self.begun = self.again = 0
        self.refusals = 0

    def _turns(self) -> Iterator[Lane]:
        while True:
            self.begun += 1
            self.again += 1
            yield self.lane

    def admit(self, client: ClientConnection) -> bool:
        return True

    def left(self, client: ClientConnection) -> None: ...

    def refused(self) -> None:
        self.refusals += 1

    def rests(self, client: ClientConnection) -> None: ...

    def begin(
        self, client: ClientConnection, head: RequestHead, payload: bytes, *, whole: bool
    ) -> Exchange:
        self.begun += 1
        request = forwarding.request_bytes(head, client.origin) + payload
        return Exchange(client, head, request, self.lane, LIMITS, whole=whole)


def fail_at_errors() -> list[dict[str, Any]]:
    """What callbacks of the running loop raise from now on: else it is only logged."""
    wrong: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
    return wrong


def held() -> int:
    """Blocks of memory in use."""
    gc.collect()
    return sys.getallocatedblocks()


async def hostile(rng: random.Random, first: bytes, data: bytes, number: int) -> int:
    """Send `first`, and `data` in pieces; how many requests went the short way."""
    server, wire = Server(), Wire()
    client = ClientConnection(server, "http")
    client.connection_made(cast("Any", wire))
    if first:
        client.data_received(first)
        while server.tally.in_flight:
            await asyncio.sleep(0)
    position = 0
    while position < len(data) and not wire.closed:
        size = rng.choice((5, 50, 10_000, 10_000))
        client.data_received(data[position : position + size])
        position += size
        await asyncio.sleep(0)
    for _ in range(20):
        if server.tally.in_flight == 0:
            break
        await asyncio.sleep(0)
    answers = wire.written.count(b"HTTP/1.1 ")
    finished = server.begun - server.tally.in_flight - server.tally.aborted
    assert answers == finished + server.refusals, (number, data, wire.written)
    assert server.refusals <= 1, (number, data)
    assert not server.refusals or wire.closed, (number, data)
    assert b"T: x" not in wire.written, "a trailer was passed on"
    client.connection_lost(None)
    assert server.tally.in_flight == 0, (number, data)
    return server.again


def test_hostile_requests_are_refused_or_answered_once() -> None:
    rng = random.Random(5)

    async def body() -> tuple[int, int, int]:
        early = again = 0
        wrong = fail_at_errors()
        for number in range(STREAMS):
            first = rng.choice((*[b""] * 15, *SEEDS[:3]))
            data = mutated(rng, (*SEEDS, *[first] * len(SEEDS)) if first else SEEDS)
            again += await hostile(rng, first, data, number)
            assert not wrong, (number, data, wrong)
            if number == STREAMS // 6:
                early = held()
        return early, held(), again

    early, late, again = asyncio.run(body())
    assert again > STREAMS // 200, "hardly any went the short way"
    assert late - early < STREAMS // 60, "something is kept of what was sent"


def test_hostile_answers_are_refused_or_read() -> None:
    rng = random.Random(6)
    seeds = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.0 200\r\n\r\nuntil the end",
        b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    )
    refused = complete = 0
    for _ in range(ANSWERS):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randrange(4)):
            at = rng.randrange(len(data) + 1)
            data[at : at + rng.randrange(3)] = rng.choice(PIECES)
        reader = AnswerReader(rng.choice((b"GET", b"HEAD")), 2048)
        try:
            for part in (data[:9], data[9:40], data[40:]):
                reader.feed(bytes(part)) if part and not reader.complete else None
        except Refusal as refusal:
            refused += refusal.status == 502
            if refusal.status != 502:
                raise
        complete += reader.complete
    assert refused > 1000
    assert complete > 1000


def test_plain_heads_are_what_the_rules_and_the_parser_say() -> None:
    rng = random.Random(7)
    matched = 0
    for _ in range(PLAIN):
        data = mutated(rng)
        match = plain.request(data)
        if match is None:
            continue
        matched += 1
        known, ruled = parse_request(match[0]), parse_by_rules(match[0])
        assert (known.is_plain, ruled.is_plain) == (True, False)
        for name in ("method", "target", "old", "length", "host", "keep_alive", "upgrade"):
            assert getattr(known, name) == getattr(ruled, name), (name, data)
        assert (known.expects, known.headers) == (ruled.expects, ruled.headers), data
        again = parse_by_rules(forwarding.request_bytes(known, ORIGIN))
        by_rules = parse_by_rules(forwarding.request_bytes(ruled, ORIGIN))
        kept = [pair for pair in again.headers if pair != (b"Connection", b"keep-alive")]
        assert sorted(kept) == sorted(by_rules.headers), data
        assert again.length == by_rules.length == known.length
    assert matched > PLAIN // 20


def _lines(head: bytes) -> list[list[bytes]]:
    """Its lines, without what does not matter: that of chunks last, as the rules have it."""
    lines = [line.replace(b":", b": ").split() for line in head.split(b"\r\n") if line]
    return sorted(lines, key=lambda line: line[0].lower() == b"transfer-encoding:")


def test_plain_answers_are_what_the_rules_and_the_parser_say() -> None:
    rng = random.Random(8)
    seeds = [
        b"HTTP/1.1 200 OK\r\nDate: x\r\n%bX-Y_z: 1\r\n\r\nok" % framing
        for framing in (b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n")
    ]
    matched = in_chunks = 0
    for _ in range(PLAIN):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randrange(3)):
            at = rng.randrange(len(data) + 1)
            data[at : at + rng.randrange(3)] = rng.choice((*PIECES, b"2", b"a", b"3"))
        match = plain.response(bytes(data))
        if match is None:
            continue
        matched += 1
        in_chunks += match[2] is None
        known, ruled = parse_response(match[0], b"GET"), response_by_rules(match[0], b"GET")
        for name in ("status", "length", "declared", "keep_alive"):
            assert getattr(known, name) == getattr(ruled, name), (name, data)
        for close in (False, True):
            said = [
                forwarding.response_bytes(head, framing=head.length, close=close, cookie="a=b")
                for head in (known, ruled)
            ]
            known_said, ruled_said = (_lines(each) for each in said)
            assert known_said == ruled_said, data
    assert matched > PLAIN // 20
    assert in_chunks > 100
