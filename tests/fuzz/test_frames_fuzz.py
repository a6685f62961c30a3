"""100,000 hostile inputs: nothing but ProtocolError comes out, and memory stays bounded.

The generator is seeded, so that a failure can be repeated: the assertion names the round.
"""

import random

from weaver import frames
from weaver.errors import ProtocolError
from weaver.frames import HEADER, HEADER_SIZE, MAX_PAYLOAD, FrameDecoder
from weaver.rpc.connection import Connection
from weaver.rpc.events import Closed, Event, Failed, Request
from weaver.rpc.handshake import MAGIC, VERSION, Hello, encode_hello
from weaver.rpc.limits import KIB, MIB, Limits
from weaver.rpc.state import State

HELLO = Hello(deployment="d", build="b", methods=b"m")
LIMITS = Limits(max_message=4 * KIB, max_calls=8, chunk=KIB, max_reassembly=8 * KIB)
INTRODUCTION = encode_hello(HELLO)
OPENING = HEADER.pack(len(INTRODUCTION), MAGIC, VERSION, frames.HELLO, 0) + INTRODUCTION


def random_frame(rng: random.Random) -> bytes:
    """A frame that is valid in many respects: kinds, small ids and plausible lengths."""
    kind = rng.choice((rng.randrange(256), rng.randint(1, 15), rng.randint(3, 11)))
    flags = rng.choice((0, 0, 0, frames.IS_LARGE, rng.randrange(32), rng.randrange(256)))
    body = rng.randbytes(rng.choice((0, 0, 4, 8, 12, rng.randrange(64))))
    if flags == frames.IS_LARGE:
        body = frames.U32.pack(rng.choice((20, 100, 5000, 2**32 - 1))) + body
    length = len(body) if rng.random() < 0.97 else rng.randrange(2**32)
    call = rng.choice((rng.randrange(12), rng.randrange(2**32)))
    return HEADER.pack(length, call, rng.choice((0, 1, 4, 300)), kind, flags) + body


def plausible_frame(rng: random.Random) -> bytes:
    """What an honest peer might send, so that the hostile frames meet a connection in use."""
    kind = rng.choice((frames.REQUEST, frames.REQUEST, frames.PING, frames.PONG))
    flags = frames.HAS_DEADLINE if kind == frames.REQUEST else 0
    body = rng.randbytes(rng.randrange(4, 64))
    return HEADER.pack(len(body), rng.randrange(1, 2**31), 0, kind, flags) + body


def mutated(rng: random.Random, data: bytes) -> bytes:
    broken = bytearray(data)
    for _ in range(rng.randrange(3)):
        broken[rng.randrange(len(broken))] = rng.randrange(256)
    return bytes(broken)


def connection_in_use(rng: random.Random) -> Connection:
    connection = Connection(HELLO, LIMITS)
    connection.receive(OPENING)
    for _ in range(4):
        connection.send_request(1, bytes(rng.randrange(2000)), credit=rng.randrange(3))
    connection.data_to_send(chunks=rng.randrange(5))
    return connection


def test_the_decoder_only_ever_raises_protocol_error() -> None:
    rng = random.Random(1)
    refused = 0
    for round_number in range(50_000):
        decoder = FrameDecoder()
        data = rng.randbytes(rng.randrange(40)) if rng.random() < 0.3 else random_frame(rng)
        cut = rng.randrange(len(data) + 1)
        try:
            for _ in range(2):
                for _kind, flags, _method, _call, payload in decoder.frames(data[:cut]):
                    frames.decode_fields(flags, payload, 0x1F)
                data, cut = data[cut:], len(data)
        except ProtocolError:
            refused += 1
        assert decoder.buffered <= HEADER_SIZE + MAX_PAYLOAD, f"round {round_number}"
    assert 5_000 < refused < 45_000, "the inputs no longer reach both outcomes"


def test_a_connection_survives_or_closes_but_never_raises() -> None:
    rng = random.Random(2)
    connection = connection_in_use(rng)
    ended = requests = failures = 0
    for round_number in range(50_000):
        data = plausible_frame(rng) if rng.random() < 0.7 else random_frame(rng)
        events = connection.receive(mutated(rng, data) if rng.random() < 0.1 else data)
        requests += sum(isinstance(event, Request) for event in events)
        failures += sum(isinstance(event, Failed) for event in events)
        check_bounds(connection, events, round_number)
        answer_some(rng, connection, events)
        if connection.state is State.CLOSED:
            ended += 1
            connection = connection_in_use(rng)
    assert ended > 1_000, "the inputs no longer reach the end of a connection"
    assert requests > 1_000, "the inputs no longer reach a request"
    assert failures > 1_000, "the inputs no longer reach calls in flight"


def test_a_new_connection_only_opens_for_a_hello() -> None:
    rng = random.Random(3)
    opened = 0
    for round_number in range(10_000):
        connection = Connection(HELLO, LIMITS)
        data = mutated(rng, OPENING) if rng.random() < 0.5 else random_frame(rng)
        events = connection.receive(data)
        check_bounds(connection, events, round_number)
        opened += connection.state is State.OPEN
        assert connection.state is not State.OPEN or connection.peer is not None
    assert 1_000 < opened < 5_000


def answer_some(rng: random.Random, connection: Connection, events: list[Event]) -> None:
    for event in events:
        if isinstance(event, Request) and not event.streaming and rng.random() < 0.5:
            connection.send_reply(event.call, bytes(rng.randrange(2000)))
    if rng.random() < 0.5:
        connection.data_to_send()


def check_bounds(connection: Connection, events: list[Event], round_number: int) -> None:
    statistics = connection.statistics()
    assert statistics.incoming <= LIMITS.max_calls, f"round {round_number}"
    assert statistics.reserved <= LIMITS.max_reassembly, f"round {round_number}"
    assert statistics.queued <= 2 * MIB, f"round {round_number}"
    assert connection._decoder.buffered <= HEADER_SIZE + MAX_PAYLOAD, f"round {round_number}"
    closed = [event for event in events if isinstance(event, Closed)]
    assert closed == events[-1:] or not closed, f"round {round_number}"
    assert bool(closed) == (statistics.state is State.CLOSED), f"round {round_number}"
