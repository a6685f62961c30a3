"""Large bodies whose bytes are put where they belong: what is offered, copied and refused."""

import tracemalloc

import pytest

from weaver import frames
from weaver.frames import HEADER, HEADER_SIZE
from weaver.rpc.connection import Connection
from weaver.rpc.events import Closed, Event, Failed, Outcome, Reply, Request
from weaver.rpc.handshake import Hello
from weaver.rpc.limits import KIB, MIB, Limits
from weaver.rpc.reassembly import BLOCK
from weaver.transport.memory import MemoryLink

HELLO = Hello(deployment="d", build="b", methods=b"m")
SMALL_CHUNKS = Limits(chunk=100)


def opened(limits: Limits | None = None, *, split: int = 0) -> MemoryLink:
    def cut(size: int) -> int:
        return min(size, split) if split else size

    link = MemoryLink(Connection(HELLO, limits), Connection(HELLO, limits), split=cut)
    link.settle()
    link.fills = True
    return link


def pattern(size: int) -> bytes:
    return bytes(n % 251 for n in range(size))


def fill(connection: Connection, data: bytes) -> list[Event]:
    """As a transport does: into the room where there is any, byte for byte the same otherwise."""
    events: list[Event] = []
    while data:
        room = connection.room()
        if room is None:
            return events + connection.receive(data)
        count = min(len(room), len(data))
        room[:count] = data[:count]
        behind = connection.filled(count)
        events += [] if behind is None else connection.receive(behind)
        data = data[count:]
    return events


@pytest.mark.parametrize("split", [1, 7, 100, 113, 4096])
def test_bodies_arrive_whole_however_the_reads_are_cut(split: int) -> None:
    link = opened(SMALL_CHUNKS, split=split)
    first = link.left.send_request(1, pattern(1000), metadata=b"m")
    second = link.left.send_request(1, pattern(777))
    small = link.left.send_request(1, b"small")
    _, at_right = link.settle()
    assert sorted((e.call, e.body) for e in at_right if isinstance(e, Request)) == [
        (first, pattern(1000)),
        (second, pattern(777)),
        (small, b"small"),
    ]
    link.right.send_reply(first, pattern(333))
    assert link.settle()[0] == [Reply(first, pattern(333))]
    statistics = link.left.statistics()
    assert (statistics.partial, statistics.reserved) == (0, 0)
    assert statistics.received == link.right.statistics().sent


@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 5])
def test_a_body_of_several_blocks_arrives_whole(size: int) -> None:
    link = opened(split=200_000)
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    call = link.left.send_request(1, body)
    [request] = link.settle()[1]
    assert isinstance(request, Request)
    assert (request.call, request.body == body) == (call, True)


def test_there_is_no_room_without_a_large_body() -> None:
    link = opened()
    assert link.right.room() is None
    assert link.right.filled(0) is None
    call = link.left.send_request(1, pattern(140 * KIB))
    [opening, *rest] = link.left.data_to_send()
    assert link.right.receive(opening) == []
    assert link.right.room() is None
    assert fill(link.right, b"".join(rest)) == []
    assert fill(link.right, b"".join(link.left.data_to_send())) == [
        Request(call, 1, pattern(140 * KIB))
    ]
    assert link.right.room() is None


def test_the_room_ends_with_the_next_header_and_before_the_last_byte() -> None:
    link = opened(Limits(chunk=64 * KIB))
    link.left.send_request(1, bytes(100 * KIB))
    opening, head, _ = link.left.data_to_send()
    link.right.receive(bytes(opening) + bytes(head))
    room = link.right.room()
    assert room is not None
    assert len(room) == 64 * KIB + HEADER_SIZE
    assert link.right.filled(64 * KIB) == b""
    link.right.receive(b"")
    assert link.right.room() is None  # the next header has not come
    head, _ = link.left.data_to_send()
    link.right.receive(head)
    room = link.right.room()
    assert room is not None
    assert len(room) == 36 * KIB - 1
    assert link.right.filled(len(room)) is None
    assert link.right.room() is None
    [request] = link.right.receive(b"\1")
    assert isinstance(request, Request)
    assert request.body == bytes(100 * KIB - 1) + b"\1"


def test_a_body_that_was_put_in_its_place_is_not_copied() -> None:
    link = opened()
    call = link.left.send_request(1, bytes(MIB))
    opening, *rest = link.left.data_to_send(16)
    while buffers := link.left.data_to_send(16):
        rest += buffers
    link.right.receive(opening)
    data = b"".join(rest)
    assert fill(link.right, data[:-1]) == []
    tracemalloc.start()
    try:
        events = link.right.receive(data[-1:])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert events == [Request(call, 1, bytes(MIB))]
    assert most < 64 * KIB


def test_memory_is_taken_for_one_block_at_a_time() -> None:
    right = opened(Limits(max_message=64 * MIB)).right
    announced = frames.U32.pack(64 * MIB)
    right.receive(HEADER.pack(4, 1, 1, frames.REQUEST, frames.IS_LARGE) + announced)
    assert right.room() is None
    right.receive(HEADER.pack(64 * KIB, 1, 0, frames.REQUEST_PART, 0))
    room = right.room()
    assert room is not None
    assert len(room) == 64 * KIB + HEADER_SIZE
    assert len(memoryview(room.obj)) == BLOCK


def test_a_call_given_up_in_the_middle_of_a_part_drops_the_rest_of_it() -> None:
    link = opened()
    call = link.left.send_request(1, b"")
    link.settle()
    link.right.send_reply(call, bytes(300 * KIB))
    opening, head, part = link.right.data_to_send(4)
    link.left.receive(bytes(opening) + bytes(head))
    assert link.left.room() is not None
    assert link.left.filled(1000) is None
    link.left.send_cancel(call)
    assert link.left.room() is None
    assert fill(link.left, bytes(part)[1000:]) == []
    assert link.settle() == ([], [])
    assert (link.left.outgoing, link.left.statistics().partial) == (0, 0)


def test_a_part_beyond_what_was_announced_is_refused_before_its_bytes_come() -> None:
    right = opened().right
    right.receive(HEADER.pack(4, 1, 1, frames.REQUEST, frames.IS_LARGE) + frames.U32.pack(1000))
    [closed] = right.receive(HEADER.pack(1001, 1, 0, frames.REQUEST_PART, 0))
    assert isinstance(closed, Closed)
    assert "sent 1001 bytes of a body that it announced with 1000" in closed.why
    assert right.room() is None
    assert right.filled(10) is None


def test_a_connection_lost_in_the_middle_of_a_part_has_no_room() -> None:
    link = opened()
    call = link.left.send_request(1, bytes(300 * KIB))
    opening, head, _ = link.left.data_to_send()
    link.right.receive(bytes(opening) + bytes(head))
    assert link.right.room() is not None
    [closed] = link.right.eof()
    assert isinstance(closed, Closed)
    assert link.right.room() is None
    assert link.right.filled(5) is None
    [failed, _] = link.left.eof()
    assert isinstance(failed, Failed)
    assert (failed.call, failed.outcome) == (call, Outcome.LOST)
